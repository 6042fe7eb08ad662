"""All scenarios over one contender, on a server and a worker of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx

from chaos.compare.ledger import Ledger
from chaos.compare.run import Hang, Run
from chaos.compare.scenarios import SCENARIOS, Scenario
from chaos.compare.shop import LEDGER
from chaos.compare.verdict import Verdict, judge
from resaga.server import RestateServer, Worker

__all__ = ["HANDWRITTEN", "RESAGA", "RESTATE_SAGA", "Contender", "play"]

ROOT = Path(__file__).parents[2]

REQUEST_LIMIT = 60.0
"""Seconds that a server may take for one answer."""

AT_ONCE = 6
"""How many scenarios run side by side, as long as nobody is killed."""

ENVIRONMENT = {
    # Retries come quickly, so that what is retried for ever is soon seen to be.
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "30ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "300ms",
    "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to write sagas.

    Attributes:
        title: What it is called in the table.
        app: Its programs, as ``module:name``.
        rival: Whether it needs the environment of the rivals.
    """

    title: str
    app: str
    rival: bool


HANDWRITTEN = Contender("by hand", "chaos.compare.contenders.handwritten:app", True)
RESTATE_SAGA = Contender(
    "restate-saga 0.1.0", "chaos.compare.contenders.pypi_restate_saga:app", True
)
RESAGA = Contender("resaga", "chaos.compare.contenders.own:app", False)


async def play(
    contender: Contender,
    *,
    rivals: Path | None = None,
    scenarios: Iterable[Scenario] = SCENARIOS,
    progress: Callable[[], object] = lambda: None,
) -> dict[str, Verdict]:
    """Run scenarios over a contender, and say by their titles what came of them.

    Args:
        contender: Whose programs.
        rivals: Where the rivals' modules are, for a contender that needs them.
        scenarios: Which.
        progress: Called after each.
    """
    scenarios = tuple(scenarios)
    pythonpath = [rivals] if contender.rival and rivals is not None else []
    with tempfile.TemporaryDirectory(prefix="resaga-compare-") as folder:
        file = Path(folder) / "ledger.db"
        ledger = Ledger(file)
        worker = Worker(app=contender.app, cwd=ROOT, pythonpath=pythonpath, env={LEDGER: str(file)})
        async with (
            RestateServer(env=ENVIRONMENT) as server,
            worker,
            httpx.AsyncClient(timeout=REQUEST_LIMIT, trust_env=False) as http,
        ):
            await asyncio.to_thread(server.register, worker.uri)

            async def verdict(scenario: Scenario, limit: asyncio.Semaphore | None) -> Verdict:
                async with limit or nullcontext():
                    run = Run(server=server, worker=worker, ledger=ledger, http=http)
                    found = await _verdict(scenario, run)
                    progress()
                    return found

            limit = asyncio.Semaphore(AT_ONCE)
            peaceful = [scenario for scenario in scenarios if not scenario.kills]
            found = await asyncio.gather(*(verdict(scenario, limit) for scenario in peaceful))
            verdicts = {s.title: v for s, v in zip(peaceful, found, strict=True)}
            for scenario in scenarios:
                if scenario.kills:
                    verdicts[scenario.title] = await verdict(scenario, None)
            return {scenario.title: verdicts[scenario.title] for scenario in scenarios}


async def _verdict(scenario: Scenario, run: Run) -> Verdict:
    await run.start(scenario.service, scenario.order, scenario.plan)
    hung = ""
    if scenario.fault is not None:
        try:
            await scenario.fault(run)
        except Hang as hang:
            hung = str(hang)
    found = judge(scenario.expected, await run.ending())
    if hung and found.right:
        return Verdict(False, hung)
    return found
