"""What is measured once, beside the rounds: gather, growth, memory, start-up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx

from benchmarks.contenders import Contender, Folders, Served, serve
from benchmarks.load import Load, Work, calls, for_seconds
from benchmarks.proc import resident_bytes
from benchmarks.rounds import Sample, measure
from resaga.server import RestateServer

__all__ = ["Memory", "gather", "growth", "memory", "start_up"]

LIMIT = 600.0
POLL = 0.2
SENDERS = 16

BATCH = 200
"""How many sagas are started before all are suspended again: memory that a crowd in flight took is
not given back, and would be taken for that of the suspended."""

IMPORTS = """
import time
import restate
began = time.process_time()
import resaga
print(time.process_time() - began)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a worker holds.

    Attributes:
        sagas: How many are suspended.
        idle_mb: Before they were started, in megabytes.
        loaded_mb: With them.
    """

    sagas: int
    idle_mb: float
    loaded_mb: float


def gather(
    server: RestateServer, served: Served, *, rounds: int, seconds: int
) -> dict[str, list[Sample]]:
    """Ten steps in sequence, and the same side by side, one saga at a time."""
    work = Work(steps=10)
    found: dict[str, list[Sample]] = {"in sequence": [], "gather": []}
    for _ in range(rounds):
        for name, suffix in (("in sequence", ""), ("gather", "Gather")):
            url = f"{server.ingress_url}/{served.contender.service}{suffix}/run"
            load = partial(for_seconds, url, work, clients=1, seconds=seconds)
            found[name].append(measure(server, served, load))
    return found


def growth(
    server: RestateServer,
    contenders: Sequence[Served],
    *,
    lengths: Sequence[int],
    rounds: int,
    steps: int,
) -> dict[str, dict[int, list[Sample]]]:
    """Sagas of growing length, with the same number of steps in all of each length together."""
    found: dict[str, dict[int, list[Sample]]] = {
        served.contender.name: {length: [] for length in lengths} for served in contenders
    }
    for _ in range(rounds):
        for length in lengths:
            for served in contenders:
                url = f"{server.ingress_url}/{served.contender.service}/run"
                load = _load(url, Work(steps=length), 4, max(4, steps // length))
                found[served.contender.name][length].append(measure(server, served, load))
    return found


def _load(url: str, work: Work, clients: int, count: int) -> Callable[[], Load]:
    return lambda: calls(url, work, clients=clients, count=count)


def memory(contender: Contender, folders: Folders, *, sagas: int) -> Memory:
    """A worker's memory with many sagas that are suspended, on a server of its own.

    Raises:
        TimeoutError: They did not all get there.
    """
    patience = timedelta(milliseconds=200)
    with (
        RestateServer(inactivity_timeout=patience) as server,
        serve(contender, folders) as served,
        ThreadPoolExecutor(SENDERS) as senders,
        httpx.Client(trust_env=False, timeout=LIMIT) as http,
    ):
        server.register(served.uri)
        work = Work(steps=1)
        url = f"{server.ingress_url}/{contender.service}"
        calls(f"{url}/run", work, clients=SENDERS, count=500)
        idle = resident_bytes(served.pid)

        def send(_: int) -> None:
            http.post(
                f"{url}Sleep/run/send",
                content=work.json(),
                headers={"content-type": "application/json"},
            ).raise_for_status()

        asleep = "SELECT count(*) AS n FROM sys_invocation WHERE status = 'suspended'"
        end = time.monotonic() + LIMIT
        for begun in range(0, sagas, BATCH):
            wanted = min(begun + BATCH, sagas)
            list(senders.map(send, range(begun, wanted)))
            while (count := server.query(asleep)[0]["n"]) < wanted:
                if time.monotonic() > end:
                    raise TimeoutError(f"only {count} of {sagas} sagas are suspended")
                time.sleep(POLL)
        loaded = resident_bytes(served.pid)
    return Memory(sagas=sagas, idle_mb=idle / 1e6, loaded_mb=loaded / 1e6)


def start_up(*, rounds: int) -> list[float]:
    """The time on a CPU of importing resaga after restate, in milliseconds.

    With bytecode, which an installed package has, whatever this environment says of it.
    """
    with tempfile.TemporaryDirectory(prefix="resaga-bench-") as bytecode:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        env.pop("PYTHONDONTWRITEBYTECODE", None)

        def once() -> float:
            done = subprocess.run(
                [sys.executable, "-c", IMPORTS],
                check=True,
                capture_output=True,
                text=True,
                env=env,
            )
            return float(done.stdout) * 1000

        once()  # Compiles.
        return [once() for _ in range(rounds)]
