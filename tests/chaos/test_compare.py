"""The comparison: its judge, and all its scenarios over resaga."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.compare.ledger import Ledger
from chaos.compare.match import RESAGA, play
from chaos.compare.report import Report
from chaos.compare.run import Ending
from chaos.compare.scenarios import SCENARIOS, Expected
from chaos.compare.verdict import Verdict, judge

ROLLED_BACK = Expected(code=409, told=["Ship: declined"], once=["Reserve"])
SOLD = Expected(told=["sold"], stands=frozenset({"Reserve", "Charge"}))


def ending(
    effects: Sequence[str],
    *,
    code: int | None = 409,
    text: str = "Ship: declined",
    for_ever: bool = False,
    hung: bool = False,
    requests: Sequence[str] = (),
) -> Ending:
    return Ending(
        code=code,
        text=text,
        for_ever=for_ever,
        hung=hung,
        effects=list(effects),
        requests=Counter(requests or effects),
    )


DONE = ("Reserve", "Charge")
UNDONE = (*DONE, "undo Charge", "undo Reserve")


@pytest.mark.parametrize(
    ("expected", "found", "verdict"),
    [
        (ROLLED_BACK, ending(UNDONE), Verdict(True, "failed with 409, 2 of 2 undone")),
        (SOLD, ending(DONE, code=None, text="sold"), Verdict(True, "completed")),
        (
            ROLLED_BACK,
            ending(DONE, code=None, text='[500 Internal] TypeError("no JSON")\nat', for_ever=True),
            Verdict(
                False,
                'retried for ever, on TypeError("no JSON"); 0 of 2 undone, Reserve and Charge stay',
            ),
        ),
        (ROLLED_BACK, ending(UNDONE, hung=True), Verdict(False, "hangs")),
        (ROLLED_BACK, ending(UNDONE, code=500), Verdict(False, "the caller gets 500, not 409")),
        (
            ROLLED_BACK,
            ending(UNDONE, text="cancelled"),
            Verdict(False, "the caller is not told 'Ship: declined'"),
        ),
        (
            ROLLED_BACK,
            ending((*DONE, "undo Charge")),
            Verdict(False, "1 of 2 undone, Reserve stays"),
        ),
        (
            ROLLED_BACK,
            ending(("Reserve", "undo Charge", "undo Reserve", "Charge")),
            Verdict(False, "1 of 2 undone, Charge stays; Charge lands after its undo"),
        ),
        (
            ROLLED_BACK,
            ending((*DONE, "undo Reserve", "undo Charge")),
            Verdict(False, "undone in this order: Reserve, Charge"),
        ),
        (
            ROLLED_BACK,
            ending(UNDONE, requests=(*UNDONE, "Reserve")),
            Verdict(False, "Reserve is asked for 2 times"),
        ),
        (
            SOLD,
            ending(("Reserve",), code=None, text="sold"),
            Verdict(False, "Charge is not there"),
        ),
        (
            SOLD,
            ending(UNDONE, code=None, text="sold"),
            Verdict(False, "Charge is not there; Reserve is not there"),
        ),
    ],
)
def test_the_judge(expected: Expected, found: Ending, verdict: Verdict) -> None:
    assert judge(expected, found) == verdict


def test_the_shop_does_what_it_is_asked_twice_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.plan("1", {"Pack": "decline", "Charge": "flicker", "Ship": "hold", "Reserve": "lose"})
    assert [ledger.request("1", "undo Pack") for _ in range(2)] == ["done", "done"]
    assert [ledger.request("1", "Pack") for _ in range(2)] == ["declined", "declined"]
    assert [ledger.request("1", "Charge") for _ in range(3)] == [
        "unreachable",
        "unreachable",
        "done",
    ]
    assert [ledger.request("1", "Reserve") for _ in range(2)] == ["lost", "lost"]
    assert ledger.request("1", "Ship") == "held"
    ledger.answer("1", "Ship")
    assert ledger.request("1", "Ship") == "done"
    assert ledger.effects("1") == ["undo Pack", "Charge", "Reserve", "Ship"]
    assert ledger.requests("1")["Charge"] == 3
    assert ledger.effects("2") == []


def test_the_report_counts_what_is_wrong() -> None:
    report = Report({"a": {"x": Verdict(True, "well"), "y": Verdict(False, "2 | 3")}})
    assert report.wrong("a") == 1
    assert "| x | right: well |\n| y | **wrong**: 2 \\| 3 |" in report.markdown()
    assert "1 of 2 right" in report.markdown()
    assert '"right": false' in report.json()


async def test_every_scenario_ends_right_with_resaga() -> None:
    verdicts = await play(RESAGA)
    assert len(verdicts) == len(SCENARIOS)
    assert {title: v.what for title, v in verdicts.items() if not v.right} == {}
