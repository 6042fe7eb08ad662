"""Measure: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.contenders import CONTENDERS, Folders, Served, serve
from benchmarks.extras import gather, growth, memory, start_up
from benchmarks.load import Work, driver
from benchmarks.playback import playback
from benchmarks.proc import hop_us
from benchmarks.report import HAND, OWN, Report
from benchmarks.rounds import Case, entries, play_rounds
from resaga.server import RestateServer

ALL = tuple(contender.name for contender in CONTENDERS)
PAIR = (HAND, OWN)
QUICK = (*PAIR, "pypi-hypercorn", "npm-node")

PLAYED = 3
"""How often each program's Python is measured alone."""

LONG = 50
"""From so many steps on, a turn is a number of sagas, and not a time."""

FIVE = tuple(
    Case(name=work.title, work=work, contenders=ALL) for work in (Work(5), Work(5, fails=True))
)
LENGTHS = tuple(
    Case(
        name=work.title,
        work=work,
        contenders=PAIR,
        count=60 if work.steps >= LONG else None,
    )
    for steps in (1, 10, 50)
    for work in (Work(steps), Work(steps, fails=True))
)
ALONE = tuple(
    Case(
        name=f"{work.title}, 1 client",
        work=work,
        contenders=(*PAIR, "npm-node"),
        clients=1,
    )
    for work in (Work(5), Work(5, fails=True))
)
"""Where nothing is busy each message costs its own; under load the server takes many at once."""


def bench(
    options: argparse.Namespace, progress: Progress, save: Callable[[Report], object]
) -> Report:
    """Serve everybody on one server, play the rounds, and measure the rest; save after each."""
    folders = Folders(options.rivals.absolute())
    cases = FIVE if options.quick else FIVE + ALONE + LENGTHS
    busy, hop = os.getloadavg()[0], hop_us()
    rounds, seconds, clients = options.rounds, options.seconds, options.clients
    with ExitStack() as stack:
        server = stack.enter_context(RestateServer())
        names = options.only or (QUICK if options.quick else ALL)
        wanted = [contender for contender in CONTENDERS if contender.name in names]
        served = [stack.enter_context(serve(contender, folders)) for contender in wanted]
        for one in served:
            server.register(one.uri)
        cases = tuple(case for case in cases if set(names) & set(case.contenders))
        turns = len(served) + rounds * sum(len(set(names) & set(case.contenders)) for case in cases)
        task = progress.add_task("rounds", total=turns)
        samples = play_rounds(
            server,
            served,
            cases,
            rounds=rounds,
            seconds=seconds,
            clients=clients,
            progress=lambda: progress.advance(task),
        )
        report = Report(
            driver=driver(),
            hop=hop,
            busy=busy,
            rounds=rounds,
            seconds=seconds,
            clients=clients,
            samples=samples,
        )
        report.entries = {
            case.name: {
                one.contender.name: entries(server, one, case.work)
                for one in served
                if one.contender.name in case.contenders
            }
            for case in cases
        }
        save(report)
        by_name: dict[str, Served] = {one.contender.name: one for one in served}
        own = by_name.get(OWN)
        if own is not None:
            task = progress.add_task("gather", total=1)
            report.gathered = gather(server, own, rounds=rounds, seconds=seconds)
            progress.advance(task)
            save(report)
        if not options.quick and set(PAIR) <= set(by_name):
            task = progress.add_task("growth", total=1)
            report.grown = growth(
                server,
                [by_name[name] for name in PAIR],
                lengths=(10, 100, 1000),
                rounds=3,
                steps=4000,
            )
            progress.advance(task)
            save(report)
            task = progress.add_task("Python alone", total=PLAYED)
            found: dict[str, list[list[float]]] = {name: [] for name in PAIR}
            for _ in range(PLAYED):
                for name in PAIR:
                    found[name].append(playback(server, by_name[name].contender.program))
                progress.advance(task)
            report.alone = found
            save(report)
    report.imports = start_up(rounds=5 if options.quick else 15)
    save(report)
    if not options.quick and own is not None:
        task = progress.add_task("memory", total=1)
        report.memory = memory(own.contender, folders, sagas=10_000)
        progress.advance(task)
        save(report)
    return report


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look, in under 90 seconds")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (5; quick: 2)")
    parser.add_argument("--seconds", type=int, metavar="S", help="of load a turn (3; quick: 2)")
    parser.add_argument("--clients", type=int, default=32, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=ALL, metavar="NAME", help=f"measure only these of {ALL}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample as JSON")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables, for docs/performance.md"
    )
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FOLDER",
        default=Path("build/rivals"),
        help="where the others are installed (%(default)s)",
    )
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 3)
    if not sys.platform.startswith("linux"):
        parser.error("the accounting of CPU time is read from /proc, which only Linux has")
    console = Console()

    def save(report: Report) -> None:
        if options.json is not None:
            options.json.write_text(report.json() + "\n")
        if options.markdown is not None:
            options.markdown.write_text(report.markdown())

    with Progress(console=Console(stderr=True), transient=True) as progress:
        report = bench(options, progress, save)
    console.print(report.conditions())
    for table in report.tables():
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
