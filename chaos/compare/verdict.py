"""Whether a saga ended as it should have, and what happened, in a few words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chaos.compare.run import Ending
from chaos.compare.scenarios import Expected

__all__ = ["Verdict", "judge"]

UNDO = "undo "

REASON = 72
"""How many characters of an error are shown."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one scenario for one contender.

    Attributes:
        right: Whether it ended as it should have.
        what: What happened.
    """

    right: bool
    what: str


def judge(expected: Expected, ending: Ending) -> Verdict:
    """Compare an end with the right one."""
    wrong = [*_of_end(expected, ending), *_of_effects(expected, ending)]
    return Verdict(right=False, what="; ".join(wrong)) if wrong else Verdict(True, _well(ending))


def _well(ending: Ending) -> str:
    undone = _undone(ending)
    how = "completed" if ending.code is None else f"failed with {ending.code}"
    return f"{how}, {len(undone)} of {len(_done(ending))} undone" if undone else how


def _of_end(expected: Expected, ending: Ending) -> list[str]:
    if ending.for_ever:
        return [f"retried for ever, on {_reason(ending.text)}"]
    if ending.hung:
        return ["hangs"]
    if ending.code != expected.code:
        want = "success" if expected.code is None else str(expected.code)
        got = "success" if ending.code is None else str(ending.code)
        return [f"the caller gets {got}, not {want}"]
    missing = [text for text in expected.told if text not in ending.text]
    return [f"the caller is not told {text!r}" for text in missing]


def _of_effects(expected: Expected, ending: Ending) -> list[str]:
    wrong: list[str] = []
    done, stands = _done(ending), _stands(ending)
    late = [step for step in done if _landed_late(ending, step)]
    left = [step for step in stands if step not in expected.stands]
    if left:
        to_undo = [step for step in done if step not in expected.stands]
        undone = len(to_undo) - len(left)
        verb = "stays" if len(left) == 1 else "stay"
        wrong.append(f"{undone} of {len(to_undo)} undone, {' and '.join(left)} {verb}")
        wrong += [f"{step} lands after its undo" for step in late]
    gone = sorted(expected.stands - set(stands)) if not ending.for_ever else []
    wrong += [f"{step} is not there" for step in gone]
    undone_steps = [step for step in _undone(ending) if step in done and step not in late]
    newest_first = [step for step in reversed(done) if step in undone_steps]
    if undone_steps != newest_first:
        wrong.append(f"undone in this order: {', '.join(undone_steps)}")
    wrong += [
        f"{action} is asked for {ending.requests[action]} times"
        for action in expected.once
        if ending.requests[action] > 1
    ]
    return wrong


def _reason(failure: str) -> str:
    """What Restate says of a failed attempt, without code and traceback, cut to a line."""
    line = failure.partition("\n")[0]
    line = re.sub(r"^\[[^]]*\] ", "", line)
    return f"{line[:REASON]}…" if len(line) > REASON else line


def _done(ending: Ending) -> list[str]:
    return [action for action in ending.effects if not action.startswith(UNDO)]


def _undone(ending: Ending) -> list[str]:
    """The steps that were done, and undone after that or before it, in that order."""
    undone = [action.removeprefix(UNDO) for action in ending.effects if action.startswith(UNDO)]
    return [step for step in undone if step in _done(ending)]


def _landed_late(ending: Ending, step: str) -> bool:
    undo = f"{UNDO}{step}"
    effects = ending.effects
    return undo in effects and effects.index(undo) < effects.index(step)


def _stands(ending: Ending) -> list[str]:
    return [
        step
        for step in _done(ending)
        if f"{UNDO}{step}" not in ending.effects or _landed_late(ending, step)
    ]
