"""The `resaga` command, and the parts of its demo that need no server."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from resaga import ResagaError, SagaEvent, StepEvent, __version__
from resaga.cli import command
from resaga.cli.demo.acts import ACTS, Act, Result
from resaga.cli.demo.events import Event, Teller, WatchingObserver, listen
from resaga.cli.demo.folder import DemoFolder
from resaga.cli.demo.run import Interrupted
from resaga.cli.demo.screen import Screen
from resaga.cli.demo.shop import Refused, Shop, Snapshot
from resaga.cli.demo.trap import Trap


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command.app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


# The command


def test_version() -> None:
    assert invoke("--version") == (0, f"resaga {__version__}\n", "")


def test_help_names_the_demo_and_its_options() -> None:
    status, output, _ = invoke("--help")
    assert status == 0
    assert "demo" in output
    status, output, _ = invoke("demo", "--help")
    assert status == 0
    for option in ("--keep", "--ingress-port", "--admin-port"):
        assert option in output


@pytest.mark.parametrize(("held", "status"), [(True, 0), (False, 1)])
def test_status_of_the_demo_says_whether_the_checks_held(
    held: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    async def run(console: Console, **options: Any) -> bool:
        told.update(options)
        return held

    monkeypatch.setattr("resaga.cli.demo.run.run", run)
    assert invoke("demo", "--keep", "--ingress-port", "8080")[0] == status
    assert told == {"keep": True, "ingress_port": 8080, "admin_port": None}


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ResagaError("no [server] here"), 1, "resaga: error: no [server] here\n"),
        (
            Interrupted(signal.SIGTERM),
            143,
            "resaga: interrupted; server and worker are stopped.\n",
        ),
    ],
)
def test_an_error_is_one_line(
    error: Exception, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(console: Console, **options: Any) -> bool:
        raise error

    monkeypatch.setattr("resaga.cli.demo.run.run", run)
    assert invoke("demo") == (status, "", message)


def run_without(package: str, argument: str = "--version") -> subprocess.CompletedProcess[str]:
    """Run ``resaga`` where a package is not installed."""
    program = f"import sys; sys.modules[{package!r}] = None; import resaga.cli; resaga.cli.main()"
    return subprocess.run(
        [sys.executable, "-c", program, argument],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("missing", "argument"),
    [("typer", "--version"), ("rich", "--version"), ("sqlalchemy", "demo")],
)
def test_a_missing_extra_is_named_in_one_line(missing: str, argument: str) -> None:
    run = run_without(missing, argument)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        f"resaga: error: the command needs {missing}, which is not installed. "
        "Install it with: pip install 'resaga[cli]'\n"
    )


def test_nothing_is_missed_that_the_command_does_not_need() -> None:
    run = run_without("pydantic")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"resaga {__version__}\n", "")


# The acts


def good(act: Act) -> Result:
    """What an act has to come to."""
    order = act.order
    before = Snapshot(free=10, taken=100, parcels=3, payments=(), shipments=())
    if order.city == "Atlantis":
        status = 409
        after = replace(before, payments=(order.amount, -order.amount))
    else:
        status = 200
        after = Snapshot(
            free=10 - order.quantity,
            taken=100 + order.amount,
            parcels=4,
            payments=(order.amount,),
            shipments=(order.city,),
        )
    starts = Counter({"ReserveStock": 1, "ChargePayment": 1, "undo ChargePayment": 1})
    if act.trap is not None:
        starts["ChargePayment" if act.trap == "charge" else "undo ChargePayment"] += 1
    kills = 0 if act.trap is None else 1
    return Result(status=status, before=before, after=after, starts=starts, kills=kills)


def held(act: Act, result: Result) -> bool:
    return all(check.held for check in act.checks(act.order, result))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.title)
def test_checks_hold_when_all_is_as_it_should(act: Act) -> None:
    assert held(act, good(act))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.title)
def test_checks_see_whatever_is_wrong(act: Act) -> None:
    result = good(act)
    after = result.after
    wrong = [
        replace(result, status=500),
        replace(result, after=replace(after, free=after.free - 1)),
        replace(result, after=replace(after, taken=after.taken + 1)),
        replace(result, after=replace(after, parcels=after.parcels + 1)),
        replace(result, after=replace(after, payments=(*after.payments, act.order.amount))),
        replace(result, after=replace(after, shipments=(*after.shipments, "Lisbon"))),
    ]
    if act.trap is not None:
        wrong += [replace(result, kills=0), replace(result, starts=Counter[str]())]
    assert [held(act, one) for one in wrong] == [False] * len(wrong)


def test_acts_are_the_four_of_the_demo() -> None:
    assert [(act.trap, act.order.city == "Atlantis") for act in ACTS] == [
        (None, False),
        (None, True),
        ("charge", False),
        ("refund", True),
    ]
    assert len({act.order.id for act in ACTS}) == 4


# The shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(DemoFolder(tmp_path).engine())
    await shop.open("teapot", 5)
    yield shop
    await shop.close()


async def test_what_is_asked_twice_with_one_key_is_done_once(shop: Shop) -> None:
    for _ in range(2):
        assert await shop.reserve("teapot", 2, key="r") == [1, 2]
        await shop.charge("o", 500, key="c")
        await shop.ship("o", "Lisbon", key="s")
    sold = await shop.snapshot("o")
    assert sold == Snapshot(free=3, taken=500, parcels=1, payments=(500,), shipments=("Lisbon",))
    for _ in range(2):
        await shop.refund(charged_by="c", key="c.undo")
        await shop.release(held_by="r")
    undone = replace(sold, free=5, taken=0, payments=(500, -500))
    assert await shop.snapshot("o") == undone


async def test_what_never_happened_is_undone_without_effect(shop: Shop) -> None:
    before = await shop.snapshot("o")
    await shop.refund(charged_by="c", key="c.undo")
    await shop.release(held_by="r")
    assert await shop.snapshot("o") == before


async def test_shop_refuses_and_does_nothing(shop: Shop) -> None:
    before = await shop.snapshot("o")
    with pytest.raises(Refused, match="5 left of teapot, 6 wanted"):
        await shop.reserve("teapot", 6, key="r")
    with pytest.raises(Refused, match="no carrier delivers to Atlantis"):
        await shop.ship("o", "Atlantis", key="s")
    assert await shop.snapshot("o") == before


def test_trap(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "trap")
    assert not trap.is_set("charge")
    trap.set("charge")
    assert trap.is_set("charge")
    assert not trap.is_set("refund")
    trap.remove()
    trap.remove()
    assert not trap.is_set("charge")


# What workers tell, and how it looks


async def test_events_come_through_the_pipe_from_worker_after_worker(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    async with listen(pipe) as events:
        first = WatchingObserver(Teller(pipe))
        first.on_saga_started(SagaEvent(event_id="e", saga_id="inv_1", workflow="W"))
        second = WatchingObserver(Teller(pipe))
        second.on_step_failed(
            StepEvent(
                event_id="e",
                saga_id="inv_1",
                workflow="W",
                step="S",
                path="1",
                error=ValueError("x\ny"),
                retried=True,
            )
        )
        assert await events.get() == Event(kind="saga_started", saga_id="inv_1")
        assert await events.get() == Event(
            kind="step_failed", saga_id="inv_1", step="S", text="x\ny", retried=True
        )


def painted(width: int, encoding: str = "utf-8") -> str:
    """Everything a screen can show."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    screen = Screen(Console(file=file, width=width))
    screen.title("Checkout", ["One", "Two"])
    for number, act in enumerate(ACTS, 1):
        screen.act(number, len(ACTS), act.title, act.story)
        result = good(act)
        screen.ordered(0.0, f"orders {act.order.quantity} [bold]")
        for event in (
            Event(kind="saga_started", saga_id="inv_" + "1" * 34),
            Event(kind="step_started", step="ChargePayment"),
            Event(kind="log", text="payments: 49.00 charged"),
            Event(kind="step_failed", step="ChargePayment", text="long " * 40, retried=True),
            Event(kind="step_completed", step="ChargePayment"),
            Event(kind="compensation_started", step="ChargePayment"),
            Event(kind="compensation_failed", step="ChargePayment", text="no"),
            Event(kind="compensation_completed", step="ChargePayment"),
            Event(kind="saga_completed"),
            Event(kind="saga_failed", text="no"),
        ):
            screen.happened(123.456, event, again=event.kind.endswith("started"))
        screen.killed(0.1, 4194304, "SIGKILL: charge committed, not in the journal yet")
        screen.replaced(0.2, 4194305)
        screen.answered(0.3, 200, "receipt")
        screen.database(result.before, result.after)
        screen.checks(act.checks(act.order, result))
    screen.end(4, 4, 2.0)
    file.seek(0)
    return file.read()


@pytest.mark.parametrize(("width", "widest"), [(80, 80), (200, 100)])
def test_screen_fits_its_width_and_has_no_colour_in_a_pipe(width: int, widest: int) -> None:
    lines = painted(width).splitlines()
    assert max(map(len, lines)) == widest
    assert all(line == line.rstrip() for line in lines)
    assert not any("\x1b" in line for line in lines)
    assert any("[bold]" in line for line in lines)


def test_screen_needs_no_unicode() -> None:
    assert painted(80, "ascii").isascii()


def test_screen_says_what_did_not_hold() -> None:
    file = io.StringIO()
    act = ACTS[0]
    checks = act.checks(act.order, replace(good(act), status=500))
    Screen(Console(file=file, width=80)).checks(checks)
    assert "NOT SO: The customer got a receipt" in file.getvalue()
