"""Rounds: in each, every contender runs every case, so all share what the machine does besides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from benchmarks.contenders import Served
from benchmarks.load import Load, Work, calls, for_seconds
from benchmarks.proc import cpu_seconds
from resaga.server import RestateServer

__all__ = ["Case", "Sample", "Samples", "entries", "measure", "play_rounds"]

WARM, WARM_COUNT = Work(steps=5), 200
"""What each contender does before anything is counted."""

FEW = 8
"""How many sagas are kept going where a turn is a number of them."""

DRAIN = 60.0
"""Seconds that sagas in flight may take to end after the clients have left."""

IDLE = 0.25
"""A worker that uses no CPU for these seconds has nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        name: What reports call it.
        work: What each saga does.
        contenders: Whose sagas, by their names.
        count: How many sagas make a turn, where sagas are so long that few would end in its time.
        clients: How many sagas are kept going, where that is not the run's number.
    """

    name: str
    work: Work
    contenders: Sequence[str]
    count: int | None = None
    clients: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one round of one case has cost, per saga.

    Attributes:
        rate: Sagas a second.
        worker_ms: Milliseconds on a CPU of the worker.
        server_ms: Milliseconds on a CPU of restate-server.
        p50: Milliseconds that half of the sagas took at most.
        p90: Nine of ten.
        p99: All but one in a hundred.
    """

    rate: float
    worker_ms: float
    server_ms: float
    p50: float
    p90: float
    p99: float


@dataclass(slots=True)
class Samples:
    """All samples, by case and contender, in the order of the rounds."""

    found: dict[str, dict[str, list[Sample]]] = field(
        default_factory=dict[str, dict[str, list[Sample]]]
    )

    def add(self, case: str, contender: str, sample: Sample) -> None:
        """Keep one."""
        self.found.setdefault(case, {}).setdefault(contender, []).append(sample)


def measure(server: RestateServer, served: Served, load: Callable[[], Load]) -> Sample:
    """Put load on a contender, and count what it costs until the last of its sagas has ended."""
    worker, restate = cpu_seconds(served.pid), cpu_seconds(server.pid)
    seen = load()
    _drain(served)
    worker, restate = cpu_seconds(served.pid) - worker, cpu_seconds(server.pid) - restate
    sagas = seen.sagas + seen.left
    return Sample(
        rate=seen.sagas / seen.seconds,
        worker_ms=worker * 1000 / sagas,
        server_ms=restate * 1000 / sagas,
        p50=seen.p50,
        p90=seen.p90,
        p99=seen.p99,
    )


def play_rounds(
    server: RestateServer,
    contenders: Sequence[Served],
    cases: Sequence[Case],
    *,
    rounds: int,
    seconds: int,
    clients: int,
    progress: Callable[[], object],
) -> Samples:
    """Warm everybody up, and play rounds; who begins is another one each round."""
    by_name = {served.contender.name: served for served in contenders}
    samples = Samples()

    def play(case: Case, name: str) -> Sample:
        served = by_name[name]
        url = f"{server.ingress_url}/{served.contender.service}/run"

        def load() -> Load:
            if case.count is not None:
                return calls(url, case.work, clients=min(clients, FEW), count=case.count)
            kept = case.clients or clients
            return for_seconds(url, case.work, clients=kept, seconds=seconds)

        sample = measure(server, served, load)
        progress()
        return sample

    for served in contenders:
        url = f"{server.ingress_url}/{served.contender.service}/run"
        calls(url, WARM, clients=FEW, count=WARM_COUNT)
        progress()
    for number in range(rounds):
        for case in cases:
            names = [name for name in case.contenders if name in by_name]
            first = number % len(names)
            for name in names[first:] + names[:first]:
                samples.add(case.name, name, play(case, name))
    return samples


def entries(server: RestateServer, served: Served, work: Work) -> int:
    """How many entries the journal of one saga has in the end."""
    with httpx.Client(trust_env=False, timeout=DRAIN) as http:
        answer = http.post(
            f"{server.ingress_url}/{served.contender.service}/run",
            content=work.json(),
            headers={"content-type": "application/json"},
        )
    saga = answer.headers["x-restate-id"]
    (row,) = server.query(f"SELECT journal_size FROM sys_invocation WHERE id = '{saga}'")
    return int(row["journal_size"])


def _drain(served: Served) -> None:
    """Wait until the worker has nothing to do: the clients have left sagas behind, in flight.

    The server could tell, but it would have to look through all the sagas that have ended.
    """
    end = time.monotonic() + DRAIN
    before = cpu_seconds(served.pid)
    while True:
        time.sleep(IDLE)
        now = cpu_seconds(served.pid)
        if now == before:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"sagas were still in flight {DRAIN:.0f} s after the load ended")
        before = now
