"""Runs one command for a parent process, and never outlives that parent.

This file is a program, started by `resaga.server.process` with ``python -I -S``; it imports the
standard library only, so it is up in a few hundredths of a second. It reads commands, one JSON
object a line, from its standard input::

    {"do": "start", "command": [...], "env": {...}, "cwd": "...", "log": "...",
     "signal": 15, "grace": 10.0}
    {"do": "stop"}      the signal, then SIGKILL after the grace
    {"do": "kill"}      SIGKILL at once

and reports on its standard output::

    {"event": "started", "pid": 42}
    {"event": "failed", "error": "..."}
    {"event": "exited", "status": 0}     once the command's whole process group is gone

The end of its input means that the parent is done with it, or dead: it stops the command, removes
the scratch folder, and ends. Since a process forked from the parent may hold the pipe open, it
also looks twice a second whether it still has the same parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARENT_CHECK = 0.5
"""Seconds between two looks at the parent."""

DRAIN_CHECK = 0.02
"""Seconds between two looks at a process group that is being killed."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> Callable[[], object] | None:
    """Become the parent of the command's orphans; return what ties a child to this process.

    Both exist on Linux only. Adopting matters in containers, whose first process often reaps
    nobody. Tying is for the case that the supervisor itself is killed.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """At most one command at a time, and the signals it is due."""

    def __init__(self, *, parent: int) -> None:
        self._parent = parent
        self._tie = adopt_orphans()
        self._leader: int | None = None
        self._status: int | None = None
        self._signal = int(signal.SIGTERM)
        self._grace = 0.0
        self._kill_at: float | None = None
        self._leaving = False
        self._input = b""
        self._wakeup, wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def run(self) -> None:
        """Serve the parent until it is gone and the command too."""
        selector = selectors.DefaultSelector()
        selector.register(self._wakeup, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while not (self._leaving and self._leader is None):
            for key, _ in selector.select(self._patience()):
                if key.fd == self._wakeup:
                    os.read(self._wakeup, 4096)
                elif not self._read_commands(key.fd):
                    selector.unregister(key.fd)
                    self._leaving = True
            if os.getppid() != self._parent:
                self._leaving = True
            if self._leaving and self._kill_at is None:
                self._stop()
            self._advance()

    def _on_signal(self, number: int, _frame: object) -> None:
        # Ctrl-C is for the parent. It is not set to SIG_IGN: the command would inherit that.
        if number in (signal.SIGTERM, signal.SIGHUP):
            self._leaving = True

    def _patience(self) -> float:
        if self._status is not None:
            return DRAIN_CHECK
        if self._kill_at is not None:
            return max(0.0, min(PARENT_CHECK, self._kill_at - time.monotonic()))
        return PARENT_CHECK

    def _read_commands(self, fd: int) -> bool:
        data = os.read(fd, 65536)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            match command["do"]:
                case "start":
                    self._start(command)
                case "stop":
                    self._stop()
                case _:
                    self._kill_at = 0.0
        return bool(data)

    def _start(self, command: dict[str, Any]) -> None:
        try:
            with Path(command["log"]).open("ab") as log:
                child = subprocess.Popen(
                    command["command"],
                    env=command["env"],
                    cwd=command["cwd"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # A session of its own: a terminal's Ctrl-C is for the parent to handle, and
                    # the whole group can be signalled at once.
                    start_new_session=True,
                    preexec_fn=self._tie,  # noqa: PLW1509 - this process has one thread
                )
        except (OSError, ValueError) as error:
            self._report(event="failed", error=str(error))
            return
        child.returncode = 0  # reaped in _advance, together with the orphans it may leave
        self._leader = child.pid
        self._status = None
        self._kill_at = None
        self._signal = command["signal"]
        self._grace = command["grace"]
        self._report(event="started", pid=child.pid)

    def _stop(self) -> None:
        if self._leader is not None and self._status is None and self._kill_at is None:
            self._signal_group(self._signal)
            self._kill_at = time.monotonic() + self._grace

    def _advance(self) -> None:
        """Kill what is due, reap what is dead, report what is over."""
        if self._leader is None:
            return
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._signal_group(signal.SIGKILL)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._leader:
                self._status = os.waitstatus_to_exitcode(status)
        if self._status is not None and not self._signal_group(signal.SIGKILL):
            status, self._leader, self._status, self._kill_at = self._status, None, None, None
            self._report(event="exited", status=status)

    def _signal_group(self, number: int) -> bool:
        """Signal the command's whole group; return whether there is anyone in it."""
        assert self._leader is not None
        try:
            os.killpg(self._leader, number)
        except (ProcessLookupError, PermissionError):
            return False  # macOS says EPERM where only zombies are left
        return True

    def _report(self, **event: object) -> None:
        # The parent may be dead: that is seen at the other pipe.
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), json.dumps(event).encode() + b"\n")


def main(parent: str, scratch: str = "") -> None:
    """Supervise for process `parent`; remove the folder `scratch`, if any, at the end."""
    try:
        Supervisor(parent=int(parent)).run()
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
