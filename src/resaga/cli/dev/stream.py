"""The logs of several processes as one stream that a person can read."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.text import Text

__all__ = ["LogStream"]

POLL: Final = timedelta(milliseconds=100)
STYLES: Final = {"worker": "green", "restate": "magenta", "dev": "bold cyan"}
WIDTH: Final = max(map(len, STYLES))


class LogStream:
    """Follows log files, and prints their lines with who wrote them in front.

    Args:
        console: Where to.
        files: The log files, by who writes them; they need not be there yet.
    """

    def __init__(self, console: Console, files: Mapping[str, Path]) -> None:
        self._console = console
        self._files = files
        self._read: dict[str, int] = dict.fromkeys(files, 0)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def say(self, text: str) -> None:
        """Print a line of our own, after what the others have written until now."""
        self._take()
        self._line("dev", text)

    def _follow(self) -> None:
        while not self._stop.wait(POLL.total_seconds()):
            self._take()

    def _take(self) -> None:
        """Print the lines that are new and whole."""
        with self._lock:
            for who, path in self._files.items():
                try:
                    with path.open("rb") as file:
                        file.seek(self._read[who])
                        new = file.read()
                except FileNotFoundError:
                    continue
                whole = new[: new.rfind(b"\n") + 1]
                self._read[who] += len(whole)
                for line in whole.decode(errors="replace").splitlines():
                    self._line(who, line)

    def _line(self, who: str, text: str) -> None:
        self._console.print(
            Text.assemble((f"{who:<{WIDTH}} ", STYLES[who]), Text.from_ansi(text)),
            soft_wrap=True,
            highlight=False,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._take()
