"""`resaga check` on settings, as declared and as a server tells them: RS501 to RS506."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from resaga import Saga, StepContext, saga_step, saga_workflow
from resaga.cli.check.sagas import sagas_of
from resaga.cli.check.server import as_duration
from resaga.cli.check.settings import Settings, bad_settings
from tests.support.checked import checked

DAY = timedelta(days=1)
GOOD = Settings(
    where="the server at X",
    inactivity=timedelta(minutes=1),
    abort=timedelta(minutes=10),
    journal=DAY,
    idempotency=DAY,
    workflow=DAY,
    kind="Service",
)


@saga_step("Slow", timeout=timedelta(minutes=5))
async def slow(step: StepContext) -> None: ...


@saga_step("Quick", timeout=timedelta(seconds=5))
async def quick(step: StepContext) -> None: ...


@saga_workflow("W")
async def workflow(saga: Saga) -> None: ...


def codes(settings: Settings) -> list[str]:
    (saga,) = sagas_of([workflow])
    return [each.code for each in bad_settings(saga, [quick, slow], settings)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"kills": True}, ["RS501"]),
        ({"abort": timedelta(minutes=2)}, ["RS502"]),
        ({"abort": timedelta(seconds=2), "inactivity": timedelta(seconds=1)}, ["RS502"]),
        ({"inactivity": timedelta()}, []),
        ({"abort": None}, []),
        ({"idempotency": timedelta()}, ["RS503"]),
        ({"workflow": timedelta()}, []),
        ({"journal": timedelta()}, ["RS504"]),
        ({"kind": "VirtualObject", "kills": True}, ["RS505"]),
        ({"pauses": False}, ["RS506"]),
    ],
)
def test_settings_that_fight_a_rule(changes: dict[str, object], expected: list[str]) -> None:
    assert codes(replace(GOOD, **changes)) == expected  # type: ignore[arg-type]


def test_a_timeout_names_the_longest_step() -> None:
    (saga,) = sagas_of([workflow])
    short = replace(GOOD, abort=timedelta(minutes=2))
    (finding,) = bad_settings(saga, [quick, slow], short)
    assert "step Slow may take 0:05:00" in finding.what
    assert not list(bad_settings(saga, [quick], short))


DECLARED = """
@saga_step("Slow", timeout=timedelta(minutes=20))
async def slow(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)


@saga_{kind}workflow("W"{options})
async def w(saga: Saga, {ctx}order: Order) -> None:
    await slow(saga, order)


app = restate.app([w])
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", []),
        (", abort_timeout=timedelta(minutes=30)", []),
        (", abort_timeout=timedelta(minutes=5)", ["RS502"]),
        (", inactivity_timeout=timedelta(minutes=5)", ["RS502"]),
        (", journal_retention=timedelta()", ["RS504"]),
        (", idempotency_retention=timedelta(seconds=1)", ["RS503"]),
    ],
)
def test_settings_of_the_definition(
    options: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    examined = checked(tmp_path, DECLARED.format(kind="", ctx="", options=options))
    assert [each.code for each in examined.findings] == expected


def test_a_restate_workflow_keeps_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    examined = checked(
        tmp_path,
        DECLARED.format(
            kind="restate_",
            ctx="ctx: WorkflowContext, ",
            options=", workflow_retention=timedelta(), idempotency_retention=timedelta()",
        ),
    )
    (finding,) = examined.findings
    assert finding.code == "RS503"
    assert "workflow retention of 0:00:00" in finding.what


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1m", timedelta(minutes=1)),
        ("1m 30s", timedelta(seconds=90)),
        ("2d 3h 1m", timedelta(days=2, hours=3, minutes=1)),
        ("500ms", timedelta(milliseconds=500)),
        ("0s", timedelta()),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_durations_as_servers_write_them(text: str | None, duration: timedelta | None) -> None:
    assert as_duration(text) == duration
