"""A scenario, and what scenarios are made of."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from restate import TerminalError

from resaga import (
    CompensationContext,
    Retry,
    Saga,
    SagaRequest,
    SagaStep,
    StepContext,
    create_saga_step,
    create_saga_step_strict,
    create_saga_workflow,
)
from resaga.testing import (
    Fault,
)
from tests.testing.shop import World

Body = Callable[[Saga[World], str], Coroutine[Any, Any, object]]
Step = SagaStep[Any, Any, Any, World]

QUICK = Retry(max_attempts=2, initial_interval=timedelta(milliseconds=5))
WORLD_HEADER = "x-world"
WORLDS: dict[str, World] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A saga, and how it is run.

    Attributes:
        definition: The saga.
        input: Its input.
        faults: What goes wrong.
        handler: The handler, of a virtual object.
        key: The key, of what has one.
        also: What it calls, to be served with it.
        calls: What that answers, where there is no server.
        effects_in_order: Whether effects come in one order only.
    """

    definition: Any
    input: object = "tea"
    faults: Sequence[Fault] = ()
    handler: str = "run"
    key: str | None = None
    also: Sequence[Any] = ()
    calls: Mapping[Any, object] = field(default_factory=dict[Any, object])
    effects_in_order: bool = True


SCENARIOS: dict[str, Scenario] = {}


@asynccontextmanager
async def world_of(request: SagaRequest[Any]) -> AsyncGenerator[World]:
    yield WORLDS[request.headers[WORLD_HEADER]]


def scenario(
    what: str, *faults: Fault, options: Mapping[str, Any] | None = None, **how: Any
) -> Callable[[Body], Body]:
    def register(body: Body) -> Body:
        # Not its number: pytest imports this folder for its doctests, too, perhaps once more.
        name = "Scenario" + re.sub(r"\W", "", what.title())
        create: Any = create_saga_workflow
        made = create(name, body, **{"services_from": world_of, **(options or {})})
        SCENARIOS[what] = Scenario(definition=made, faults=faults, **how)
        return body

    return register


def step(
    name: str,
    *,
    strict: bool = False,
    raises: Exception | None = None,
    undo_raises: Exception | None = None,
    gives: Any = None,
    **options: Any,
) -> Step:
    """A step that writes down what it does, and what its compensation gets (R12, R13)."""

    async def run(step: StepContext[World], product: Any) -> Any:
        step.services.do(step.idempotency_key, f"{name} {product}")
        if raises is not None:
            raise raises.with_traceback(None)
        return f"{name} done" if gives is None else gives

    async def undo(step: CompensationContext[World, Any], data: Any) -> None:
        known = step.services.effects.pop(step.forward_idempotency_key, "nothing")
        told = f"{step.outcome} {step.has_data} {data!r} {step.input!r}"
        step.services.log.append(f"undo {name}: {known}, {told}")
        if undo_raises is not None:
            raise undo_raises.with_traceback(None)

    make: Any = create_saga_step_strict if strict else create_saga_step
    made: Step = make(name, run, undo, **options)
    return made


class OrderFailed(Exception):
    """Ordinary, unless something says otherwise."""


class OutOfStock(Exception):
    """Registered as terminal, with 410."""


class Refused(Exception):
    """What the global mapper knows."""


def mapped(exc: Exception) -> TerminalError | None:
    return TerminalError(f"mapped: {exc}", 422) if isinstance(exc, (Refused, OrderFailed)) else None


def refused_only(exc: Exception) -> TerminalError | None:
    """The global mapper."""
    return TerminalError("refused", 451) if isinstance(exc, Refused) else None


DECLINED = TerminalError("declined", 402, metadata={"bank": "north"})
A, B, C = step("A"), step("B"), step("C")
STRICT = step("Strict", strict=True)
DECLINES = step("Declines", raises=DECLINED, retry=QUICK)
