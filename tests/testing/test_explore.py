"""The explorer finds seeded mistakes, and nothing in a correct saga."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from restate import Service, TerminalError

from resaga import CompensationContext, Retry, Saga, StepContext, saga_step, saga_workflow
from resaga.server import RestateServer
from resaga.testing import (
    CaseTimeout,
    Report,
    RunningSaga,
    SagaTestError,
    UnknownStep,
    Violations,
    explore,
)
from tests.testing.mistakes import MISTAKES, correct
from tests.testing.shop import WORLD, World, charge, shop

LIMIT = timedelta(minutes=1)
"""Only against a hang."""


async def effects(world: World) -> list[str]:
    return sorted(world.effects.values())


async def explored(workflow: Service, server: RestateServer, **how: Any) -> Report:
    return await explore(workflow, "tea", server=server, services=World, snapshot=effects, **how)


@pytest.mark.parametrize("what", MISTAKES)
async def test_finds(what: str, restate_server: RestateServer) -> None:
    made, rule, case = MISTAKES[what]
    name = re.sub(r"\W", "", what.title())
    columns = [case.partition("/")[2]]
    report = await explored(made(name), restate_server, limit=LIMIT, columns=columns)
    assert rule in [finding.rule for finding in report[case].findings], str(report)
    with pytest.raises(Violations, match=re.escape(case)):
        report.raise_for_violations()


async def test_finds_nothing_in_a_correct_saga(restate_server: RestateServer) -> None:
    recovers = ["Upgrade", "Reserve"]
    report = await explored(correct("Correct"), restate_server, recovers=recovers)
    report.raise_for_violations()
    assert {r.verdict for r in report.results if r.case.row == "Charge"} == {"right"}
    assert all(r.verdict == "right" for r in report.results if r.case.column == "lost after")


async def test_the_report(restate_server: RestateServer, tmp_path: Path) -> None:
    made, _, _ = MISTAKES["a compensation that does nothing"]
    report = await explored(made("Report"), restate_server)
    table = report.table().splitlines()
    assert table[0].split() == [chr(ord("a") + n) for n in range(len(report.columns))]
    row = next(line.split() for line in table if line.startswith("Charge "))
    assert row[1 + report.columns.index("fails")] == "✘"
    assert row[1 + report.columns.index("lost before")] == "✔"
    assert str(report).splitlines()[0].startswith("Report: 30 cases in ")

    report.write_json(tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert told["rows"] == ["Hold", "Charge", "every step"]
    cases = {case["name"]: case for case in told["cases"]}
    assert cases["Charge/fails"]["verdict"] == "wrong"
    assert cases["Charge/fails"]["violations"][0]["rule"] == "snapshot"

    report.write_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'href="#case-' in page
    assert "RESAGA_CASE=&#x27;Charge/fails&#x27; pytest" in page
    assert "://" not in page

    alone = await explored(made("Report"), restate_server, only="Charge/fails")
    assert [r.case.name for r in alone.results] == ["Charge/fails"]
    assert report.test is not None
    assert report.rerun("Charge/fails") == f"RESAGA_CASE='Charge/fails' pytest '{report.test}'"


async def test_a_shared_world_is_looked_at_one_case_at_a_time(
    restate_server: RestateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WORLD, "effects", {})

    async def snapshot() -> int:
        return len(WORLD.effects) % 2

    async def balance() -> bool:
        return "charge 3" in WORLD.effects.values() or "tea" not in WORLD.effects.values()

    report = await explore(
        shop,
        "tea",
        server=restate_server,
        invariant=balance,
        snapshot=snapshot,
        columns=["fails", "cancel during", "lost after"],
    )
    report.raise_for_violations()
    assert {r.verdict for r in report.results} == {"right"}


async def test_an_invariant_that_does_not_hold(restate_server: RestateServer) -> None:
    async def balance(world: World) -> None:
        assert "charge 3" not in world.effects.values(), "somebody was charged"

    report = await explore(
        shop,
        "tea",
        server=restate_server,
        services=World,
        invariant=balance,
        columns=["fails", "lost after"],
    )
    (finding,) = report["Quote/lost after"].findings
    assert finding.rule == "invariant"
    assert finding.message.startswith("somebody was charged")
    assert report["Quote/fails"].verdict == "right"


async def test_an_invariant_that_raises(restate_server: RestateServer) -> None:
    async def broken(world: World) -> None:
        raise LookupError("no database")

    async def with_a_parameter(world: World) -> None:
        raise AssertionError

    with pytest.raises(SagaTestError) as it:
        await explore(
            shop, "tea", server=restate_server, services=World, invariant=broken,
            columns=["fails"],
        )  # fmt: skip
    message = str(it.value)
    assert re.fullmatch(r"broken\(\) raised LookupError in case '.+/.+': no database", message), (
        message
    )
    with pytest.raises(SagaTestError, match=r"no services=\.\.\. to build them with"):
        await explore(shop, "tea", server=restate_server, invariant=with_a_parameter)


async def test_a_snapshot_and_what_prepares_that_raise(restate_server: RestateServer) -> None:
    async def fails(world: World) -> None:
        assert world.effects, "no database"

    how: dict[str, Any] = {"server": restate_server, "services": World}
    for given in ("snapshot", "prepare"):
        with pytest.raises(
            SagaTestError, match=r"fails\(\) raised AssertionError in case 'untouched/1': no data"
        ):
            arguments: dict[str, Any] = {**how, given: fails}
            await explore(shop, "tea", **arguments)

    async def decides(running: RunningSaga[object]) -> None:
        raise LookupError("nobody is there")

    with pytest.raises(SagaTestError, match=r"decides\(\) raised LookupError in case 'untouch"):
        await explore(shop, "tea", **how, meanwhile=decides)


async def test_a_world_that_is_put_in_order_is_compared_after_each_end(
    restate_server: RestateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that repeats its effect is found though the database is everybody's."""
    made, rule, case = MISTAKES["an action that does not use its key"]
    monkeypatch.setattr(WORLD, "effects", {})

    async def empty() -> None:
        WORLD.effects.clear()

    async def effects() -> list[str]:
        return sorted(WORLD.effects.values())

    bound = made("InOrder").with_services(lambda _: shared())
    report = await explore(
        bound, "tea", server=restate_server, prepare=empty, snapshot=effects,
        columns=["error once"],
    )  # fmt: skip
    assert [r.case.name for r in report.results] == ["Hold/error once", "Charge/error once"]
    assert [finding.rule for finding in report[case].findings] == [rule]


