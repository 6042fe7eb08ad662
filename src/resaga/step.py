"""What a step is: an action or durable code, and the compensation that undoes it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, Never, ParamSpec, overload

from typing_extensions import TypeVar

from resaga.action import forbid_in_action
from resaga.attempt import Attempt
from resaga.classify import check_mapper
from resaga.compensation import Compensation
from resaga.contexts import CompensationContext, DurableCompensationContext
from resaga.errors import MisuseError
from resaga.execution import StepOptions, StepSpec, run_durable, run_plain
from resaga.injection import Code
from resaga.line import Line
from resaga.policy import check_retry, positive
from resaga.record import RecordCodec
from resaga.saga import Saga, check_name
from resaga.signature import UnresolvedName, check_function, parameters, response_types, returns

__all__ = ["DurableSagaStep", "SagaStep", "StepParts", "step_parts"]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
CompensationData_co = TypeVar("CompensationData_co", covariant=True, default=object)
# `SagaStep[In, Out]` is a step of whatever services, to be run in whatever saga: Any alone says so.
S_contra = TypeVar("S_contra", contravariant=True, default=Any)

Out = TypeVar("Out")
S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class SagaStep(Generic[In_contra, Out_co, CompensationData_co, S_contra]):
    """A step of a saga: ``await step(saga, input)`` runs it and returns its output.

    Made by `saga_step`, `saga_step_strict`, `create_saga_step` and `create_saga_step_strict`.

    A plain step's action is journaled: on replay its result comes from the journal, and nothing
    runs. A durable step's body is replayed like the workflow's.

    Attributes:
        name: Its name, in the journal and for observers.
        options: What it was made with.
    """

    def __init__(self, name: str, run: Callable[..., Any], options: StepOptions) -> None:
        check_name(name, "step")
        self.name = name
        self.options = options
        where = f"step {name!r}"
        check_function(run, where=f"The action of {where}")
        self._spec = StepSpec(
            name=name,
            run=Code(run, given=2, where=f"The action of {where}"),
            takes_input=len(parameters(run)) > 1,
            options=options,
        )
        self._compensate: Code | None = None
        self._codec: RecordCodec | None = None
        self.__doc__ = inspect.getdoc(run)
        self._check_options(where)
        # A name may be defined further down in the module; the first use asks again.
        with contextlib.suppress(UnresolvedName):
            self._codec = self._make_codec()

    def _check_options(self, where: str) -> None:
        options = self.options
        positive(options.timeout, f"timeout of {where}")
        check_retry(options.retry, f"retry of {where}")
        check_retry(options.compensation_retry, f"compensation_retry of {where}")
        check_mapper(options.as_terminal_error, f"as_terminal_error of {where}")
        if not parameters(self._spec.run.fn):
            raise MisuseError(
                f"The action of {where} takes no argument. Its first one is the StepContext: "
                "def run(step, input)."
            )
        if options.durable:
            for field in ("retry", "compensation_retry", "timeout"):
                if getattr(options, field) is not None:
                    raise MisuseError(
                        f"{where} is durable and has {field}=...: its body is not one action, so "
                        "nothing could apply it. Leave it out, or make the step a plain one."
                    )
            if self._spec.run.threaded:
                raise MisuseError(
                    f"{where} is durable, and its run is a plain function. Restate's context "
                    "cannot be used from a thread: make it an async def."
                )
        if options.timeout is not None and self._spec.run.threaded:
            raise MisuseError(
                f"{where} has a timeout, and its run is a plain function: it runs in a thread, "
                "which cannot be stopped. Make it an async def, or bound what it waits for."
            )

    def compensate(
        self,
        fn: Callable[
            Concatenate[CompensationContext[S_contra, In_contra], CompensationData_co, P], R
        ],
    ) -> Callable[Concatenate[CompensationContext[S_contra, In_contra], CompensationData_co, P], R]:
        """Set the function that undoes the step, and return it; usable as a decorator.

        It is called with a `CompensationContext` and the step's data, or its input if the step
        left none (R12). It may be ``async def`` or plain ``def``; of a durable step it is
        durable, and ``async def``.

        Raises:
            MisuseError: The step has one already, or ``fn`` cannot be one.
        """
        where = f"the compensation of step {self.name!r}"
        check_function(fn, where=where)
        if self._compensate is not None:
            raise MisuseError(
                f"step {self.name!r} has a compensation already "
                f"({getattr(self._compensate.fn, '__qualname__', self._compensate.fn)}). "
                "One step has one; do all that undoes it in there."
            )
        if len(parameters(fn)) < 2:
            raise MisuseError(
                f"{where} takes {len(parameters(fn))} arguments. It gets two, the context and the "
                "data: def undo(step, data)."
            )
        code = Code(fn, given=2, where=where)
        if self.options.durable and code.threaded:
            raise MisuseError(
                f"{where} is durable, and a plain function. Restate's context cannot be used from "
                "a thread: make it an async def."
            )
        self._compensate = code
        return fn

    @overload
    def __call__(
        self: SagaStep[None, Out, object, S], saga: Saga[S]
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def __call__(
        self, saga: Saga[S_contra], input: In_contra
    ) -> Coroutine[object, Never, Out_co]: ...
    def __call__(self, saga: Saga[Any], input: object = None) -> Coroutine[object, Never, object]:
        """Run the step in a saga, or take its result from the journal on replay.

        Args:
            saga: The saga that it becomes a part of.
            input: Its input; a step without one is called with the saga alone.

        Returns:
            A coroutine, to be awaited before the next step, that gives the step's output.

        Raises:
            restate.TerminalError: The step failed for good. The saga rolls back unless its body
                catches it (R1, R5).
            MisuseError: The step was started inside an action, or beside another one (R14, R21).
        """
        return self._start(saga, input)

    def __repr__(self) -> str:
        return f"<SagaStep {self.name!r}>"

    async def _start(self, saga: Saga[Any], input: object) -> object:
        attempt, line = saga._attempt, saga._line  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        forbid_in_action(f"step {self.name!r}")
        line.begin(self.name, attempt)
        try:
            # Gives way once, so that another one that was started beside it meets it also where the
            # journal has its result, and is refused on each attempt alike (R21).
            await asyncio.sleep(0)
            attempt.journal.check()
            # Also what undoes it: a rollback is too late to learn that it cannot run.
            for code in (self._spec.run, self._compensate or _NOTHING):
                code.check(attempt)
            entry = self._entry(attempt, line, input)
            return await attempt.around(
                lambda: entry.point("step", attempt.journal.saga_id),
                lambda: self._run(attempt, line, entry),
            )
        finally:
            line.end()

    async def _run(self, attempt: Attempt, line: Line, entry: Compensation) -> object:
        if not self.options.strict:
            self._register(line, entry)
        if self.options.durable:
            output = await run_durable(attempt, self._spec, entry)
        else:
            codec = self._codec = self._codec or self._make_codec()
            output = await run_plain(attempt, self._spec, codec, entry)
        if self.options.strict:
            self._register(line, entry)
        # A step that completed while the saga was being cancelled is registered first, and
        # then undone with the rest (R7).
        attempt.journal.check()
        return output

    def _entry(self, attempt: Attempt, line: Line, input: object) -> Compensation:
        path, undoable = line.next_path(), self._compensate is not None
        durable = self.options.durable
        key = f"{attempt.journal.saga_id}.{path}"
        return Compensation(
            name=self.name,
            path=path,
            fn=self._compensate or _NOTHING,
            durable=durable,
            retry=self.options.compensation_retry,
            forward_key=key,
            undo_key=f"{key}.undo",
            input=input,
            strict=self.options.strict,
            bounded=self.options.retry is not None and self.options.retry.bounded,
            undoable=undoable,
            about=line.about(attempt, path, undo=undoable, durable=durable),
        )

    def _register(self, line: Line, entry: Compensation) -> None:
        if self._compensate is not None:
            line.frame.push(entry)

    def _make_codec(self) -> RecordCodec:
        where = f"step {self.name!r}"
        output, data = response_types(returns(self._spec.run.fn, where=where), where=where)
        return RecordCodec(output, data, where=where)


class DurableSagaStep(SagaStep[In_contra, Out_co, CompensationData_co, S_contra]):
    """A step made with ``durable=True``: its body and its compensation are durable code.

    All that a `SagaStep` is; its compensation gets a `DurableCompensationContext`.
    """

    @overload
    def compensate(
        self,
        fn: Callable[
            Concatenate[CompensationContext[S_contra, In_contra], CompensationData_co, P], R
        ],
    ) -> Callable[
        Concatenate[CompensationContext[S_contra, In_contra], CompensationData_co, P], R
    ]: ...
    @overload
    def compensate(
        self,
        fn: Callable[
            Concatenate[DurableCompensationContext[S_contra, In_contra], CompensationData_co, P], R
        ],
    ) -> Callable[
        Concatenate[DurableCompensationContext[S_contra, In_contra], CompensationData_co, P], R
    ]: ...
    def compensate(self, fn: Callable[..., R]) -> Callable[..., R]:
        """Set the durable code that undoes the step, and return it; usable as a decorator.

        It is an ``async def``, called with a `DurableCompensationContext` and the step's data,
        or its input if the step left none (R12). On replay it runs again, as the body does.

        Raises:
            MisuseError: The step has one already, or ``fn`` cannot be one.
        """
        return super().compensate(fn)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepParts:
    """What a step was made of, for tools; see `step_parts`.

    Attributes:
        run: The user's action, or durable body.
        takes_input: Whether it takes one.
        compensate: The user's compensation; ``None`` if the step has none.
    """

    run: Code
    takes_input: bool
    compensate: Code | None


def step_parts(step: SagaStep[Any, Any, Any, Any]) -> StepParts:
    """What a step was made of."""
    spec = step._spec  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    compensate = step._compensate  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return StepParts(run=spec.run, takes_input=spec.takes_input, compensate=compensate)


def _nothing(step: object, data: object) -> None:
    """The compensation of a step that has none; it is never registered."""


_NOTHING = Code(_nothing, given=2, where="no compensation")
