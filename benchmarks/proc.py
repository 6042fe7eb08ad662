"""What processes have used, from the operating system's own accounting (Linux: ``/proc``)."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["cpu_seconds", "hop_us", "resident_bytes", "tree"]

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """A line of ``/proc/PID/stat``, as far as it is of use here."""

    parent: int
    ticks: int


def _stat(pid: int) -> Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold anything; after it come state, parent, ...
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(parent=int(fields[1]), ticks=int(fields[11]) + int(fields[12]))


def tree(root: int) -> set[int]:
    """A process and all that come from it."""
    parents = {
        int(folder.name): stat.parent
        for folder in PROC.iterdir()
        if folder.name.isdigit() and (stat := _stat(int(folder.name))) is not None
    }
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds(root: int) -> float:
    """The time on a CPU, user's and system's, of a process and all that come from it."""
    return sum(stat.ticks for pid in tree(root) if (stat := _stat(pid)) is not None) / TICKS


def resident_bytes(root: int) -> int:
    """The memory that a process and all that come from it hold."""
    pages = 0
    for pid in tree(root):
        try:
            pages += int((PROC / str(pid) / "statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def hop_us(count: int = 20_000) -> float:
    """What a hop between two threads costs here: microseconds of CPU to wake one that sleeps.

    A few on bare metal, and several times that on some virtual machines. It weighs on programs by
    how many threads a message goes through.
    """
    here, there = socket.socketpair()
    with here, there:

        def answer() -> None:
            while there.recv(1):
                there.send(b"x")

        answering = threading.Thread(target=answer)
        answering.start()
        began = time.process_time()
        for _ in range(count):
            here.send(b"x")
            here.recv(1)
        took = time.process_time() - began
        here.shutdown(socket.SHUT_WR)
        answering.join()
    return took * 1e6 / (2 * count)
