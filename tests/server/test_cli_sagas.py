"""``resaga list`` and ``resaga show``, run as a person runs them, on a real server."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import restate
from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Retry,
    Saga,
    saga_module,
    saga_step,
    saga_workflow,
    workflow_client,
)
from tests.support.browser import rendered
from tests.support.client import Invocation
from tests.support.rig import Rig, open_rig
from tests.support.servers import Servers
from tests.support.terminal import Run, Terminal, in_pipe, on_terminal, plain

SECRET = "4111-1111-1111-1111"


@pytest.fixture
async def rig(servers: Servers, tmp_path: Path) -> AsyncIterator[Rig]:
    """One flavour is enough: what is looked at are journals, and they are the same in all."""
    async with open_rig(servers.get("normal"), "normal", tmp_path) as rig:
        yield rig


async def pipe(rig: Rig, *args: str) -> Run:
    """Run it in a pipe; it has to succeed."""
    run = await in_pipe(*args, env={"RESTATE_ADMIN_URL": rig.restate.admin})
    assert (run.status, run.errors) == (0, ""), run
    assert "\x1b" not in run.output
    return run


async def shown(rig: Rig, invocation: Invocation, *options: str) -> dict[str, Any]:
    """One saga as JSON."""
    told: dict[str, Any] = json.loads(
        (await pipe(rig, "show", invocation.id, "--json", *options)).output
    )
    return told


async def failed(rig: Rig, definition: Any, value: object = None) -> Invocation:
    """Run a saga that has to fail."""
    return Invocation(rig.restate, (await rig.fail(definition, value)).invocation_id)


def terminal_error(text: str) -> TerminalError:
    return TerminalError(text, 409)


# -- list ------------------------------------------------------------------------------------


async def test_list_tells_the_state_of_each_saga(rig: Rig) -> None:
    gate, undo_gate = rig.gate(), rig.gate()
    down = ValueError("the bank is down")

    reserve = rig.step("Reserve")
    held = rig.step("Held", gate=gate)
    held_undo = rig.step("HeldUndo", undo_gate=undo_gate)
    flaky = rig.step("Flaky", fails=down)
    flaky_undo = rig.step("FlakyUndo", undo_fails=down)
    lost_undo = rig.step("LostUndo", undo_fails=terminal_error("refused"))
    declines = rig.step("Declines", strict=True, fails=terminal_error("sold out"))
    by_mode = {
        "held": held,
        "held undo": held_undo,
        "flaky": flaky,
        "flaky undo": flaky_undo,
        "lost undo": lost_undo,
    }

    @saga_workflow(rig.name("Order"))
    async def order(saga: Saga, mode: str) -> str:
        await reserve(saga, mode)
        if mode in by_mode:
            await by_mode[mode](saga, mode)
        if mode == "sleeps":
            await saga.ctx.sleep(timedelta(hours=1))
        if mode != "completes":
            await declines(saga, mode)
        return "done"

    await rig.serve(order)
    sent = {
        mode: await rig.send(order, mode)
        for mode in (*by_mode, "sleeps", "killed", "completes", "declines")
        if mode != "killed"
    }
    killed = sent["killed"] = await rig.send(order, "sleeps")
    await gate.reached()
    await undo_gate.reached()
    for mode, entry in (("flaky", "Flaky"), ("flaky undo", "compensate:FlakyUndo")):
        await sent[mode].until_entry(entry)
        await sent[mode].until_status("backing-off")
        await sent[mode].pause()
        await sent[mode].until_status("paused")
    for invocation in (sent["sleeps"], killed):
        await invocation.until_entry("Reserve", completed=True)
    await killed.kill()
    for mode in ("killed", "completes", "declines", "lost undo"):
        await sent[mode].until_status("completed")

    listed = json.loads((await pipe(rig, "list", "--json", "-w", order.name)).output)
    by_id = {saga["id"]: saga for saga in listed}
    assert {mode: by_id[invocation.id]["state"] for mode, invocation in sent.items()} == {
        "held": "running",
        "held undo": "rolling back",
        "flaky": "paused",
        "flaky undo": "paused in rollback",
        "lost undo": "incomplete",
        "sleeps": "waiting",
        "killed": "incomplete",
        "completes": "completed",
        "declines": "rolled back",
    }
    assert [saga["created_at"] for saga in listed] == sorted(
        (saga["created_at"] for saga in listed), reverse=True
    )

    # As text: the same in a pipe, and on terminals of two widths.
    text = await pipe(rig, "list", "-w", order.name)
    assert len(text.lines) == len(sent) + 2
    for invocation in sent.values():
        state = by_id[invocation.id]["state"]
        assert any(line.startswith(state) and invocation.id in line for line in text.lines)
    assert text.lines[-1].startswith("9 sagas: 1 running, 1 waiting, 1 paused, 1 rolling back")
    for columns in (80, 200):
        run = await on_terminal(
            "list", "-w", order.name, columns=columns, env={"RESTATE_ADMIN_URL": rig.restate.admin}
        )
        assert run.status == 0
        assert "\x1b[" in run.output
        for invocation in sent.values():
            assert any(invocation.id in line for line in run.lines)
        assert max(map(len, run.lines[:-1])) <= columns
        assert any("refused" in line for line in run.lines)

    # What needs an operator, and other filters.
    stuck = await pipe(rig, "list", "-w", order.name, "--state", "stuck", "--json")
    assert {saga["id"] for saga in json.loads(stuck.output)} == {
        sent[mode].id for mode in ("flaky", "flaky undo", "lost undo", "killed")
    }
    one = await pipe(rig, "list", "-w", order.name, "-s", "rolling-back", "--json")
    assert [saga["id"] for saga in json.loads(one.output)] == [sent["held undo"].id]
    assert json.loads((await pipe(rig, "list", "--older", "1d", "--json")).output) == []
    few = await pipe(rig, "list", "-w", order.name, "--newer", "1d", "-n", "2", "--json")
    assert json.loads(few.output) == listed[:2]


async def test_list_shows_sagas_only(rig: Rig) -> None:
    plain_service = restate.Service(rig.name("Plain"))

    @plain_service.handler("run")
    async def run(ctx: restate.Context) -> None: ...

    @saga_workflow(rig.name("Empty"))
    async def empty(saga: Saga) -> None: ...

    await rig.serve(plain_service, empty)
    await rig.call(plain_service)
    await rig.call(empty)
    listed = json.loads((await pipe(rig, "list", "--json")).output)
    assert {plain_service.name, empty.name} & {saga["workflow"] for saga in listed} == {empty.name}


async def test_list_does_not_end_in_a_traceback_when_nobody_reads_on(rig: Rig) -> None:
    @saga_workflow(rig.name("Empty"))
    async def empty(saga: Saga) -> None: ...

    await rig.serve(empty)
    await rig.call(empty)
    process = await asyncio.create_subprocess_shell(
        f'"{sys.executable}" -m resaga.cli list --admin {rig.restate.admin} | true',
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert errors == b""


# -- show ------------------------------------------------------------------------------------


async def test_show_draws_branches_side_by_side_and_their_undos(rig: Rig) -> None:
    a, b, c = rig.steps("A", "B", "C")
    d = rig.step("D", fails=terminal_error("no room"), strict=True)

    @saga_workflow(rig.name("Trip"))
    async def trip(saga: Saga, value: str) -> None:
        async def arm() -> None:
            await b(saga, value)
            await c(saga, value)

        await a(saga, value)
        await saga.gather(arm(), c(saga, value))
        await d(saga, value)

    await rig.serve(trip)
    invocation = await failed(rig, trip, SECRET)
    told = await shown(rig, invocation)
    entries = {(e["kind"], e["name"], e["path"]): e for e in told["entries"]}
    assert {key for key in entries if key[0] == "step"} == {
        ("step", "A", "1"),
        ("step", "B", "2.1.1"),
        ("step", "C", "2.1.2"),
        ("step", "C", "2.2.1"),
        ("step", "D", "3"),
    }
    assert {key for key in entries if key[0] == "undo"} == {
        ("undo", name, path) for _, name, path in entries if name != "D" and path is not None
    }
    assert entries["step", "D", "3"]["outcome"] == "failed"
    assert entries["step", "D", "3"]["failure"]["message"] == "no room"
    assert entries["step", "C", "2.1.2"]["branch"] == "2.1"
    assert told["state"] == "rolled back"

    text = await pipe(rig, "show", invocation.id)
    graphs = [re.sub(r"^[ +\d.a-z]*? {2,}(?=[✔✘↩│├])", "", line) for line in text.lines]
    assert "├─┬─╮" in graphs
    assert any(re.match(r"│ ✔ │ +B  undone", line) for line in graphs)
    assert any(re.match(r"│ │ ✔ +C  undone", line) for line in graphs)
    assert any(re.match(r"│ ↩ │ +undo B", line) for line in graphs)
    assert any(re.match(r"✘ +D  failed, \[409\] no room", line) for line in graphs)
    # Where there is no room for lanes, branches are named, and no line is too long.
    for columns in (80, 200):
        run = await on_terminal(
            "show", invocation.id, columns=columns, env={"RESTATE_ADMIN_URL": rig.restate.admin}
        )
        assert run.status == 0
        assert max(len(line) for line in run.lines if "restate invocations" not in line) <= columns
    # Payloads only where they are asked for.
    every = [
        text.output,
        json.dumps(told),
        (await pipe(rig, "show", invocation.id, "--mermaid")).output,
    ]
    assert not any(SECRET in output for output in every)
    assert SECRET in (await pipe(rig, "show", invocation.id, "--payloads")).output


async def test_show_tells_what_is_stuck_and_how_to_go_on(rig: Rig) -> None:
    refund_down = {"down": True}

    def undo_fails(_: int) -> BaseException | None:
        return ValueError("the bank is down") if refund_down["down"] else None

    reserve = rig.step("Reserve")
    charge = rig.step("Charge", undo_fails=undo_fails)
    notify = rig.step("Notify", undo=False)
    ship = rig.step("Ship", strict=True, fails=terminal_error("no ship to Atlantis"))

    @saga_workflow(rig.name("Order"))
    async def order(saga: Saga, value: str) -> None:
        for step in (reserve, charge, notify, ship):
            await step(saga, value)

    await rig.serve(order)
    invocation = await rig.send(order, "x")
    await invocation.until_entry("compensate:Charge")
    await invocation.until_status("backing-off")
    await invocation.pause()
    await invocation.until_status("paused")

    told = await shown(rig, invocation)
    assert told["state"] == "paused in rollback"
    # Notify and Ship are newer, and the rollback has gone past them.
    assert [item["step"] for item in told["on_stack"]] == ["Charge", "Reserve"]
    assert "the bank is down" in told["last_error"]["message"]
    undo = next(entry for entry in told["entries"] if entry["kind"] == "undo")
    assert (undo["name"], undo["path"], undo["outcome"]) == ("Charge", "2", "in flight")
    assert "the bank is down" in undo["errors"][0]["message"]
    commands = {advice["command"]: advice for advice in told["commands"]}
    resume = f"restate invocations resume {invocation.id}"
    kill = f"restate invocations kill {invocation.id}"
    assert resume in commands
    assert commands[kill]["harmful"]
    assert "without undoing Charge, Reserve" in commands[kill]["effect"]
    assert "skips no compensation" in told["if_cancelled"]

    run = await on_terminal(
        "show", invocation.id, columns=80, env={"RESTATE_ADMIN_URL": rig.restate.admin}
    )
    assert resume in run.lines
    assert any(line.startswith("left to undo: Charge, Reserve") for line in run.lines)

    refund_down["down"] = False
    await invocation.resume()
    await invocation.until_status("completed")
    told = await shown(rig, invocation)
    assert told["state"] == "rolled back"
    assert told["on_stack"] == []


async def test_show_tells_what_a_cancel_would_undo_and_what_a_kill_left(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Waits"))
    async def waits(saga: Saga, value: str) -> None:
        await a(saga, value)
        await b(saga, value)
        await saga.ctx.sleep(timedelta(hours=1), name="cooling off")

    await rig.serve(waits)
    invocation = await rig.send(waits, "x")
    await invocation.until_entry("cooling off")
    told = await shown(rig, invocation)
    assert told["state"] == "waiting"
    assert told["if_cancelled"] == "it stops waiting, then it undoes B, A, newest first."
    assert told["entries"][-1]["kind"] == "sleep"
    assert told["entries"][-1]["until"] is not None

    await invocation.kill()
    await invocation.until_status("completed")
    told = await shown(rig, invocation)
    assert (told["state"], told["killed"]) == ("incomplete", True)
    assert told["not_undone"] == ["B", "A"]
    assert "killed, so NOT UNDONE: B, A" in (await pipe(rig, "show", invocation.id)).output


async def test_show_tells_outcomes_that_are_not_known(rig: Rig) -> None:
    gives_up = rig.step("GivesUp", fails=ValueError("?"), retry=Retry(max_attempts=2))
    lost = rig.step("Lost", undo_fails=terminal_error("refused"))

    @saga_workflow(rig.name("Unknown"))
    async def unknown(saga: Saga, value: str) -> None:
        await lost(saga, value)
        await gives_up(saga, value)

    await rig.serve(unknown)
    told = await shown(rig, await failed(rig, unknown, "x"))
    outcomes = {(e["kind"], e["name"]): e["outcome"] for e in told["entries"]}
    assert outcomes == {
        ("step", "Lost"): "completed",
        ("step", "GivesUp"): "unknown",
        ("undo", "GivesUp"): "completed",
        ("undo", "Lost"): "failed",
    }
    assert told["state"] == "incomplete"
    assert told["not_undone"] == ["Lost"]
    assert any(advice["harmful"] and "purge" in advice["command"] for advice in told["commands"])


async def test_show_has_called_sagas_below_it(rig: Rig) -> None:
    child_step, parent_step = rig.step("InChild"), rig.step("InParent")

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga, value: str) -> str:
        await child_step(saga, value)
        return value

    @saga_workflow(rig.name("Parent"))
    async def parent(saga: Saga, value: str) -> str:
        await parent_step(saga, value)
        return await saga.ctx.service_call(child.run, value)

    await rig.serve(parent, child)
    await rig.call(parent, "x")
    (invocation,) = await rig.restate.invocations(parent)
    told = await shown(rig, invocation)
    call = told["entries"][-1]
    assert (call["kind"], call["saga"]["workflow"]) == ("call", child.name)
    assert [entry["name"] for entry in call["saga"]["entries"]] == ["InChild"]
    assert call["saga"]["called_by"] == invocation.id
    assert "InChild" in (await pipe(rig, "show", invocation.id)).output
    assert "saga" not in (await shown(rig, invocation, "--depth", "0"))["entries"][-1]


async def test_show_has_what_runs_inside_as_trees(rig: Rig) -> None:
    """A nested workflow, a module in it, and a saga elsewhere that a durable step calls."""
    reserve, authorize, capture = rig.steps("Reserve", "Authorize", "Capture")
    book, notify = rig.step("Book"), rig.step("Notify", undo=False)
    ends = rig.step("Ends", strict=True, fails=terminal_error("no ship"))

    @saga_workflow(rig.name("Remote"))
    async def remote(saga: Saga, value: str) -> str:
        await book(saga, value)
        return value

    @saga_workflow(rig.name("RemoteUndo"))
    async def remote_undo(saga: Saga, value: str) -> None:
        await notify(saga, value)

    @saga_step("Ship", durable=True)
    async def ship(step: DurableStepContext, value: str) -> str:
        return await workflow_client(step, remote).run(value)

    @ship.compensate
    async def unship(step: DurableCompensationContext[object, str], value: str) -> None:
        await workflow_client(step, remote_undo).run(value)

    @saga_module
    async def twice(saga: Saga, value: str) -> None:
        await authorize(saga, value)
        await saga.ctx.sleep(timedelta(milliseconds=1), name="cooling off")
        await capture(saga, value)

    @saga_workflow(rig.name("Payment"))
    async def payment(saga: Saga, value: str) -> None:
        await twice(saga, value)
        await ship(saga, value)

    @saga_workflow(rig.name("Order"))
    async def order(saga: Saga, value: str) -> None:
        await reserve(saga, value)
        await payment.run_as_step(saga, value)
        await notify(saga, value)
        await ends(saga, value)

    await rig.serve(order, payment, remote, remote_undo)
    invocation = await failed(rig, order, "x")
    told = await shown(rig, invocation)
    trees = [
        (e["kind"], e["name"].partition("/")[0], [nest["name"] for nest in e.get("within", [])])
        for e in told["entries"]
    ]
    inside = [payment.name, "twice"]
    assert trees == [
        ("step", "Reserve", []),
        ("step", "Authorize", inside),
        ("sleep", "cooling off", inside),
        ("step", "Capture", inside),
        ("step", "Ship", [payment.name]),
        ("call", remote.name, []),
        ("step", "Notify", []),
        ("step", "Ends", []),
        ("undo", "Ship", []),
        ("call", remote_undo.name, []),
        ("undo", "Capture", []),
        ("undo", "Authorize", []),
        ("undo", "Reserve", []),
    ]
    called = [e["saga"] for e in told["entries"] if e["kind"] == "call"]
    assert [[e["name"] for e in saga["entries"]] for saga in called] == [["Book"], ["Notify"]]
    steps = {e["name"]: e for e in told["entries"] if e["kind"] == "step"}
    assert {name: step["has_compensation"] for name, step in steps.items()} == {
        "Reserve": True,
        "Authorize": True,
        "Capture": True,
        "Ship": True,
        "Notify": False,
        "Ends": False,
    }
    assert {e["outcome"] for e in told["entries"]} == {"completed", "failed"}
    lines = (await pipe(rig, "show", invocation.id)).lines
    assert f"▾ {payment.name}" in [line.strip() for line in lines]
    assert "▾   twice" in [line.strip() for line in lines]


async def test_show_tells_what_is_on_the_stack(rig: Rig) -> None:
    """Not what has no compensation, nor what a pivot has dropped; a compensation without a step."""
    gate = rig.gate()
    before, sure, held = rig.step("Before"), rig.step("Sure"), rig.step("Held", gate=gate)
    notify = rig.step("Notify", undo=False)

    async def close(step: CompensationContext, value: str) -> None:
        rig.ledger.note("closed")

    @saga_workflow(rig.name("Stack"))
    async def stack(saga: Saga, value: str) -> None:
        await before(saga, value)
        saga.pivot()
        saga.add_compensation("Close", close, value)
        await sure(saga, value)
        await notify(saga, value)
        await held(saga, value)

    await rig.serve(stack)
    invocation = await rig.send(stack, "x")
    await gate.reached()
    told = await shown(rig, invocation)
    held_perhaps = "Held (if it has a compensation)"
    assert [(item["step"], item["sure"]) for item in told["on_stack"]] == [
        ("Held", False),
        ("Sure", True),
        ("Close", True),
    ]
    undoes = f"it undoes {held_perhaps}, Sure, Close, newest first"
    assert told["if_cancelled"] == f"Held may finish, then {undoes}."
    # And that is what happens.
    await invocation.cancel()
    gate.open()
    await invocation.until_status("completed")
    assert rig.ledger.order()[-3:] == ["undo Held", "undo Sure", "note closed"]


async def test_show_writes_a_page_that_a_browser_shows(rig: Rig, tmp_path: Path) -> None:
    a, b = rig.step("<b>A & co</b>"), rig.step("B", undo_fails=terminal_error("refused"))
    c = rig.step("C", strict=True, fails=terminal_error("<i>no</i>"))

    @saga_workflow(rig.name("Page"))
    async def page(saga: Saga, value: str) -> None:
        await saga.gather(a(saga, value), b(saga, value))
        await c(saga, value)

    await rig.serve(page)
    invocation = await failed(rig, page, SECRET)
    file = tmp_path / "saga.html"
    said = await pipe(rig, "show", invocation.id, "--html", str(file))
    assert said.output == f"wrote {file}\n"
    text = file.read_text()
    assert SECRET not in text
    # Nothing that asks for anything elsewhere, or runs.
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", text)
    # The page measures itself: its style is applied, and branches stand side by side.
    probe = """<script>
      const at = [...document.querySelectorAll('.gather')][0].children;
      const [one, two] = [at[0].getBoundingClientRect(), at[1].getBoundingClientRect()];
      const wide = document.documentElement.scrollWidth > window.innerWidth;
      document.title = JSON.stringify([one.top === two.top, one.right <= two.left, wide,
        getComputedStyle(document.querySelector('.state.incomplete')).backgroundColor,
        document.querySelector('.name').textContent]);
    </script></body>"""
    probing = tmp_path / "probing.html"
    allowed = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    probing.write_text(allowed.replace("</body>", probe))
    for width in (1200, 600):
        document = await asyncio.to_thread(
            rendered, probing, tmp_path / f"profile{width}", width=width
        )
        title = re.search(r"<title>(.*?)</title>", document, re.DOTALL)
        assert title is not None
        told = json.loads(html.unescape(title[1]))
        assert told == [True, True, False, "rgb(180, 35, 24)", "<b>A & co</b>"]
    secret = tmp_path / "secret.html"
    await pipe(rig, "show", invocation.id, "--html", str(secret), "--payloads")
    assert SECRET in secret.read_text()
    assert "cannot be written" in await bad(
        *("show", invocation.id, "--html", str(tmp_path), "--admin", rig.restate.admin)
    )


async def test_show_follows_a_saga_to_its_end(rig: Rig) -> None:
    gate = rig.gate()
    held = rig.step("Held", gate=gate)

    @saga_workflow(rig.name("Watched"))
    async def watched(saga: Saga, value: str) -> None:
        await held(saga, value)

    await rig.serve(watched)
    invocation = await rig.send(watched, "x")
    await gate.reached()
    args = ("show", invocation.id, "--watch")
    with Terminal(*args, columns=80, env={"RESTATE_ADMIN_URL": rig.restate.admin}) as terminal:
        await asyncio.to_thread(terminal.until, lambda text: "in flight for" in text)
        gate.open()
        run = await asyncio.to_thread(terminal.end)
    assert run.status == 0
    assert "completed" in plain(run.output).rpartition("in flight for")[2]
    # In a pipe, once, as it has ended.
    assert (await pipe(rig, *args)).output.count(invocation.id) >= 1


async def test_show_stops_following_on_ctrl_c(rig: Rig) -> None:
    gate = rig.gate()
    held = rig.step("Held", gate=gate)

    @saga_workflow(rig.name("Watched"))
    async def watched(saga: Saga, value: str) -> None:
        await held(saga, value)

    await rig.serve(watched)
    invocation = await rig.send(watched, "x")
    await gate.reached()
    args = ("show", invocation.id, "--watch")
    with Terminal(*args, columns=80, env={"RESTATE_ADMIN_URL": rig.restate.admin}) as terminal:
        await asyncio.to_thread(terminal.until, lambda text: "in flight for" in text)
        terminal.interrupt()
        run = await asyncio.to_thread(terminal.end)
    assert run.status == 0
    assert "Traceback" not in run.output
    assert await invocation.status() == "running"


# -- bad input -------------------------------------------------------------------------------


async def bad(*args: str, env: Mapping[str, str] | None = None) -> str:
    """Run what cannot work; the one line it says."""
    run = await in_pipe(*args, env=env)
    assert run.status == 2, run
    assert run.output == ""
    assert run.errors.startswith("resaga: error: ")
    assert run.errors.count("\n") == 1, run.errors
    return run.errors


async def test_what_cannot_work_takes_one_line(rig: Rig) -> None:
    admin = rig.restate.admin
    gone = "inv_1gzM6vebYHPh5fM0FLdNb5LSXH24DEtE2i"
    nobody = "http://127.0.0.1:1"
    assert "does not answer" in await bad("show", gone, env={"RESTATE_ADMIN_URL": nobody})
    assert "not like the admin API" in await bad("list", "--admin", rig.restate.ingress)
    assert "there is no invocation" in await bad("show", gone, "--admin", admin)
    assert "no invocation id" in await bad("show", "inv_1", "--admin", admin)
    assert "no workflow" in await bad("list", "-w", "Nobody", "--admin", admin)
    traceback = await in_pipe("show", gone, "--admin", admin, "--debug")
    assert traceback.status != 0
    assert "Traceback" in traceback.errors


async def test_a_server_that_is_too_old_is_told_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, body = "200 OK", b'{"services":[{"name":"S","handlers":[{"name":"run",'
        body += b'"metadata":{"resaga":"saga"}}]}]}'
        if "/query" in head:
            status, body = "500 Internal Server Error", b"Schema error: No field named created_at"
        elif "/version" in head:
            body = b'{"version":"1.1.0"}'
        head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await bad("list", "--admin", f"http://127.0.0.1:{port}")
    assert "is Restate 1.1.0, and this needs 1.7 or newer: upgrade it" in said
