"""Server and worker together, and the worker anew with each change of a file."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from watchfiles import Change, PythonFilter, watch

from resaga.cli.dev.stream import LogStream
from resaga.cli.serve.loading import check_target
from resaga.cli.trouble import BadInput
from resaga.server import RestateServer
from resaga.server.process import SupervisedProcess

__all__ = ["DevSettings", "develop"]

TICK: Final = timedelta(milliseconds=500)
"""How often to look whether the processes still run."""

GRACE: Final = timedelta(seconds=2)
"""How long running actions may take to end when the worker is started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSettings:
    """What to develop, and where.

    Attributes:
        target: The app, as ``module:name``.
        ingress_port: Where Restate takes requests.
        admin_port: Where its admin API and UI are.
        port: Where the worker listens.
        data: Where the server keeps its data between runs; ``None`` keeps none.
        watched: Folders whose Python files are watched.
        server_log: The least level of the server's log that is shown.
    """

    target: str
    ingress_port: int
    admin_port: int
    port: int
    data: Path | None
    watched: Sequence[Path]
    server_log: str


def develop(settings: DevSettings, console: Console) -> None:
    """Run server and worker until Ctrl-C or SIGTERM; all has ended when this returns.

    Raises:
        BadInput: The app is not named, or a folder to watch is not there.
        StartFailed: The server does not start, or has ended.
    """
    check_target(settings.target)
    for folder in settings.watched:
        if not folder.exists():
            raise BadInput(f"there is no folder {folder} to watch. Give another with --watch.")
    if settings.data is not None:
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"{settings.data} cannot be the folder of the server's data: {error.strerror}. "
                "Give another with --data."
            ) from error
    with tempfile.TemporaryDirectory(prefix="resaga-dev-") as scratch, _ends_on_signals() as stop:
        server_log, worker_log = Path(scratch) / "restate.log", Path(scratch) / "worker.log"
        files = {"restate": server_log, "worker": worker_log}
        with LogStream(console, files) as stream:
            server = RestateServer(
                data_dir=settings.data,
                ingress_port=settings.ingress_port,
                admin_port=settings.admin_port,
                env={
                    "RESTATE_LOG_FILTER": settings.server_log,
                    "RESTATE_LOG_FORMAT": "compact",
                },
                log_file=server_log,
            )
            with server, SupervisedProcess(name="the worker") as worker:
                stream.say(f"Restate takes requests at {server.ingress_url}")
                stream.say(f"its UI is at {server.admin_url}/ui/")
                _Loop(settings, server, worker, worker_log, stream).run(stop)
                stream.say("stopping")


class _Loop:
    def __init__(
        self,
        settings: DevSettings,
        server: RestateServer,
        worker: SupervisedProcess,
        log: Path,
        stream: LogStream,
    ) -> None:
        self._settings = settings
        self._server = server
        self._worker = worker
        self._log = log
        self._stream = stream
        self._told_end = False

    def run(self, stop: threading.Event) -> None:
        self._start()
        for changes in watch(
            *self._settings.watched,
            watch_filter=PythonFilter(),
            stop_event=stop,
            rust_timeout=int(TICK.total_seconds() * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            if changes:
                self._stream.say(f"{_names(changes)} changed; starting the worker anew")
                self._worker.stop()
                self._start()
            elif not self._server.is_alive():
                raise BadInput("restate-server has ended. What it said last stands above.")
            elif not self._worker.is_alive() and not self._told_end:
                self._told_end = True
                self._stream.say("the worker has ended; it starts anew when you save a file")

    def _start(self) -> None:
        self._told_end = False
        settings = self._settings
        command = [sys.executable, "-m", "resaga.cli", "serve", settings.target]
        command += ["--port", str(settings.port), "--register", self._server.admin_url]
        command += ["--force", "--grace", str(GRACE.total_seconds())]
        self._worker.start(command, log_file=self._log, grace=3 * GRACE)


@contextmanager
def _ends_on_signals() -> Generator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, in place of what they do else."""
    stop = threading.Event()

    def caught(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, caught) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _names(changes: set[tuple[Change, str]]) -> str:
    names = sorted({Path(path).name for _, path in changes})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
