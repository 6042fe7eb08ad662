"""Soak `saga.gather`: random sagas under fire on a real server, and nothing may be off (R17).

Each saga is a random tree (`soak_plan.py`) of branches, savepoints, plain, threaded, strict and
durable steps, waits on ``saga.ctx``, calls and ``restate.select``, 60 to 300 entries of a journal
by default. Some steps raise an ordinary error once, some fail for good; sagas are cancelled, once
or again and again, have a deadline, and their worker is killed with SIGKILL now and then. The
server replays at every await, unless told otherwise. Each event is committed outside of the
worker, and afterwards it is checked of each saga that

- it ended, and never stood still for ``--limit`` seconds;
- each step had one key, and no other step had it: each effect happened once;
- a saga that is done did all of its plan, and undid what its savepoints say, and nothing else;
- one that failed undid all that it did, once, in each line of execution newest first;
- no compensation ran before its action, and no action began after the rollback had;
- no action began more often than its own ordinary error and the kills explain.

A saga that does not end is diagnosed: its journal, and what the worker's tasks wait for.
Exit status: 0 if all is well, 1 if anything is off.

    make soak                                   (500 sagas)
    make soak ARGS="--sagas 50 --seed 7 --flavour serverless"
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resaga.server import RestateServer, Worker
from scripts.soak_app import LEDGER, PROTOCOL, Ledger
from scripts.soak_plan import plan, steps_of

ROOT = Path(__file__).resolve().parent.parent
FLAVOURS = ("replay", "normal", "serverless")
QUICK = {
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "30ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "300ms",
    "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
}
EXPECTED = {"[418] told to fail", "[409] cancelled", "[408]"}
"""How a saga of the plan may fail."""


@dataclass(slots=True)
class Outcome:
    """What became of one saga."""

    seed: int
    size: int
    id: str
    hasty: bool
    cancels: int = 0
    end: str = "stuck"
    seconds: float = 0.0
    kills: int = 0
    faults: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Soak:
    """One run: the server, the worker, and what is known so far."""

    options: argparse.Namespace
    server: RestateServer
    worker: Worker
    ledger: Ledger
    http: httpx.AsyncClient
    kills: int = 0
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    async def run(self) -> None:
        """Run all sagas, and kill the worker meanwhile."""
        killer = asyncio.create_task(self._kill_now_and_then())
        turns = asyncio.Semaphore(self.options.side_by_side)
        first = self.options.seed
        try:
            await asyncio.gather(
                *[self._one(turns, seed) for seed in range(first, first + self.options.sagas)]
            )
        finally:
            killer.cancel()

    async def _one(self, turns: asyncio.Semaphore, seed: int) -> None:
        chance = random.Random(-seed)
        size = chance.randint(self.options.smallest, self.options.largest)
        hasty = chance.random() < 0.15
        async with turns:
            response = await self.http.post(
                f"{self.server.ingress_url}/{'SoakHasty' if hasty else 'Soak'}/run/send",
                json=[seed, size],
            )
            response.raise_for_status()
            outcome = Outcome(seed, size, response.json()["invocationId"], hasty)
            kills, begun = self.kills, time.monotonic()
            canceller = asyncio.create_task(self._cancel(outcome, chance))
            try:
                await self._wait_for(outcome)
            finally:
                canceller.cancel()
                outcome.seconds = time.monotonic() - begun
                outcome.kills = self.kills - kills
            outcome.faults += check(outcome, self.ledger)
            self.outcomes.append(outcome)
            self._report(outcome)

    async def _wait_for(self, outcome: Outcome) -> None:
        size, grown = 0, time.monotonic()
        while (row := await self._row(outcome.id)).get("status") not in ("completed", "paused"):
            if row.get("journal_size") != size:
                size, grown = row.get("journal_size", 0), time.monotonic()
            if time.monotonic() > grown + self.options.limit:
                await self._diagnose(outcome, f"no progress for {self.options.limit:.0f} s")
                return
            await asyncio.sleep(0.1)
        if row["status"] == "paused":
            await self._diagnose(outcome, "it is paused: its attempts fail")
            return
        outcome.end = row.get("completion_failure") or "done"

    async def _cancel(self, outcome: Outcome, chance: random.Random) -> None:
        if chance.random() >= 0.25:
            return
        for _ in range(chance.choice([1, 1, 2, 4])):
            await asyncio.sleep(chance.random() * 2)
            response = await self.http.patch(
                f"{self.server.admin_url}/invocations/{outcome.id}/cancel"
            )
            outcome.cancels += response.status_code == 202

    async def _kill_now_and_then(self) -> None:
        chance = random.Random(self.options.seed)
        mean = self.options.kill_every
        while mean:
            await asyncio.sleep(mean * (0.5 + chance.random()))
            await asyncio.to_thread(self.worker.kill)
            self.kills += 1
            await asyncio.to_thread(self.worker.restart)

    async def _row(self, saga: str) -> dict[str, Any]:
        rows = await self._sql(f"SELECT * FROM sys_invocation WHERE id = '{saga}'")
        return {name: value for name, value in rows[0].items() if value is not None} if rows else {}

    async def _sql(self, query: str) -> list[dict[str, Any]]:
        response = await self.http.post(
            f"{self.server.admin_url}/query",
            json={"query": query},
            headers={"accept": "application/json"},
        )
        response.raise_for_status()
        return cast("list[dict[str, Any]]", response.json()["rows"])

    async def _diagnose(self, outcome: Outcome, what: str) -> None:
        """Tell whether it is stuck or only slow, and where it stands."""
        count = f"SELECT count(*) AS n FROM sys_journal WHERE id = '{outcome.id}'"
        before = (await self._sql(count))[0]["n"]
        events = len(self.ledger.events(outcome.id))
        with contextlib.suppress(ProcessLookupError):  # It may have been killed just now.
            os.kill(self.worker.pid, signal.SIGUSR1)
        await asyncio.sleep(10)
        after = (await self._sql(count))[0]["n"]
        grown = (after - before, len(self.ledger.events(outcome.id)) - events)
        outcome.faults.append(
            f"{what}; journal of {after} entries, grown by {grown[0]} in the last 10 s, events by "
            f"{grown[1]}; {await self._row(outcome.id)}"
        )
        rows = await self._sql(
            "SELECT index, entry_type, name, entry_lite_json, appended_at FROM sys_journal "
            f"WHERE id = '{outcome.id}' ORDER BY index"
        )
        rows += await self._sql(
            "SELECT appended_at, event_type, event_json FROM sys_journal_events "
            f"WHERE id = '{outcome.id}' ORDER BY appended_at"
        )
        file = Path(self.options.dump) / f"soak-{outcome.seed}.txt"
        lines = [*outcome.faults, *map(str, rows), *map(str, self.ledger.events(outcome.id))]
        lines.append(self.worker.log_file.read_text()[-200_000:])
        file.write_text("\n".join(lines))
        outcome.faults.append(f"more in {file}")

    def _report(self, outcome: Outcome) -> None:
        for fault in outcome.faults:
            _say(f"\nseed {outcome.seed}, {outcome.id} ({outcome.end}): {fault}")
        wrong = sum(bool(each.faults) for each in self.outcomes)
        done, slowest = len(self.outcomes), max(each.seconds for each in self.outcomes)
        _say(
            f"\r{done}/{self.options.sagas} sagas, {self.kills} kills, "
            f"slowest {slowest:.1f} s, {wrong} wrong "
        )


def check(outcome: Outcome, ledger: Ledger) -> list[str]:
    """What is off with a saga, by its events alone."""
    return [] if outcome.end == "stuck" else list(_faults(outcome, ledger.events(outcome.id)))


def _faults(outcome: Outcome, events: list[tuple[int, str, str, str]]) -> Iterator[str]:
    nodes = plan(outcome.seed, outcome.size)
    planned = {placed.step.label: placed for placed in steps_of(nodes)}
    at: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    keys: dict[str, set[str]] = defaultdict(set)
    for number, what, label, key in events:
        at[what][label].append(number)
        if label in planned and what in ("start", "do"):
            keys[label].add(key)
    for label, used in keys.items():
        if len(used) > 1:
            yield f"step {label} had several keys: {sorted(used)}"
    shared = [key for key, n in Counter(k for used in keys.values() for k in used).items() if n > 1]
    if shared:
        yield f"several steps had the keys {shared}"
    for what in ("do", "undo"):
        for label, numbers in at[what].items():
            if len(numbers) > 1:
                yield f"{what} {label} happened {len(numbers)} times"
    yield from _wrong_order(at, planned)
    for label, numbers in at["start"].items():
        allowed = 1 + len(at["hiccup"].get(label, ())) + outcome.kills
        if len(numbers) > allowed:
            yield f"step {label} began {len(numbers)} times, and {allowed} are explained"
    done, undone = set(at["do"]), set(at["undo"])
    if outcome.end == "done":
        if done != set(planned):
            yield f"it is done and did not do {sorted(set(planned) - done)}"
        kept = {label for label, placed in planned.items() if not placed.undone}
        if undone != done - kept:
            yield f"it is done, and undid {sorted(undone)} instead of {sorted(done - kept)}"
        return
    if not any(outcome.end.startswith(known) for known in EXPECTED):
        yield f"it ended with {outcome.end}"
    # What became of a strict step that was cut off by a cancel is unknown (R7).
    left = {label for label in done - undone if planned[label].step.kind != "strict"}
    if left:
        yield f"it failed and did not undo {sorted(left)}"


def _wrong_order(at: Any, planned: Any) -> Iterator[str]:
    lines: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for label, numbers in at["undo"].items():
        began = at["start"].get(label)
        if began and min(at["undoing"][label]) < max(began):
            yield f"step {label} began after its compensation had"
        if label in at["do"]:
            line = label.rpartition(".")[0]
            lines[line].append((at["do"][label][0], numbers[0], label))
    for line, each in lines.items():
        each.sort()
        if [number for _, number, _ in each] != sorted((n for _, n, _ in each), reverse=True):
            yield f"line {line} was not undone newest first: {each}"
    # The saga's own rollback has begun when something outside of all savepoints is undone.
    final = [n[0] for label, n in at["undoing"].items() if not planned[label].in_savepoint]
    late = [label for label, n in at["start"].items() if final and max(n) > min(final)]
    if late:
        yield f"{late} began after the rollback had"


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


async def soak(options: argparse.Namespace) -> int:
    """Run it, and print the summary."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resaga-soak-") as folder:
        path = Path(folder) / "ledger.sqlite"
        env = {LEDGER: str(path)}
        if options.flavour == "serverless":
            env[PROTOCOL] = "request_response"
        timeout = timedelta(0) if options.flavour == "replay" else None
        async with (
            RestateServer(env=QUICK, inactivity_timeout=timeout) as server,
            Worker(app="scripts.soak_app:app", cwd=ROOT, env=env) as worker,
            httpx.AsyncClient(trust_env=False, timeout=60) as http,
        ):
            await asyncio.to_thread(server.register, worker.uri)
            run = Soak(options, server, worker, Ledger(path), http)
            await run.run()
    return _summary(run, time.monotonic() - begun)


