"""RS401, RS402: types of steps that are only looked at when they first run (R15, R16)."""

from __future__ import annotations

from collections.abc import Iterator

from resaga.cli.check.findings import Finding
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.refused import refusal
from resaga.cli.check.source import source_of
from resaga.errors import MisuseError
from resaga.record import RecordCodec
from resaga.signature import response_types, returns
from resaga.step import step_parts

__all__ = ["refused_types"]


def refused_types(step: AnyStep) -> Iterator[Finding]:
    """Find a type of the step's that JSON cannot carry, or that cannot be found.

    When the step was made, a name may have been defined further down; now all have to be there.
    """
    if step.options.durable:
        return  # What a durable body returns is not journaled.
    run, where = step_parts(step).run.fn, f"step {step.name!r}"
    try:
        output, data = response_types(returns(run, where=where), where=where)
        RecordCodec(output, data, where=where)
    except MisuseError as refused:
        source = source_of(run)
        place = None if source is None else source.place
        yield refusal(refused, definition=f"step {step.name}", place=place)
