"""What is killed, and when: all of it from the seed, and spread over the sagas."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from chaos.backend import Backend
from chaos.bank import WORKER_NAME
from chaos.guarded import Guard
from chaos.records import Ledger
from chaos.worker_env import APP, DATABASE, GUARD
from resaga.server import Worker

__all__ = [
    "FAULTS",
    "KILLS",
    "Fault",
    "FaultKind",
    "Saboteur",
    "Workers",
    "open_workers",
    "schedule",
]

FaultKind: TypeAlias = Literal["worker", "server", "node", "database"]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
KILLS: frozenset[FaultKind] = frozenset({"worker", "server", "node"})
"""Those that are a SIGKILL."""

WORKERS = 2
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to kill.

    Attributes:
        number: Which one of the run.
        kind: What is killed.
        after: Once so many sagas have been sent.
        down: How long it stays down.
        share: Which one, or how many: from 0.0 to 1.0.
    """

    number: int
    kind: FaultKind
    after: int
    down: timedelta
    share: float


def schedule(kinds: Sequence[FaultKind], *, seed: int, kills: int, sagas: int) -> list[Fault]:
    """Plan the faults of a run: each kind as often as the others, at random moments."""
    dice = random.Random(f"faults/{seed}")
    drawn: list[FaultKind] = [kinds[number % len(kinds)] for number in range(kills)]
    dice.shuffle(drawn)
    # Not before the first sagas are on their way, and not after the last.
    moments = sorted(dice.randint(min(10, sagas), sagas) for _ in drawn)
    return [
        Fault(
            number=number,
            kind=kind,
            after=after,
            down=timedelta(seconds=dice.choice([0, dice.random()])),
            share=dice.random(),
        )
        for number, (kind, after) in enumerate(zip(drawn, moments, strict=True), start=1)
    ]


class Workers:
    """The worker processes, and which of them are up."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = list(workers)
        self._down: set[int] = set()

    def uris(self) -> list[str]:
        """Where those listen that are up."""
        return [
            worker.uri for number, worker in enumerate(self._workers) if number not in self._down
        ]

    async def crash(self, share: float, *, down: timedelta) -> int:
        """SIGKILL one, and start it again after a while; give its number."""
        number = int(share * len(self._workers))
        worker = self._workers[number]
        self._down.add(number)
        await asyncio.to_thread(worker.kill)
        await asyncio.sleep(down.total_seconds())
        await asyncio.to_thread(worker.restart)
        self._down.discard(number)
        return number


@asynccontextmanager
async def open_workers(database: str, guard: Guard, *, logs: Path) -> AsyncGenerator[Workers]:
    """Start the workers, and stop them at the end.

    Args:
        database: Where the bank is.
        guard: What guards it.
        logs: A folder for their logs.
    """
    async with AsyncExitStack() as stack:
        workers = [
            Worker(
                app=APP,
                cwd=ROOT,
                env={DATABASE: database, GUARD: guard},
                log_file=logs / f"worker-{number}.log",
            )
            for number in range(1, WORKERS + 1)
        ]
        for worker in workers:
            await stack.enter_async_context(worker)
        yield Workers(workers)


class Saboteur:
    """Kills what the schedule says, one thing at a time, and waits until it is up again."""

    def __init__(self, backend: Backend, workers: Workers, ledger: Ledger) -> None:
        self._backend = backend
        self._workers = workers
        self._ledger = ledger

    async def strike(self, fault: Fault) -> None:
        """Kill one thing."""
        match fault.kind:
            case "worker":
                await self._note(fault, f"one of {WORKERS}")
                await self._workers.crash(fault.share, down=fault.down)
            case "server" | "node":
                number = int(fault.share * len(self._backend.nodes))
                await self._note(fault, str(number + 1))
                await self._backend.crash(number, down=fault.down)
            case "database":
                await self._note(fault, "connections")
                # Some of them, or all.
                await self._ledger.terminate(WORKER_NAME, share=min(1.0, fault.share * 1.5))

    async def _note(self, fault: Fault, target: str) -> None:
        await self._ledger.note_fault(fault.number, fault.kind, target)