def _summary(run: Soak, seconds: float) -> int:
    ends = Counter(
        each.end if each.end in ("done", "stuck") else each.end[:5] for each in run.outcomes
    )
    wrong = [each for each in run.outcomes if each.faults]
    _say("\n")
    print(f"{len(run.outcomes)} sagas, {run.options.flavour}, in {seconds:.0f} s")
    print(f"ends: {dict(ends)}")
    print(f"kills of the worker: {run.kills}; cancels: {sum(o.cancels for o in run.outcomes)}")
    for slow in sorted(run.outcomes, key=lambda each: -each.seconds)[:3]:
        print(
            f"slow: seed {slow.seed}, {slow.seconds:.1f} s, {slow.end[:40]}, "
            f"{slow.cancels} cancels, {slow.kills} kills"
        )
    print(f"wrong: {len(wrong)}" + "".join(f"\n  seed {o.seed}: {o.faults}" for o in wrong))
    return 1 if wrong else 0


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sagas", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of the first saga")
    parser.add_argument("--flavour", choices=FLAVOURS, default="replay")
    parser.add_argument("--smallest", type=int, default=20, help="nodes of the smallest tree")
    parser.add_argument("--largest", type=int, default=100, help="nodes of the largest tree")
    parser.add_argument("--side-by-side", type=int, default=8, help="sagas at a time")
    parser.add_argument("--kill-every", type=float, default=15, help="seconds; 0: no kills")
    parser.add_argument("--limit", type=float, default=120, help="seconds without progress")
    parser.add_argument("--dump", default=tempfile.gettempdir(), help="where diagnoses go")
    return asyncio.run(soak(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