@asynccontextmanager
async def shared() -> AsyncGenerator[World]:
    yield WORLD


async def test_one_error_may_be_one_too_many(restate_server: RestateServer) -> None:
    """Where a step has a single attempt, an error is its end, and is undone like one."""

    @saga_step("Once", retry=Retry(max_attempts=1))
    async def once(step: StepContext[World], product: str) -> None:
        step.services.do(step.idempotency_key, product)

    @once.compensate
    async def undo(step: CompensationContext[World, str], _: object) -> None:
        step.services.undo(step.forward_idempotency_key)

    @saga_workflow("OnceOnly")
    async def only(saga: Saga[World], product: str) -> None:
        await once(saga, product)

    report = await explored(only, restate_server, columns=["error once", "gives up"])
    report.raise_for_violations()
    assert report["Once/error once"].end.startswith("failed")


async def test_a_case_that_never_ends(restate_server: RestateServer) -> None:
    @saga_step("Waits")
    async def waits(step: StepContext[World], product: str) -> str:
        return product

    @waits.compensate
    async def never(step: CompensationContext[World, str], _: object) -> None:
        await asyncio.Event().wait()

    @saga_workflow("NeverUndone")
    async def saga(saga: Saga[World], product: str) -> None:
        await waits(saga, product)

    report = await explored(saga, restate_server, only="Waits/fails", limit=timedelta(seconds=1))
    (finding,) = report["Waits/fails"].findings
    assert finding.rule == "ends"
    assert re.search(
        r"did not end within 1 s, with fail before Waits.* It is running", finding.message
    )
    assert "▸ undo Waits  started" in report["Waits/fails"].trace


@saga_step("Sleeps")
async def sleeps(step: StepContext[World], product: str) -> None:
    raise ConnectionError("nobody answers")


@sleeps.compensate
async def wakes(step: CompensationContext[World, str], _: object) -> None:
    pass


async def test_what_cannot_be_explored(restate_server: RestateServer) -> None:
    @saga_workflow("NeverEnds")
    async def never(saga: Saga[World], product: str) -> None:
        await sleeps(saga, product)

    @saga_workflow("Fails")
    async def fails(saga: Saga[World], product: str) -> None:
        await charge(saga, 3)
        raise TerminalError("for good")

    @saga_workflow("NoSteps")
    async def nothing(saga: Saga[World], product: str) -> None:
        pass

    second = timedelta(seconds=1)
    with pytest.raises(
        CaseTimeout, match=r"NeverEnds .* did not end within 1 s.*nobody answers"
    ) as it:
        await explored(never, restate_server, limit=second)
    assert "Sleeps  tried again: ConnectionError" in str(it.value)
    with pytest.raises(SagaTestError, match="has no steps"):
        await explored(nothing, restate_server)
    with pytest.raises(SagaTestError, match=r"does not complete untouched.*\[500\] for good"):
        await explored(fails, restate_server)
    with pytest.raises(SagaTestError, match=r"no case 'Nope/fails'. There are: Reserve/fails"):
        await explored(shop, restate_server, only="Nope/fails")
    with pytest.raises(SagaTestError, match=r"no column 'lost'. There are: fails, fails late"):
        await explored(shop, restate_server, columns=["lost"])
    with pytest.raises(SagaTestError, match=r"Shop has no handler 'walk'. There are: run"):
        await explored(shop, restate_server, handler="walk")
    with pytest.raises(UnknownStep, match=r"never came to Nope. It came to: Reserve, Quote"):
        await explored(shop, restate_server, recovers=["Nope", charge])
