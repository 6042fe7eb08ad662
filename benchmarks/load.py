"""Load from outside: clients that call a saga, and call again as soon as it has ended."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles

import httpx

__all__ = ["Load", "LoadFailed", "Work", "calls", "driver", "for_seconds"]

GRACE = 60.0
"""Seconds that load may take longer than it was told, against a hang."""


class LoadFailed(Exception):
    """Sagas did not end as they had to, so what was measured is of no use."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one saga is to do.

    Attributes:
        steps: How many steps.
        fails: Whether the last of them fails.
    """

    steps: int
    fails: bool = False

    @property
    def title(self) -> str:
        """What reports call it."""
        plural, end = "s" if self.steps > 1 else "", ", rollback" if self.fails else ""
        return f"{self.steps} step{plural}{end}"

    def json(self) -> str:
        """As the programs read it."""
        return json.dumps({"steps": self.steps, "fails": self.fails})

    def check(self, sagas: int, errors: int) -> None:
        """See that all sagas ended as they had to.

        Raises:
            LoadFailed: Some did not, or there were none.
        """
        if not sagas or errors != (sagas if self.fails else 0):
            raise LoadFailed(f"of {sagas} sagas with {self}, {errors} ended in an error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What clients saw.

    Attributes:
        sagas: How many sagas ended.
        left: How many more were in flight when the clients left, and end without them.
        seconds: In what time.
        p50: Half of them took no longer than these milliseconds.
        p90: Nine of ten.
        p99: All but one in a hundred.
    """

    sagas: int
    left: int
    seconds: float
    p50: float
    p90: float
    p99: float


def driver() -> str:
    """What makes the load here: ``wrk``, or ``python`` where that is not installed."""
    return "wrk" if shutil.which("wrk") else "python"


def for_seconds(url: str, work: Work, *, clients: int, seconds: int) -> Load:
    """Keep `clients` sagas going for a time."""
    if driver() == "wrk":
        return _wrk(url, work, clients=clients, seconds=seconds)
    end = time.monotonic() + seconds
    return asyncio.run(_drive(url, work, clients, lambda _: time.monotonic() < end))


def calls(url: str, work: Work, *, clients: int, count: int) -> Load:
    """Run a number of sagas, `clients` of them at a time, and wait for the last."""
    return asyncio.run(_drive(url, work, clients, lambda started: started < count))


SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '%s'

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"sagas": %%d, "us": %%d, "errors": %%d, "broken": %%d, ' ..
    '"p50": %%f, "p90": %%f, "p99": %%f}\\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(90) / 1000, latency:percentile(99) / 1000))
end
"""


def _wrk(url: str, work: Work, *, clients: int, seconds: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % work.json())
        script.flush()
        ran = subprocess.run(
            [*f"wrk -t1 -c{clients} -d{seconds}s --timeout 60s -s".split(), script.name, url],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + GRACE,
        )
    result = json.loads(ran.stdout.rpartition("RESULT ")[2])
    if result["broken"]:
        raise LoadFailed(f"{url}: {result['broken']} connections broke")
    work.check(result["sagas"], result["errors"])
    return Load(
        sagas=result["sagas"],
        # A client calls again as soon as it has an answer.
        left=clients,
        seconds=result["us"] / 1e6,
        p50=result["p50"],
        p90=result["p90"],
        p99=result["p99"],
    )


async def _drive(url: str, work: Work, clients: int, go_on: Callable[[int], bool]) -> Load:
    latencies: list[float] = []
    started = errors = 0
    headers: Mapping[str, str] = {"content-type": "application/json"}
    body = work.json()

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal started, errors
        while go_on(started):
            started += 1
            began = time.perf_counter()
            answer = await http.post(url, content=body, headers=headers)
            latencies.append((time.perf_counter() - began) * 1000)
            errors += not answer.is_success

    began = time.perf_counter()
    limits = httpx.Limits(max_connections=clients)
    async with (
        httpx.AsyncClient(timeout=GRACE, limits=limits, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(clients):
            group.create_task(client(http))
    seconds = time.perf_counter() - began
    work.check(len(latencies), errors)
    cuts = quantiles([*latencies, latencies[-1]], n=100)
    return Load(
        sagas=len(latencies), left=0, seconds=seconds, p50=cuts[49], p90=cuts[89], p99=cuts[98]
    )
