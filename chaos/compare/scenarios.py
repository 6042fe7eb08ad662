"""The scenarios: what is ordered, what goes wrong, and what must be so in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from chaos.compare.ledger import Behaviour
from chaos.compare.run import Run

__all__ = ["SCENARIOS", "Expected", "Scenario"]

Fault: TypeAlias = Callable[[Run], Awaitable[None]]
"""What is done to a saga while it runs."""

SOLD = frozenset({"Reserve", "Charge", "Pack", "Ship"})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The end that a scenario should have.

    Attributes:
        code: The error code that the caller gets; None if the saga succeeds.
        told: What its answer, or the error's message, has to contain.
        stands: The steps whose effect is there in the end; all others are undone, or never were.
        once: Actions that the shop is asked for once, because their answer arrived.
    """

    code: int | None = None
    told: Sequence[str] = ()
    stands: frozenset[str] = NOTHING
    once: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One saga, what happens to it, and its right end.

    Attributes:
        title: What happens, in a few words.
        expected: Its right end.
        service: The program that is called.
        plan: How the shop meets which actions.
        fault: What is done to the saga meanwhile.
        order: The input beside the order's id.
        kills: Whether a process is killed, so that no other saga may run at the time.
    """

    title: str
    expected: Expected
    service: str = "Checkout"
    plan: Mapping[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    fault: Fault | None = None
    order: Mapping[str, object] = field(default_factory=dict[str, object])
    kills: bool = False


async def cancel_in_step(run: Run) -> None:
    """Cancel while the shop is at it; it finishes what it was asked for, whoever listens."""
    await run.held("Charge")
    await run.cancel()
    await run.reaction()
    run.answer("Charge")


async def cancel_in_rollback(run: Run) -> None:
    """Cancel while an undo is in flight."""
    await run.held("undo Pack")
    await run.cancel()
    await run.reaction()
    run.answer("undo Pack")


async def cancel_twice(run: Run) -> None:
    """Cancel in a step, and once more in the rollback that comes of it."""
    await cancel_in_step(run)
    await run.held("undo Charge")
    await run.cancel()
    await run.reaction()
    run.answer("undo Charge")


async def kill_worker_in_step(run: Run) -> None:
    """The worker dies when the shop has the request, and its answer is not journaled."""
    await run.held("Charge")
    await run.kill_worker("Charge")


async def kill_worker_in_rollback(run: Run) -> None:
    """The same with an undo."""
    await run.held("undo Charge")
    await run.kill_worker("undo Charge")


async def kill_server_in_step(run: Run) -> None:
    """The server dies while a step is in flight."""
    await run.held("Charge")
    await run.kill_server("Charge")


async def kill_server_in_rollback(run: Run) -> None:
    """The server dies while an undo is in flight."""
    await run.held("undo Charge")
    await run.kill_server("undo Charge")


ROLLED_BACK = Expected(code=409, told=["Ship: declined"])

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(title="nothing fails", expected=Expected(told=["sold"], stands=SOLD, once=["Charge"])),
    Scenario(title="a step fails for good", plan={"Ship": "decline"}, expected=ROLLED_BACK),
    Scenario(
        title="a step fails for a while",
        plan={"Charge": "flicker"},
        expected=Expected(told=["sold"], stands=SOLD, once=["Reserve"]),
    ),
    Scenario(
        title="a compensation fails for a while",
        plan={"Ship": "decline", "undo Charge": "flicker"},
        expected=ROLLED_BACK,
    ),
    Scenario(
        title="a step's attempts are used up, its effect unknown",
        service="Persistent",
        plan={"Charge": "lose"},
        expected=Expected(code=500),
    ),
    Scenario(
        title="a compensation fails for good",
        plan={"Ship": "decline", "undo Charge": "decline"},
        expected=Expected(
            code=409, told=["Ship: declined", "Charge"], stands=frozenset({"Charge"})
        ),
    ),
    Scenario(
        title="cancelled in a step",
        plan={"Charge": "hold"},
        fault=cancel_in_step,
        expected=Expected(code=409),
    ),
    Scenario(
        title="cancelled in the rollback",
        plan={"Ship": "decline", "undo Pack": "hold"},
        fault=cancel_in_rollback,
        expected=ROLLED_BACK,
    ),
    Scenario(
        title="cancelled in a step, and again in the rollback",
        plan={"Charge": "hold", "undo Charge": "hold"},
        fault=cancel_twice,
        expected=Expected(code=409),
    ),
    Scenario(
        title="the body raises its own error `from` the step's",
        service="Wrapped",
        plan={"Ship": "decline"},
        expected=ROLLED_BACK,
    ),
    Scenario(
        title="the body raises an exception group of terminal errors",
        service="Grouped",
        plan={"Pack": "decline", "Ship": "decline"},
        expected=Expected(code=409, told=["Pack: declined"]),
    ),
    Scenario(
        title="the body raises a registered error",
        service="OutOfStock",
        expected=Expected(code=500, told=["nothing left"]),
    ),
    Scenario(
        title="a step raises a registered error",
        service="OutOfStockInStep",
        expected=Expected(code=500, told=["nothing left"]),
    ),
    Scenario(
        title="a step calls another service; replay; then rollback",
        service="Calling",
        plan={"Charge": "flicker", "Ship": "decline"},
        expected=Expected(code=409, told=["Ship: declined"], once=["Reserve", "Pack"]),
    ),
    Scenario(
        title="a step returns a dataclass; replay",
        service="DataclassResult",
        plan={"Ship": "flicker"},
        expected=Expected(
            told=["Receipt over 50"], stands=frozenset({"Charge", "Ship"}), once=["Charge"]
        ),
    ),
    Scenario(
        title="a step returns a pydantic model; replay",
        service="ModelResult",
        plan={"Ship": "flicker"},
        expected=Expected(told=["Label of 3"], stands=frozenset({"Pack", "Ship"}), once=["Pack"]),
    ),
    Scenario(
        title="a step's result cannot be serialised",
        service="Unserialisable",
        expected=Expected(code=500, once=["Charge"]),
    ),
    Scenario(
        title="the input has the wrong shape",
        order={"quantity": "many"},
        expected=Expected(code=400, told=["quantity"]),
    ),
    Scenario(
        title="the worker is killed in a step",
        plan={"Charge": "hold"},
        fault=kill_worker_in_step,
        kills=True,
        expected=Expected(told=["sold"], stands=SOLD),
    ),
    Scenario(
        title="the worker is killed in a compensation",
        plan={"Ship": "decline", "undo Charge": "hold"},
        fault=kill_worker_in_rollback,
        kills=True,
        expected=ROLLED_BACK,
    ),
    Scenario(
        title="the server is killed in a step",
        plan={"Charge": "hold"},
        fault=kill_server_in_step,
        kills=True,
        expected=Expected(told=["sold"], stands=SOLD),
    ),
    Scenario(
        title="the server is killed in a compensation",
        plan={"Ship": "decline", "undo Charge": "hold"},
        fault=kill_server_in_rollback,
        kills=True,
        expected=ROLLED_BACK,
    ),
)
