"""What was measured: a table of medians, and ratios with their spread beside what they must be."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.extras import Memory
from benchmarks.playback import WORKS
from benchmarks.rounds import Sample, Samples
from resaga.server import RESTATE_SERVER_VERSION

__all__ = ["HAND", "OWN", "Ratio", "Report"]

IMPORT = "CPU time of `import resaga`, on top of `import restate`"
IMPORT_MS = 60
MEMORY_MB = 50

WIDTH = 99
"""Columns of a line of Markdown."""

TITLES = {contender.name: contender.title for contender in CONTENDERS}
OWN = "resaga-granian"
"""How resaga's own documentation says to serve it."""

HAND = "hand-granian"
"""The same by hand."""


Read = Callable[[Sample], float]


def _worker(sample: Sample) -> float:
    return sample.worker_ms


def _server(sample: Sample) -> float:
    return sample.server_ms


def _rate(sample: Sample) -> float:
    return sample.rate


def _p50(sample: Sample) -> float:
    return sample.p50


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Something compared with something else, round by round.

    Attributes:
        what: What.
        median: The median of the rounds' ratios.
        least: The least of them.
        most: The most.
        goal: What it has to be.
        met: Whether it is, by its median.
    """

    what: str
    median: float
    least: float
    most: float
    goal: str
    met: bool


@dataclass(slots=True, kw_only=True)
class Report:
    """All that was measured; what was left out is empty.

    Attributes:
        driver: What made the load.
        hop: Microseconds of CPU that a hop between two threads costs here.
        busy: How many processes wanted a CPU before any of this began: more than there are cores,
            and the machine had other things to do, which shows in all figures and less in ratios.
        rounds: How many rounds.
        seconds: How long each contender ran in one.
        clients: How many sagas were kept going.
        samples: What came of the rounds.
        entries: How many journal entries a saga has, by case and contender.
        gathered: Samples of ten steps in sequence and side by side.
        grown: Samples by contender and number of steps.
        imports: What importing resaga takes, in milliseconds.
        memory: What a worker holds.
        alone: Microseconds that each program's Python takes for each of `WORKS`, run by run.
    """

    driver: str
    hop: float
    busy: float
    rounds: int
    seconds: int
    clients: int
    samples: Samples
    entries: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    gathered: Mapping[str, Sequence[Sample]] = field(default_factory=dict[str, Sequence[Sample]])
    grown: Mapping[str, Mapping[int, Sequence[Sample]]] = field(
        default_factory=dict[str, Mapping[int, Sequence[Sample]]]
    )
    imports: Sequence[float] = ()
    memory: Memory | None = None
    alone: Mapping[str, Sequence[Sequence[float]]] = field(
        default_factory=dict[str, Sequence[Sequence[float]]]
    )

    # -- figures ---------------------------------------------------------------------------------

    def medians(self) -> list[list[str]]:
        """Rows of medians: case, contender, and one figure each."""
        rows: list[list[str]] = []
        for case, found in self.samples.found.items():
            for contender, samples in found.items():
                entries = self.entries.get(case, {}).get(contender)
                rows.append(
                    [
                        case,
                        TITLES[contender],
                        *_figures(samples),
                        "" if entries is None else str(entries),
                    ]
                )
        for how, taken in self.gathered.items():
            rows.append([f"10 steps, {how}, 1 client", TITLES[OWN], *_figures(taken), ""])
        return rows

    def ratios(self) -> list[Ratio]:
        """What has a goal."""
        found: list[Ratio] = []
        for server in ("granian", "hypercorn"):
            for case in self.samples.found:
                found += self._against(
                    case, f"resaga-{server}", f"hand-{server}", "worker CPU", _worker, at_most=1.05
                )
        for case in self.samples.found:
            rivals = (case, OWN)
            found += self._against(*rivals, "pypi-hypercorn", "worker CPU", _worker, at_most=0.45)
            found += self._against(*rivals, "npm-node", "worker CPU", _worker, at_most=1.0)
            found += self._against(*rivals, "npm-node", "sagas/s", _rate, at_least=1.0)
        if self.gathered:
            side, line = self.gathered["gather"], self.gathered["in sequence"]
            what = "gather of ten steps / ten in sequence"
            found.append(_ratio(f"{what}: latency", side, line, _p50, at_most=0.35))
            found.append(_ratio(f"{what}: server CPU", side, line, _server, at_most=1.0))
        return found + self._growth()

    def _growth(self) -> list[Ratio]:
        if not self.grown:
            return []
        own, hand = self.grown[OWN], self.grown[HAND]
        short, long = min(own), max(own)
        per_step = [
            (mine.worker_ms / long / (less.worker_ms / short))
            / (theirs.worker_ms / long / (their_less.worker_ms / short))
            for mine, less, theirs, their_less in zip(
                own[long], own[short], hand[long], hand[short], strict=True
            )
        ]
        what = f"worker CPU per step, {long} steps / {short}, over hand-written's"
        return [_spread(what, per_step, at_most=1.3)]

    def _against(
        self,
        case: str,
        own: str,
        other: str,
        figure: str,
        read: Read,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> list[Ratio]:
        found = self.samples.found[case]
        if own not in found or other not in found:
            return []
        what = f"{case}: {figure}, {TITLES[own]} / {TITLES[other]}"
        return [_ratio(what, found[own], found[other], read, at_most=at_most, at_least=at_least)]

    def singles(self) -> list[list[str]]:
        """Rows of figures that are no ratios: what, how much, the goal, and whether it is met."""
        rows = self._shares()
        if self.imports:
            took = median(self.imports)
            rows.append([IMPORT, f"{took:.0f} ms", f"≤ {IMPORT_MS} ms", _met(took <= IMPORT_MS)])
        if self.memory is not None:
            more = self.memory.loaded_mb - self.memory.idle_mb
            what = f"memory of a worker with {self.memory.sagas:,} suspended sagas, above idle"
            met = _met(more <= MEMORY_MB)
            rows.append([what, f"{more:.0f} MB", f"≤ {MEMORY_MB} MB", met])
        return rows

    def _shares(self) -> list[list[str]]:
        if not self.alone:
            return []
        own, hand = (
            [min(run) for run in zip(*self.alone[name], strict=True)] for name in (OWN, HAND)
        )
        return [
            [
                f"{work.title}: Python's share of the worker CPU, played back",
                f"{mine:.0f} µs; by hand {theirs:.0f} µs",
                "",
                "",
            ]
            for work, mine, theirs in zip(WORKS, own, hand, strict=True)
        ]

    # -- how it is told --------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """For the terminal."""
        medians = Table(*HEAD)
        for row in self.medians():
            medians.add_row(*row)
        ratios = Table("ratio", "median", "spread", "goal", "")
        for ratio in self.ratios():
            ratios.add_row(*_cells(ratio), _met(ratio.met))
        for what, figure, goal, met in self.singles():
            ratios.add_row(what, figure, "", goal, met)
        return [medians, ratios]

    def markdown(self) -> str:
        """For the documentation."""
        ratios = [[*_cells(ratio), _met(ratio.met)] for ratio in self.ratios()]
        ratios += [[what, figure, "", goal, met] for what, figure, goal, met in self.singles()]
        return "\n".join(
            [
                *textwrap.wrap(self.conditions(), WIDTH),
                "",
                *_markdown(HEAD, self.medians()),
                "",
                *_markdown(("ratio", "median", "spread", "goal", ""), ratios),
                "",
            ]
        )

    def conditions(self) -> str:
        """Under what conditions all of it was measured."""
        return (
            f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, restate-server {RESTATE_SERVER_VERSION}, restate-sdk "
            f"{version('restate-sdk')}, granian {version('granian')}, hypercorn "
            f"{version('hypercorn')}; medians of {self.rounds} rounds of {self.seconds} s, "
            f"{self.clients} clients, load by {self.driver}; "
            f"load average before: {self.busy:.1f}; a hop between threads costs {self.hop:.0f} µs."
        )

    def json(self) -> str:
        """For programs: every sample, and the ratios."""
        return json.dumps(
            {
                "conditions": self.conditions(),
                "samples": {
                    case: {
                        name: [asdict(sample) for sample in kept] for name, kept in found.items()
                    }
                    for case, found in self.samples.found.items()
                },
                "entries": {case: dict(found) for case, found in self.entries.items()},
                "gather": {name: [asdict(s) for s in kept] for name, kept in self.gathered.items()},
                "growth": {
                    name: {
                        length: [asdict(sample) for sample in kept]
                        for length, kept in found.items()
                    }
                    for name, found in self.grown.items()
                },
                "import_ms": list(self.imports),
                "alone_us": {
                    name: [list(run) for run in runs] for name, runs in self.alone.items()
                },
                "memory": None if self.memory is None else asdict(self.memory),
                "ratios": [asdict(ratio) for ratio in self.ratios()],
            },
            indent=2,
        )


HEAD = (
    "saga",
    "program",
    "sagas/s",
    "worker CPU, ms",
    "server CPU, ms",
    "p50, ms",
    "p90, ms",
    "p99, ms",
    "journal entries",
)


def _p90(sample: Sample) -> float:
    return sample.p90


def _p99(sample: Sample) -> float:
    return sample.p99


def _figures(samples: Sequence[Sample]) -> list[str]:
    """The medians of what was measured, in the order of the head."""
    return [
        f"{_median(samples, _rate):.0f}",
        f"{_median(samples, _worker):.2f}",
        f"{_median(samples, _server):.2f}",
        *(f"{_median(samples, read):.3g}" for read in (_p50, _p90, _p99)),
    ]


def _median(samples: Sequence[Sample], read: Read) -> float:
    return median(map(read, samples))


def _ratio(
    what: str,
    own: Sequence[Sample],
    other: Sequence[Sample],
    read: Read,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Ratio:
    ratios = [read(mine) / read(theirs) for mine, theirs in zip(own, other, strict=True)]
    return _spread(what, ratios, at_most=at_most, at_least=at_least)


def _spread(
    what: str,
    ratios: Sequence[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Ratio:
    middle = median(ratios)
    most = float("inf") if at_most is None else at_most
    least = 0.0 if at_least is None else at_least
    return Ratio(
        what=what,
        median=middle,
        least=min(ratios),
        most=max(ratios),
        goal=f"≥ {at_least}" if at_most is None else f"≤ {at_most}",
        met=least <= middle <= most,
    )


def _met(met: bool) -> str:  # noqa: FBT001  # that is all it is about
    return "met" if met else "missed"


def _cells(ratio: Ratio) -> list[str]:
    spread = f"{ratio.least:.2f} to {ratio.most:.2f}"
    return [ratio.what, f"{ratio.median:.2f}", spread, ratio.goal]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
