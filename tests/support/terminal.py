"""Running commands as a person does: on a terminal of some width, and in a pipe."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIMIT", "Run", "Terminal", "in_pipe", "on_terminal", "plain"]

LIMIT = 90.0
"""Seconds after which a command that does not end is a failure."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07")


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended, and what it wrote; on a terminal all of it is ``output``."""

    status: int
    output: str
    errors: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines of its output, without colours."""
        return [line.rstrip() for line in plain(self.output).splitlines()]


def plain(text: str) -> str:
    """Text without what colours it and moves the cursor."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n")


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    taken = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES", "RESTATE_ADMIN_URL")
    kept = {name: value for name, value in os.environ.items() if name not in taken}
    return {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(env or {})}


async def in_pipe(*args: str, env: Mapping[str, str] | None = None) -> Run:
    """Run ``resaga`` with its output in a pipe."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "resaga.cli",
        *args,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, output.decode(), errors.decode())


async def on_terminal(*args: str, columns: int, env: Mapping[str, str] | None = None) -> Run:
    """Run ``resaga`` on a terminal of so many columns, to its end."""

    def run() -> Run:
        with Terminal(*args, columns=columns, env=env) as terminal:
            return terminal.end()

    return await asyncio.to_thread(run)


class Terminal:
    """``resaga`` on a terminal of its own, that is read while it runs."""

    def __init__(
        self,
        *args: str,
        columns: int,
        rows: int = 50,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "resaga.cli", *args],
            cwd=cwd,
            env=_environment(env),
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        self._output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._output.decode(errors="replace")

    def until(self, condition: Callable[[str], object]) -> str:
        """Wait until a condition holds for its output, without colours; give that."""
        limit = time.monotonic() + LIMIT
        while not condition(text := plain(self.output)):
            assert time.monotonic() < limit, f"it never came, in:\n{text}"
            time.sleep(0.02)
        return text

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Run:
        """Wait for its end."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return Run(status, self.output)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:  # Linux says EIO where the other side is closed.
                return
            if not chunk:
                return
            self._output += chunk

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(LIMIT)
        os.close(self._ours)
