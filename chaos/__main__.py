"""`make chaos`: resaga's promises, while things are killed."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from chaos.faults import FAULTS, FaultKind
from chaos.guarded import GUARDS
from chaos.report import Report
from chaos.run import Options, run

__all__ = ["main"]

SINGLE: tuple[FaultKind, ...] = ("worker", "server", "database")
CLUSTER: tuple[FaultKind, ...] = ("worker", "node", "database")
SAGAS_PER_KILL = 55


def main(arguments: Sequence[str]) -> int:
    """Run it; give the exit status: 0, 1 if anything is off, 130 if it was interrupted."""
    parser = _parser()
    told = parser.parse_args(arguments)
    faults: list[FaultKind] = told.faults or list(CLUSTER if told.cluster else SINGLE)
    if told.cluster and "server" in faults:
        parser.error("--faults server: not with --cluster, whose nodes are killed: node")
    if not told.cluster and "node" in faults:
        parser.error("--faults node: with --cluster only")
    kills = told.kills if told.kills is not None else max(3, told.sagas // SAGAS_PER_KILL)
    options = Options(
        command=shlex.join(["make", "chaos", f"ARGS={shlex.join(arguments)}"]),
        sagas=told.sagas,
        duration=timedelta(seconds=told.duration),
        seed=told.seed,
        kills=kills,
        faults=faults,
        cluster=told.cluster,
        guard=told.guard,
        at_once=told.at_once,
        patience=timedelta(seconds=told.patience),
    )
    try:
        report = asyncio.run(_run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    print(report.text())
    if told.json is not None:
        report.write_json(told.json)
    return 0 if report.held else 1


async def _run(options: Options) -> Report:
    """Run it; SIGTERM ends it as Ctrl-C does: with everything stopped, and nothing left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(options, Console(stderr=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    add = parser.add_argument
    add("--sagas", type=_count, default=500, metavar="N", help="how many sagas (500)")
    add("--duration", type=_seconds, default=0.0, metavar="SECONDS",
        help="spread them over this time at least (0: as fast as it goes)")  # fmt: skip
    add("--seed", type=int, default=1, metavar="N", help="where plans and faults come from (1)")
    add("--kills", type=int, metavar="N",
        help=f"how many things are killed (one for {SAGAS_PER_KILL} sagas)")  # fmt: skip
    add("--faults", type=_faults, metavar="KIND,...",
        help=f"what is killed, each as often as the others: {', '.join(FAULTS)} (all that apply;"
        " database: its connections)")  # fmt: skip
    add("--cluster", action="store_true", help="Restate as a cluster of three nodes")
    add("--guard", choices=GUARDS, default="keys",
        help="what holds off effects that are asked for twice or too late: unique keys of the"
        " effects (keys), resaga.ext.sql (barrier), or none, to see it fail")  # fmt: skip
    add("--barrier", dest="guard", action="store_const", const="barrier",
        help="the same as --guard barrier")  # fmt: skip
    add("--at-once", type=_count, default=48, metavar="N", help="sagas in flight (48)")
    add("--patience", type=_seconds, default=180.0, metavar="SECONDS",
        help="how long one saga may take until it counts as lost (180)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the report there, too, as JSON")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: not below zero")
    return value


def _faults(text: str) -> list[FaultKind]:
    wanted = set(text.split(","))
    if strange := wanted - set(FAULTS):
        raise argparse.ArgumentTypeError(f"{strange}: choose from {', '.join(FAULTS)}")
    return [kind for kind in FAULTS if kind in wanted]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
