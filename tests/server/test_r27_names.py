"""R27: any text that JSON carries is a name; and no text of an error makes an invocation hang."""

from __future__ import annotations

from typing import Any

import pytest
from restate import TerminalError

from resaga import MisuseError, Saga, StepContext, create_saga_step, saga_workflow
from tests.support import Rig

NAMES = ["Zahlung prüfen 💶", 'say "hi"\n\ttwice', "x" * 1000, "a/b?c=d&e#f", " "]
BROKEN = "broken \udc80 text"


@pytest.mark.parametrize("name", NAMES)
async def test_r27_a_name_may_be_any_text(rig: Rig, name: str) -> None:
    step = rig.step(name)

    @saga_workflow(rig.name("Named"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    assert await invocation.runs() == [name, f"compensate:{name}"]
    assert rig.ledger.order() == [f"do {name}", f"undo {name}"]


def test_r27_a_lone_surrogate_is_refused() -> None:
    async def run(step: StepContext) -> None:
        """Does nothing."""

    with pytest.raises(MisuseError, match="lone surrogate"):
        create_saga_step("broken \ud800", run)


def _odd(kind: str) -> Exception:
    code: Any = 500
    metadata: Any = None
    match kind:
        case "surrogate":
            return TerminalError(BROKEN)
        case "large code":
            code = 70_000
        case "negative code":
            code = -1
        case "text as code":
            code = "x"
        case "metadata":
            metadata = {"a": 1, 2: "b", "c": BROKEN}
        case _:
            return ValueError(BROKEN)
    return TerminalError("odd", code, metadata)


KINDS = ["surrogate", "large code", "negative code", "text as code", "metadata"]


@pytest.mark.parametrize("where", ["action", "durable", "body", "undo"])
@pytest.mark.parametrize("kind", KINDS)
async def test_r27_odd_terminal_errors_end_a_saga_all_the_same(
    rig: Rig, kind: str, where: str
) -> None:
    error = _odd(kind)
    a = rig.step(
        "A",
        durable=where == "durable",
        fails=error if where in ("action", "durable") else None,
        undo_fails=error if where == "undo" else None,
    )

    @saga_workflow(rig.name("Odd"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise error if where == "body" else TerminalError("no", 409)

    await rig.serve(workflow)
    told = await rig.fail(workflow)
    assert rig.ledger.undone() == ["A"]
    assert "odd" in told.message or "broken" in told.message


@pytest.mark.parametrize("where", ["action", "durable", "body", "undo"])
async def test_r27_odd_ordinary_errors_are_retried_all_the_same(rig: Rig, where: str) -> None:
    raised: list[int] = []

    def once(_: int) -> Exception | None:
        if raised:
            return None
        raised.append(1)
        return _odd("ordinary")

    a = rig.step(
        "A",
        durable=where == "durable",
        fails=once if where in ("action", "durable") else None,
        undo_fails=once if where == "undo" else None,
    )

    @saga_workflow(rig.name("OddOrdinary"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        error = once(0) if where == "body" else None
        raise error or TerminalError("no", 409)

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).message == "no"
    assert raised
    assert rig.ledger.undone()
