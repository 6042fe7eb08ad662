"""What an operator can do about a saga, as commands of Restate's, and what each would leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resaga.cli.inspect.model import Entry, SagaView

__all__ = ["Advice", "advice_of", "if_cancelled", "stack_of"]

RESTATE = "restate invocations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A command, what it does to this saga, and whether it leaves effects behind."""

    command: str
    effect: str
    harmful: bool = False


def stack_of(saga: SagaView) -> list[str]:
    """What a rollback would undo, newest first; with a word where the journal does not tell."""
    return [_label(entry) for entry in saga.on_stack]


def if_cancelled(saga: SagaView) -> str:
    """What happens if it is cancelled now."""
    if saga.summary.ended is not None:
        return "nothing: it has ended."
    if saga.summary.state in ("rolling back", "paused in rollback"):
        again = " and is resumed" if saga.status == "paused" else ""
        return f"it goes on rolling back{again}; a cancel skips no compensation."
    if saga.cancelled_at is not None:
        return "nothing new: it is cancelled already, and rolls back at its next durable wait."
    parts: list[str] = []
    called = [e.name for e in saga.entries if e.kind == "call" and e.outcome == "waiting"]
    in_flight = [e.name for e in saga.steps if e.outcome == "in flight"]
    if saga.status == "backing-off":
        parts.append("at its next attempt it stops")
    elif saga.status == "paused":
        parts.append("it is resumed, and stops")
    elif in_flight:
        parts.append(f"{_list(in_flight)} may finish")
    elif called:
        parts.append(f"{_list(called)} is cancelled, too, and waited for")
    else:
        parts.append("it stops waiting")
    stack = stack_of(saga)
    parts.append(f"then it undoes {_list(stack)}, newest first" if stack else "nothing is undone")
    return ", ".join(parts) + "."


def advice_of(saga: SagaView) -> list[Advice]:
    """The commands that can be given to this saga as it stands, the safe ones first."""
    saga_id = saga.summary.id
    if saga.summary.ended is not None:
        return _when_ended(saga, saga_id)
    found: list[Advice] = []
    if saga.status == "paused":
        where = "its rollback" if saga.summary.state == "paused in rollback" else "it"
        found += [
            Advice(command=f"{RESTATE} resume {saga_id}", effect=f"{where} goes on where it stood"),
            Advice(
                command=f"{RESTATE} resume {saga_id} --deployment latest",
                effect="the same, with the code deployed last; it has to fit the journal",
            ),
        ]
    elif saga.status == "backing-off":
        found.append(
            Advice(command=f"{RESTATE} resume {saga_id}", effect="it is tried again at once")
        )
    found.append(Advice(command=f"{RESTATE} cancel {saga_id}", effect=if_cancelled(saga)))
    left = stack_of(saga)
    found.append(
        Advice(
            command=f"{RESTATE} kill {saga_id}",
            effect=(
                f"DO NOT, if you can help it: it ends without undoing {_list(left)}"
                if left
                else "it ends without a rollback; it has done nothing that could be undone"
            ),
            harmful=bool(left),
        )
    )
    return found


def _when_ended(saga: SagaView, saga_id: str) -> list[Advice]:
    left = stack_of(saga) if saga.killed else [undo.name for undo in saga.not_undone]
    stays = f"; {_list(left)} stays not undone" if left else ""
    undone = [undo.name for undo in saga.undos if undo.outcome == "completed"]
    prefix = (
        f"takes the steps before N for done, though these are undone: {_list(undone)}"
        if undone
        else "takes the steps before N for done, and undoes them if it fails"
    )
    return [
        Advice(
            command=f"{RESTATE} restart-as-new {saga_id}",
            effect=(
                f"a new saga does it all again from the same input, under new keys{stays}. From a "
                f"prefix (PATCH /invocations/{saga_id}/restart-as-new?from=N) it {prefix}"
            ),
            harmful=bool(left),
        ),
        Advice(
            command=f"{RESTATE} purge {saga_id}",
            effect=(
                f"forgets it, with its journal{stays}, and nothing tells of it any more"
                if left
                else "forgets it, with its journal; undoes nothing"
            ),
            harmful=bool(left),
        ),
    ]


def _label(entry: Entry) -> str:
    if entry.undoable is None and entry.undone_by is None:
        return f"{entry.name} (if it has a compensation)"
    return entry.name


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
