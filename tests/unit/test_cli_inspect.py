"""From rows of the server's tables to the model of a saga, and to what is drawn of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from restate import TerminalError

from resaga import CompensationFailure, RollbackIncomplete
from resaga.cli.inspect.advice import advice_of, if_cancelled, stack_of
from resaga.cli.inspect.asjson import saga_json
from resaga.cli.inspect.blocks import Block, Gather, Inside, arrange
from resaga.cli.inspect.build import summarize, view
from resaga.cli.inspect.html import html_page
from resaga.cli.inspect.lanes import lay_out
from resaga.cli.inspect.mermaid import mermaid
from resaga.cli.inspect.model import SagaView
from resaga.cli.inspect.queries import EntryRow, EventRow, InvocationRow, ProgressRow
from resaga.cli.inspect.timeline import timeline
from resaga.cli.inspect.words import ASCII, UNICODE, age, span

ID = "inv_1aB"
BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(seconds=10)


class Journal:
    """Writes rows as the server does."""

    def __init__(self) -> None:
        self.rows: list[EntryRow] = []
        self._completions = 0
        self._add("Command: Input", {"Command": {"Input": {}}})

    def run(self, name: str, path: str | None = None, **record: Any) -> int:
        """A run that has begun; with a path, also its result."""
        self._completions += 1
        number = self._completions
        body = {"Command": {"Run": {"completion_id": number, "name": name}}}
        self._add("Command: Run", body, name=name)
        if path is not None:
            self.end(number, {"key": f"{ID}.{path}", **record})
        return number

    def undo(self, name: str, *, done: bool = True, failure: str | None = None) -> None:
        """A compensation."""
        number = self.run(f"compensate:{name}")
        if failure is not None:
            self._result(number, {"Failure": {"code": 409, "message": failure}})
        elif done:
            self._result(number, {"Success": []})

    def end(self, number: int, record: object) -> None:
        """The result of a run."""
        self._result(number, {"Success": list(json.dumps(record).encode())})

    def give_up(self, number: int, message: str) -> None:
        """A run whose retries are exhausted."""
        self._result(number, {"Failure": {"code": 500, "message": message}})

    def output(self, error: TerminalError) -> None:
        """The end, with an error."""
        metadata = [{"key": key, "value": value} for key, value in (error.metadata or {}).items()]
        failure = {"code": error.status_code, "message": error.message, "metadata": metadata}
        output = {"Command": {"Output": {"result": {"Failure": failure}}}}
        self._add("Command: Output", {"Command": {"Output": {}}}, whole=output)

    def state(self, kind: str, key: str, *, name: str = "") -> None:
        """What was done with state; its name stands in the row alone."""
        self._add(f"Command: {kind}", {"Command": {kind: {"key": key}}}, name=name)

    def cancel(self) -> None:
        """A cancel."""
        lite = {"Notification": {"ty": "Signal", "id": {"SignalIndex": 1}, "result": "Void"}}
        self._add("Notification: Signal", lite)

    def sleep(self, name: str) -> None:
        """A sleep that goes on."""
        self._completions += 1
        at = int((NOW + timedelta(hours=1)).timestamp() * 1000)
        sleep = {"wake_up_time": at, "completion_id": self._completions, "name": name}
        self._add("Command: Sleep", {"Command": {"Sleep": sleep}}, name=name)

    def _result(self, number: int, result: object) -> None:
        kind = "Failure" if "Failure" in str(result) else "Success"
        lite = {"ty": {"Completion": "Run"}, "id": {"CompletionId": number}, "result": kind}
        whole = {"Completion": {"Run": {"completion_id": number, "result": result}}}
        self._add("Notification: Run", {"Notification": lite}, whole={"Notification": whole})

    def _add(
        self, kind: str, lite: object, *, name: str | None = None, whole: object = None
    ) -> None:
        index = len(self.rows)
        self.rows.append(
            EntryRow(
                index=index,
                entry_type=kind,
                appended_at=BEGIN + timedelta(milliseconds=index),
                name=name,
                lite=json.dumps(lite),
                json=None if whole is None else json.dumps(whole),
            )
        )


def row(status: str = "running", **more: Any) -> InvocationRow:
    """An invocation."""
    usual: dict[str, Any] = {
        "id": ID,
        "target": "Order/run",
        "target_service_name": "Order",
        "target_handler_name": "run",
        "status": status,
        "created_at": BEGIN,
        "modified_at": BEGIN,
    }
    return InvocationRow(**usual | more)


def look(
    journal: Journal,
    invocation: InvocationRow | None = None,
    *events: EventRow,
    payloads: bool = False,
) -> SagaView:
    """The view of a journal."""
    return view(invocation or row(), journal.rows, events, is_saga=True, payloads=payloads, now=NOW)


# -- states ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "begun", "ended", "step", "undo", "entries", "state"),
    [
        ("running", 1, 0, 1, -1, 2, "running"),
        ("running", 0, 0, -1, -1, 1, "running"),
        ("running", 1, 1, 1, -1, 4, "waiting"),
        ("suspended", 1, 1, 1, -1, 4, "waiting"),
        ("backing-off", 1, 0, 1, -1, 2, "running"),
        ("paused", 1, 0, 1, -1, 2, "paused"),
        ("running", 2, 1, 1, 3, 4, "rolling back"),
        ("suspended", 2, 2, 1, 3, 5, "rolling back"),
        ("paused", 2, 1, 1, 3, 4, "paused in rollback"),
        # A savepoint was rolled back, and the saga went on.
        ("running", 3, 2, 5, 3, 6, "running"),
    ],
)
def test_states_of_sagas_that_go_on(
    status: str, begun: int, ended: int, step: int, undo: int, entries: int, state: str
) -> None:
    progress = ProgressRow(
        id=ID, begun=begun, ended=ended, last_step=step, last_undo=undo, entries=entries
    )
    assert summarize(row(status), progress).state == state


def test_states_of_sagas_that_have_ended() -> None:
    def state(failure: str | None, *, killed: bool = False) -> str:
        return summarize(row("completed", completion_failure=failure), killed=killed).state

    assert state(None) == "completed"
    assert state("[409] sold out") == "rolled back"
    assert state("[409] killed") == "rolled back"
    assert state("[409] killed", killed=True) == "incomplete"
    assert state("[409] no (rollback incomplete, not undone: A: b)") == "incomplete"


def test_a_list_tells_why_a_saga_is_paused() -> None:
    failure = {"error_code": 500, "error_message": "the bank is down"}
    pause = json.dumps({"ty": "Paused", "last_failure": failure})
    assert summarize(row("paused"), pause=pause).error == "the bank is down"
    # By hand, nothing had failed.
    assert summarize(row("paused"), pause='{"ty":"Paused"}').error is None


# -- what happened ---------------------------------------------------------------------------


def test_a_step_in_flight_is_the_next_one_of_the_body() -> None:
    journal = Journal()
    journal.run("A", "1", output=1)
    journal.run("B")
    saga = look(journal)
    assert [(e.name, e.path, e.outcome) for e in saga.steps] == [
        ("A", "1", "completed"),
        ("B", "2", "in flight"),
    ]
    b = "B (if it has a compensation)"
    assert stack_of(saga) == [b, "A"]
    assert if_cancelled(saga) == f"B may finish, then it undoes {b}, A, newest first."


def test_a_step_in_flight_beside_others_has_no_branch_yet() -> None:
    journal = Journal()
    first, second = journal.run("A"), journal.run("B")
    journal.end(second, {"key": f"{ID}.1.2.1"})
    assert [e.path for e in look(journal).steps] == [None, "1.2.1"]
    journal.end(first, {"key": f"{ID}.1.1.1"})
    assert [e.path for e in look(journal).steps] == ["1.1.1", "1.2.1"]


def test_steps_in_flight_at_the_same_time_are_in_branches() -> None:
    journal = Journal()
    journal.run("Before", "1")
    for name in ("A", "B"):
        journal.run(name)
    saga = look(journal)
    assert [e.path for e in saga.steps] == ["1", None, None]
    assert [entry.name for entry in saga.on_stack] == ["B", "A", "Before"]


def test_a_step_after_branches_is_one_of_the_body_again() -> None:
    journal = Journal()
    for path in ("1.1.1", "1.2.1", "2"):
        journal.run("A", path)
    journal.run("B")
    assert look(journal).steps[-1].path == "3"


def test_outcomes() -> None:
    journal = Journal()
    journal.run("Completed", "1", output={"id": 1})
    journal.run("Failed", "2", failure={"message": "sold out", "code": 409})
    lost = {"message": "too large", "code": 500, "metadata": {"resaga.outcome": "unknown"}}
    journal.run("Lost", "3", failure=lost)
    journal.give_up(journal.run("GaveUp"), "ValueError('x')")
    saga = look(journal)
    assert [(e.name, e.outcome) for e in saga.steps] == [
        ("Completed", "completed"),
        ("Failed", "failed"),
        ("Lost", "unknown"),
        ("GaveUp", "unknown"),
    ]
    assert all(e.payloads == {} for e in saga.entries)
    kept = look(journal, payloads=True)
    assert kept.steps[0].payloads == {"output": {"id": 1}}


def test_a_step_without_a_compensation_is_not_on_the_stack() -> None:
    journal = Journal()
    journal.run("A", "1", output=1)
    journal.run("B", "2", output=1, about={"undo": False})
    journal.run("C", "3", failure={"message": "no", "code": 409}, about={"undo": False})
    saga = look(journal)
    assert [step.undoable for step in saga.steps] == [True, False, False]
    assert stack_of(saga) == ["A"]
    told = json.loads(saga_json(saga))
    assert [entry["has_compensation"] for entry in told["entries"]] == [True, False, False]
    assert told["on_stack"] == [{"step": "A", "path": "1", "sure": True}]


def test_an_undo_belongs_to_a_step_that_has_one() -> None:
    journal = Journal()
    journal.run("Pay", "1", output=1)
    journal.run("Pay", "2", output=1, about={"undo": False})
    journal.undo("Pay")
    assert [undo.path for undo in look(journal).undos] == ["1"]


def test_what_a_pivot_has_dropped_is_not_on_the_stack() -> None:
    journal = Journal()
    journal.run("Before", "1", output=1)
    for path in ("2.1.1", "2.2.1"):
        journal.run("Branch", path, output=1)
    assert stack_of(look(journal)) == ["Branch", "Branch", "Before"]
    journal.run("After", "3", output=1, about={"pivot": 2})
    assert stack_of(look(journal)) == ["After"]


def test_a_compensation_without_a_step_is_told_by_the_next_step() -> None:
    journal = Journal()
    journal.run("A", "1", output=1)
    journal.run("B", "3", output=1, about={"added": [["2", "Close"]]})
    saga = look(journal)
    assert [(e.kind, e.name, e.path) for e in saga.entries] == [
        ("step", "A", "1"),
        ("added", "Close", "2"),
        ("step", "B", "3"),
    ]
    assert stack_of(saga) == ["B", "Close", "A"]
    journal.undo("B")
    journal.undo("Close")
    saga = look(journal)
    assert stack_of(saga) == ["A"]
    assert [undo.path for undo in saga.undos] == ["3", "2"]
    assert "+ Close" in "\n".join(x.plain for x in timeline(saga, width=80, glyphs=UNICODE))
    assert "s_a2 -. undone by .-> s_7" in mermaid(saga)


def test_the_journal_does_not_tell_how_durable_code_ended() -> None:
    journal = Journal()
    journal.run("Ship", "1", about={"durable": True})
    journal.sleep("for the courier")
    (ship,) = look(journal).steps
    assert (ship.outcome, ship.durable) == ("begun", True)
    journal.run("After", "2")
    assert [step.outcome for step in look(journal).steps] == ["completed", "completed"]
    # Its compensation is the same: not done because it has begun.
    journal.undo("After")
    journal.end(journal.run("compensate:Ship"), {"key": f"{ID}.1.undo"})
    saga = look(journal)
    assert [undo.outcome for undo in saga.undos] == ["completed", "begun"]
    assert stack_of(saga) == ["Ship"]


def test_a_durable_compensation_that_failed_for_good_is_told_by_the_sagas_end() -> None:
    journal = Journal()
    journal.run("Ship", "1", about={"durable": True})
    journal.run("Pay", "2", about={"durable": True})
    for name, path in (("Pay", "2"), ("Ship", "1")):
        journal.end(journal.run(f"compensate:{name}"), {"key": f"{ID}.{path}.undo"})
    error = RollbackIncomplete(
        TerminalError("sold out", 409), [CompensationFailure("Ship", "the ship has sailed")]
    )
    journal.output(error)
    saga = look(journal, row("completed", completion_failure=f"[409] {error.message}"))
    assert [(undo.name, undo.outcome) for undo in saga.undos] == [
        ("Pay", "completed"),
        ("Ship", "failed"),
    ]
    assert saga.undos[1].failure is not None
    assert saga.undos[1].failure.message == "the ship has sailed"
    assert saga.summary.state == "incomplete"


def test_undos_belong_to_the_newest_step_of_their_name_and_of_a_line() -> None:
    journal = Journal()
    journal.run("A", "1")
    for path in ("2.1.1", "2.2.1", "2.1.2"):
        journal.run("A", path)
    journal.run("NoUndo", "3")
    # Branches are undone side by side, each newest first.
    for _ in range(4):
        journal.undo("A")
    saga = look(journal, row("running"))
    assert [undo.path for undo in saga.undos] == ["2.1.2", "2.1.1", "2.2.1", "1"]
    # The rollback has gone past the step that is newer than what it undoes.
    assert stack_of(saga) == []


def test_what_is_left_to_undo_while_a_rollback_is_paused() -> None:
    journal = Journal()
    for number, name in enumerate(("A", "B", "C"), 1):
        journal.run(name, str(number))
    journal.undo("B", done=False)
    event = EventRow(
        after_journal_entry_index=6,
        appended_at=BEGIN,
        event_type="Paused",
        event_json=json.dumps(
            {
                "ty": "Paused",
                "last_failure": {
                    "error_code": 500,
                    "error_message": "down",
                    "related_command_index": 4,
                },
            }
        ),
    )
    saga = look(journal, row("paused"), event)
    assert saga.summary.state == "paused in rollback"
    assert stack_of(saga) == ["B", "A"]
    assert [error.message for error in saga.undos[0].errors] == ["down"]
    kill = next(advice for advice in advice_of(saga) if " kill " in advice.command)
    assert (kill.harmful, "B, A" in kill.effect) == (True, True)


def test_changes_of_state_say_of_what_and_whether_they_restore_it() -> None:
    journal = Journal()
    journal.state("GetEagerState", "balance")
    journal.state("SetState", "balance")
    journal.state("ClearState", "balance", name="compensate:balance")
    assert [(e.kind, e.name, e.outcome) for e in look(journal).entries] == [
        ("other", "get state balance", "completed"),
        ("other", "set state balance", "completed"),
        ("other", "restore state balance", "completed"),
    ]


def test_a_savepoint_that_was_undone_is_no_rollback() -> None:
    journal = Journal()
    journal.run("A", "1")
    journal.run("Inside", "2")
    journal.undo("Inside")
    journal.run("After", "3")
    saga = look(journal)
    assert saga.summary.state == "waiting"
    assert stack_of(saga) == ["After", "A"]


def test_a_killed_saga_leaves_its_stack() -> None:
    journal = Journal()
    journal.run("A", "1")
    journal.sleep("long")
    saga = look(journal, row("completed", completion_failure="[409] killed"))
    assert (saga.summary.state, saga.killed, stack_of(saga)) == ("incomplete", True, ["A"])
    assert saga.entries[-1].outcome == "dropped"


def test_results_that_cannot_be_read_are_steps_all_the_same() -> None:
    journal = Journal()
    number = journal.run("Encrypted")
    journal.rows.append(
        EntryRow(
            index=2,
            entry_type="Notification: Run",
            appended_at=BEGIN,
            lite="{}",
            json=json.dumps(
                {
                    "Notification": {
                        "Completion": {
                            "Run": {"completion_id": number, "result": {"Success": [255, 0, 1]}}
                        }
                    }
                }
            ),
        )
    )
    (entry,) = look(journal, payloads=True).entries
    assert (entry.kind, entry.path, entry.outcome) == ("step", "1", "completed")
    assert entry.payloads == {"result": "<3 bytes that are no JSON>"}


# -- what runs inside ---------------------------------------------------------------------------


def composed() -> Journal:
    """A module with a gather in it, and a workflow in that; a sleep in between."""
    pay, split = ["Payment <1>", "2"], ["Split", "2"]
    audit = ["Audit", "3.1.2"]
    journal = Journal()
    journal.run("Reserve", "1", output=1)
    journal.run("Authorize", "2", output=1, about={"within": [pay, split]})
    journal.sleep("a while")
    journal.run("A", "3.1.1", output=1, about={"within": [pay]})
    journal.run("B", "3.2.1", output=1, about={"within": [pay]})
    journal.run("Log", "3.1.2", output=1, about={"within": [pay, audit]})
    journal.run("Capture", "4", output=1, about={"within": [pay], "undo": False})
    journal.run("Ship", "5", output=1)
    return journal


def told_of(blocks: Sequence[Block]) -> list[object]:
    """Blocks as names."""
    told: list[object] = []
    for block in blocks:
        if isinstance(block, Gather):
            told.append({number: told_of(branch) for number, branch in block.branches})
        elif isinstance(block, Inside):
            told.append((block.nest.name, told_of(block.blocks)))
        else:
            told.append(block.name)
    return told


def test_what_runs_inside_stands_in_a_tree_of_its_own() -> None:
    saga = look(composed())
    assert told_of(arrange(saga.entries)) == [
        "Reserve",
        ("Payment <1>", [
            ("Split", ["Authorize"]),
            "a while",
            {1: ["A", ("Audit", ["Log"])], 2: ["B"]},
            "Capture",
        ]),
        "Ship",
    ]  # fmt: skip
    lines = [line.plain for line in timeline(saga, width=120, glyphs=UNICODE, hints=False)]
    assert [line[24:].rstrip() for line in lines[4:16]] == [
        "✔     Reserve",
        "▾     Payment <1>",
        "▾       Split",
        "✔         Authorize",
        "…       sleep a while  until 13:00:10, in 1 h 0 min",
        "├─┬─╮",
        "│ ✔ │   A",
        "│ │ ✔   B",
        "│ ▾ │   Audit",
        "│ ✔ │     Log",
        "├─┴─╯",
        "✔       Capture  no compensation",
    ]
    assert saga_json(saga).count('"Payment <1>"') == 6
    page = html_page(saga)
    assert "<h3>Payment &lt;1&gt;</h3>" in page
    assert page.count('class="inside line"') == 3
    chart = mermaid(saga)
    assert 'subgraph s_in_2_Split["Split"]' in chart
    assert chart.count("  subgraph ") == chart.count("  end") == 3
    # An edge in a subgraph would draw both its ends into it.
    assert "-->" not in chart[: chart.rindex("  end")]


def test_what_the_body_does_between_two_steps_of_a_part_belongs_to_it() -> None:
    pay = {"within": [["Pay", "1"]]}
    journal = Journal()
    journal.run("Authorize", "1", output=1, about=pay)
    journal.sleep("a while")
    journal.run("Capture", "2", output=1, about=pay)
    journal.sleep("another while")
    saga = look(journal)
    assert told_of(arrange(saga.entries)) == [
        ("Pay", ["Authorize", "a while", "Capture"]),
        "another while",
    ]


# -- what is drawn ---------------------------------------------------------------------------


def nested() -> SagaView:
    """Branches within a branch, undone."""
    journal = Journal()
    journal.run("Start", "1")
    for name, path in (("A", "2.1.1"), ("B", "2.2.1.1.1"), ("C", "2.2.1.2.1")):
        journal.run(name, path)
    journal.run("Fails", "3", failure={"message": "<no> & never", "code": 409})
    for name in ("A", "B", "C", "Start"):
        journal.undo(name)
    return look(journal, row("completed", completion_failure="[409] <no> & never"))


def test_lanes_are_opened_and_closed_again() -> None:
    saga = nested()
    rows = lay_out(saga.entries)
    assert [drawn.entry for drawn in rows if drawn.entry is not None] == saga.entries
    begins = sum(drawn.begins for drawn in rows)
    ends = sum(drawn.entry is None and not drawn.begins for drawn in rows)
    assert begins == ends == 4
    columns = {drawn.entry.name: drawn.column for drawn in rows if drawn.entry is not None}
    assert columns == {"Start": 0, "A": 1, "B": 3, "C": 4, "Fails": 0}


def test_blocks_have_branches_side_by_side() -> None:
    blocks = arrange(nested().entries)
    kinds = [told if isinstance(told, str) else "gather" for told in told_of(blocks)]
    assert kinds == ["Start", "gather", "Fails", "gather", "Start"]
    forward = blocks[1]
    assert isinstance(forward, Gather)
    assert [number for number, _ in forward.branches] == [1, 2]
    (inner,) = forward.branches[1][1]
    assert isinstance(inner, Gather)


@pytest.mark.parametrize("glyphs", [ASCII, UNICODE])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_timelines_fit(width: int, glyphs: Any) -> None:
    lines = [line.plain for line in timeline(nested(), width=width, glyphs=glyphs)]
    commands = ("restate invocations", "inv_")
    assert max(len(x) for x in lines if not any(c in x for c in commands)) <= width
    if glyphs is ASCII:
        assert all(line.isascii() for line in lines)


def test_nothing_in_a_page_or_chart_is_taken_for_markup() -> None:
    page = html_page(nested())
    assert "<no>" not in page
    assert "&lt;no&gt; &amp; never" in page
    chart = mermaid(nested())
    assert chart.startswith("flowchart TD\n")
    assert chart.count("undone by") == 4


def test_times_in_words() -> None:
    assert [span(timedelta(seconds=s)) for s in (0.0124, 3.44, 75, 7500, 200_000)] == [
        "12 ms",
        "3.4 s",
        "1 min 15 s",
        "2 h 5 min",
        "2 d 7 h",
    ]
    assert [age(timedelta(seconds=s)) for s in (5, 300, 10_000, 500_000)] == [
        "5s",
        "5m",
        "2h",
        "5d",
    ]
