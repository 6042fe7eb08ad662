"""A run: everything started, the sagas sent while things are killed, and the judge heard."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chaos.backend import Backend, open_backend
from chaos.balancer import open_balancer
from chaos.customer import Customer, open_customer
from chaos.faults import Fault, FaultKind, Saboteur, open_workers, schedule
from chaos.guarded import Guard
from chaos.judge import judge
from chaos.planner import plan_of
from chaos.postgres import Postgres
from chaos.records import Ledger
from chaos.report import Report
from resaga.server import AdminError, find_restate_server

__all__ = ["Options", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for on the command line.

    Attributes:
        command: How it was asked for, for the report.
        sagas: How many sagas.
        duration: Over which time they are spread at least; zero: as fast as it goes.
        seed: Where plans and faults come from.
        kills: How many things are killed.
        faults: Kinds of things that are killed, each as often as the others.
        cluster: Whether Restate is a cluster of three nodes.
        guard: What holds off the effects that are asked for twice.
        at_once: How many sagas may be in flight.
        patience: How long a saga may take until it counts as lost.
    """

    command: str
    sagas: int
    duration: timedelta
    seed: int
    kills: int
    faults: Sequence[FaultKind]
    cluster: bool
    guard: Guard
    at_once: int
    patience: timedelta


async def run(options: Options, console: Console) -> Report:
    """Run it; show on the console how far it is."""
    await asyncio.to_thread(find_restate_server)
    faults = schedule(options.faults, seed=options.seed, kills=options.kills, sagas=options.sagas)
    started, clock = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resaga-chaos-") as folder, Postgres() as postgres:
        ledger = Ledger(postgres.url, options.guard)
        await ledger.prepare()
        try:
            async with (
                open_backend(cluster=options.cluster) as backend,
                open_workers(postgres.url, options.guard, logs=Path(folder)) as workers,
                open_balancer(workers.uris) as uri,
                open_customer(backend, ledger, patience=options.patience) as customer,
            ):
                await backend.register(uri)
                clock = time.monotonic()
                saboteur = Saboteur(backend, workers, ledger)
                with _progress(console) as progress:
                    await _Battle(options, customer, saboteur, faults, progress).fight()
                seconds = time.monotonic() - clock
                hanging = await asyncio.to_thread(_hanging, backend)
            # Nothing writes any more: whatever was still on its way has ended.
            records = await ledger.read()
            verdict = judge(records)
        finally:
            await ledger.dispose()
    return Report(
        command=options.command,
        started=started,
        seconds=seconds,
        cluster=options.cluster,
        guard=options.guard,
        faults=faults,
        verdict=verdict,
        hanging=hanging,
        evidence=records.of({finding.saga for finding in verdict.findings}),
    )


class _Battle:
    """The sagas against the faults."""

    def __init__(
        self,
        options: Options,
        customer: Customer,
        saboteur: Saboteur,
        faults: Sequence[Fault],
        progress: Progress,
    ) -> None:
        self._options = options
        self._customer = customer
        self._saboteur = saboteur
        self._faults = list(faults)
        self._progress = progress
        self._struck = 0
        self._ends: Counter[str] = Counter()
        self._bar = progress.add_task("", total=options.sagas)
        self._told = 0

    async def fight(self) -> None:
        """Send all sagas, and kill things in between; return when all have ended."""
        places = asyncio.Semaphore(self._options.at_once)
        started = time.monotonic()
        pace = self._options.duration.total_seconds() / max(1, self._options.sagas)
        async with asyncio.TaskGroup() as group:
            striking: asyncio.Task[None] | None = None
            waiting = list(self._faults)
            for number in range(self._options.sagas):
                await asyncio.sleep(started + number * pace - time.monotonic())
                while waiting and waiting[0].after <= number:
                    # One at a time. The next sagas wait for it, so that it hits some in flight
                    # however slow the machine is.
                    if striking is not None:
                        await asyncio.wait({striking})
                    striking = group.create_task(self._strike(waiting.pop(0)))
                await places.acquire()
                group.create_task(self._serve(number, places))
            for fault in waiting:
                if striking is not None:
                    await asyncio.wait({striking})
                striking = group.create_task(self._strike(fault))

    async def _serve(self, number: int, places: asyncio.Semaphore) -> None:
        try:
            outcome = await self._customer.serve(plan_of(self._options.seed, number))
        finally:
            places.release()
        self._ends[outcome or "lost"] += 1
        self._show(advance=1)

    async def _strike(self, fault: Fault) -> None:
        await self._saboteur.strike(fault)
        self._struck += 1
        self._show(advance=0)

    def _show(self, *, advance: int) -> None:
        ends = self._ends
        text = (
            f"{ends['completed']} completed, {ends['rolled back']} rolled back, "
            f"{ends['incomplete']} incomplete, {ends['lost']} lost; "
            f"{self._struck}/{len(self._faults)} killed"
        )
        self._progress.update(self._bar, advance=advance, description=text)
        tenth = ends.total() * 10 // self._options.sagas
        if tenth > self._told and not self._progress.console.is_terminal:
            # A bar in a file shows nothing until its end.
            self._told = tenth
            self._progress.console.print(f"{ends.total()}/{self._options.sagas}: {text}")


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        disable=not console.is_terminal,
    )


def _hanging(backend: Backend) -> list[str]:
    """What Restate says of the invocations that have not ended."""
    try:
        rows = backend.nodes[0].query(
            "SELECT id, target_service_name, status, retry_count, last_failure"
            " FROM sys_invocation WHERE status <> 'completed'"
        )
    except AdminError as error:
        return [str(error)]
    return [" ".join(str(value) for value in row.values()) for row in rows]
