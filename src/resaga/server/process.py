"""A child process, with all its descendants, that never outlives this process."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resaga.server.errors import StartFailed

__all__ = ["SupervisedProcess", "last_lines"]

PROGRAM = Path(__file__).with_name("_supervisor.py")

HANG_LIMIT = timedelta(seconds=60)
"""How long the supervisor may take for what should take it milliseconds, on a busy machine."""

SLICE = 0.1
"""Seconds that one wait holds the lock: another thread may want to kill what this one awaits."""

LOG_LINES = 20
"""How many lines of a log an error message ends with."""


class SupervisedProcess:
    """One command at a time, run under a supervisor that ends it when this process ends.

    The supervisor is a small process of its own, because nothing in a process works any more
    after a SIGKILL. It holds a pipe to this one: when the pipe closes, for whatever reason, it
    stops the command, kills what is left of its process group, and removes the scratch folder.
    It lives from `launch` to `close`, and may run several commands in that time, one after the
    other. Safe to use from several threads. POSIX only, like restate-server.

    ::

        with SupervisedProcess(name="worker", scratch=folder) as process:
            process.start(["python", "-m", "http.server"], log_file=folder / "log")
            process.stop()
    """

    def __init__(self, *, name: str, scratch: Path | None = None) -> None:
        """Nothing is started yet.

        Args:
            name: What error messages call it.
            scratch: A folder to remove, with all that is in it, when everything has ended.
        """
        self._name = name
        self._scratch = scratch
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._received = b""
        self._pid: int | None = None
        self._running = False
        self._status: int | None = None
        self._failure: str | None = None
        self._grace = timedelta(0)

    @property
    def pid(self) -> int | None:
        """The process id of the command's first process, also after its end; None before."""
        return self._pid

    @property
    def status(self) -> int | None:
        """The exit status of the command's first process, minus the signal if one ended it."""
        return self._status

    def is_alive(self) -> bool:
        """Whether the command, or anything it left behind, still runs."""
        self._receive(0)
        return self._running

    def launch(self) -> None:
        """Start the supervisor."""
        with self._lock:
            self._supervisor = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(PROGRAM),
                    str(os.getpid()),
                    str(self._scratch or ""),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Whoever reads this process's output to its end must not wait for the supervisor.
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                start_new_session=True,
            )

    def start(
        self,
        command: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: timedelta = timedelta(seconds=10),
    ) -> int:
        """Run `command`, and return its process id.

        Args:
            command: The program and its arguments.
            log_file: Where its output is appended.
            env: Its whole environment; this process's when None.
            cwd: Its working folder; this process's when None.
            stop_signal: What its whole process group gets when it is to stop.
            grace: How long it may take to end after that, before it gets a SIGKILL.

        Raises:
            StartFailed: It could not be started: no such program, no such folder.
        """
        if self.is_alive():
            raise StartFailed(f"{self._name} runs already")
        with self._lock:
            self._pid, self._status, self._failure = None, None, None
            self._send(
                do="start",
                command=list(command),
                env=dict(os.environ if env is None else env),
                cwd=str(cwd or Path.cwd()),
                log=str(log_file.absolute()),
                signal=int(stop_signal),
                grace=grace.total_seconds(),
            )
            self._grace = grace
            self._running = True
        self._await(lambda: self._pid is not None or not self._running, HANG_LIMIT, "start")
        pid = self.pid
        if pid is None:
            raise StartFailed(f"{self._name} could not be started: {self._failure}")
        return pid

    def wait(self, timeout: timedelta) -> bool:
        """Wait until the command has ended, for `timeout` at most; return whether it has."""
        deadline = time.monotonic() + timeout.total_seconds()
        while self.is_alive() and (left := deadline - time.monotonic()) > 0:
            self._receive(min(left, SLICE))
        return not self.is_alive()

    def stop(self) -> None:
        """End the command: its signal, SIGKILL after its grace; return when all of it is gone."""
        if self.is_alive():
            self._send(do="stop")
            self._await(lambda: not self._running, self._grace + HANG_LIMIT, "stop")

    def kill(self) -> None:
        """SIGKILL the command's whole process group; return when all of it is gone."""
        if self.is_alive():
            self._send(do="kill")
            self._await(lambda: not self._running, HANG_LIMIT, "die")

    def close(self) -> None:
        """End the command, the supervisor, and the scratch folder. Again does nothing."""
        with self._lock:
            supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        supervisor.stdin.close()
        try:
            supervisor.wait((self._grace + HANG_LIMIT).total_seconds())
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
            self._kill_orphans()
        finally:
            supervisor.stdout.close()
            self._running = False

    def ending(self) -> str:
        """How the command ended, in words."""
        if self._failure is not None:
            return self._failure
        if self._status is None:
            return "still runs"
        if self._status < 0:
            return f"was ended by {signal.Signals(-self._status).name}"
        return f"ended with status {self._status}"

    def _await(self, done: Callable[[], bool], limit: timedelta, what: str) -> None:
        deadline = time.monotonic() + limit.total_seconds()
        while not done():
            if time.monotonic() > deadline:
                raise StartFailed(f"{self._name} did not {what} within {limit}")
            self._receive(SLICE)

    def _send(self, **command: object) -> None:
        with self._lock:
            if self._supervisor is None or self._supervisor.stdin is None:
                raise StartFailed(f"{self._name} is closed")
            data = memoryview(json.dumps(command).encode() + b"\n")
            with contextlib.suppress(BrokenPipeError):  # the other pipe's end tells
                while data:
                    data = data[self._supervisor.stdin.write(data) or 0 :]

    def _receive(self, patience: float) -> None:
        """Take in what the supervisor reports within `patience` seconds, if anything."""
        with self._lock:
            if self._supervisor is None or self._supervisor.stdout is None:
                return
            output = self._supervisor.stdout
            with selectors.DefaultSelector() as selector:
                selector.register(output, selectors.EVENT_READ)
                if not selector.select(patience):
                    return
            data = os.read(output.fileno(), 65536)
            if not data:
                self._lose_supervisor()
                return
            *lines, self._received = (self._received + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, report: dict[str, Any]) -> None:
        match report["event"]:
            case "started":
                self._pid = report["pid"]
            case "failed":
                self._failure, self._running = report["error"], False
            case _:
                self._status, self._running = report["status"], False

    def _lose_supervisor(self) -> None:
        if self._running:
            self._failure = "its supervisor was killed, and it with it"
            self._running = False
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def last_lines(log_file: Path, *, count: int = LOG_LINES) -> str:
    """The end of a log, to end an error message with."""
    try:
        lines = log_file.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"Its log cannot be read: {error}"
    if not lines:
        return "Its log is empty."
    return f"The end of its log ({log_file}):\n" + "\n".join(f"  {line}" for line in lines[-count:])
