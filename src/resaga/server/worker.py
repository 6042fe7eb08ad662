"""A worker: an ASGI app that serves Restate's services, as a child process."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from resaga.server.errors import StartFailed
from resaga.server.health import http_client, wait_until_ready
from resaga.server.lifecycle import Lifecycle
from resaga.server.ports import Ports
from resaga.server.process import SupervisedProcess

__all__ = ["Worker"]

PROGRAM = Path(__file__).with_name("_granian.py")

PROBE_TIMEOUT = timedelta(seconds=5)
GRACE = timedelta(seconds=15)


class Worker(Lifecycle):
    """An ASGI app under granian (HTTP/2, uvloop, one process that runs the app).

    Under ``with`` or ``async with`` it is started, and stopped at the end; it dies with this
    process, even if that is killed. Whether it streams or answers request by request, as
    serverless platforms do, is the app's own choice (``restate.app(..., protocol=…)``).

    ::

        with RestateServer() as server, Worker(app="shop.app:app") as worker:
            server.register(worker.uri)

    Attributes:
        uri: Where it listens: what to register with a Restate server.
        log_file: Where its output goes.
    """

    uri: str
    log_file: Path

    def __init__(
        self,
        *,
        app: str,
        host: str = "127.0.0.1",
        port: int | None = None,
        cwd: Path | None = None,
        pythonpath: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        start_timeout: timedelta = timedelta(seconds=60),
    ) -> None:
        """Nothing is started yet.

        Args:
            app: The app to serve, as ``module:name``; ``module:holder.name`` works too.
            host: The address to listen on.
            port: The port to listen on; None picks a free one.
            cwd: Its working folder; None: this process's. Modules are found there.
            pythonpath: Further folders where modules are found, before all others.
            env: Further variables of its environment, which is else this process's.
            log_file: Where its output is appended. None: in a temporary folder, removed at the
                end.
            start_timeout: How long a start may take.
        """
        super().__init__()
        self._app = app
        self._host = host
        self._port = port
        self._cwd = (cwd or Path.cwd()).absolute()
        self._pythonpath = [folder.absolute() for folder in pythonpath]
        self._env = dict(env or {})
        self._log_file = log_file
        self._start_timeout = start_timeout
        self._process: SupervisedProcess | None = None
        self._ports = Ports()
        self._pid_file = Path()
        self._command: list[str] = []
        self._pid = 0

    @property
    def pid(self) -> int:
        """The id of the process that runs the app, which is not granian's main process.

        If that one process is killed, granian ends, and `is_alive` becomes false.

        Raises:
            StartFailed: It was not started.
        """
        self._running()
        return self._pid

    def is_alive(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            StartFailed: It did not get ready, because the app cannot be imported say; with the
                end of its log. Or granian is not installed.
        """
        if self._process is not None:
            raise StartFailed("this Worker runs already; `restart` starts it again")
        for module in ("granian", "uvloop"):
            if importlib.util.find_spec(module) is None:
                raise StartFailed(f"a Worker needs {module}: pip install 'resaga[server]'")
        scratch = Path(tempfile.mkdtemp(prefix="resaga-worker-"))
        self.log_file = (self._log_file or scratch / "worker.log").absolute()
        self._pid_file = scratch / "pid"
        self._process = SupervisedProcess(name=f"the worker of {self._app}", scratch=scratch)
        try:
            self._process.launch()
            port = self._ports.take(self._host, self._port, what="a worker")
            host = f"[{self._host}]" if ":" in self._host else self._host
            self.uri = f"http://{host}:{port}"
            self._command = [sys.executable, "-P", str(PROGRAM), "--host", self._host]
            self._command += ["--port", str(port), "--pid-file", str(self._pid_file), self._app]
            self._launch(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it: it may finish what it does, for a while; then it is killed."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._ports.release()

    def kill(self) -> None:
        """SIGKILL all its processes at once, as a crash would; `restart` starts it again."""
        self._running().kill()

    def wait(self, timeout: timedelta) -> bool:
        """Wait until it has ended by itself, for `timeout` at most; return whether it has."""
        return self._running().wait(timeout)

    def restart(self) -> None:
        """Start it again, on the same port; stop it first if it runs."""
        process = self._running()
        process.stop()
        self._launch(process)

    def _launch(self, process: SupervisedProcess) -> None:
        self._pid_file.unlink(missing_ok=True)
        process.start(
            self._command,
            env=self._environment(),
            cwd=self._cwd,
            log_file=self.log_file,
            # Like Ctrl-C. On SIGTERM a worker would not end: the SDK's handler takes the place of
            # granian's in it. So it gets both, one of them from granian's main process.
            stop_signal=signal.SIGINT,
            grace=GRACE,
        )
        wait_until_ready(
            process,
            self._probe,
            name=f"the worker of {self._app}",
            log_file=self.log_file,
            timeout=self._start_timeout,
            pulse=self._check_abandoned,
        )
        # Written before the app is served.
        self._pid = int(self._pid_file.read_text())

    def _probe(self) -> None:
        with http_client(self.uri, timeout=PROBE_TIMEOUT) as client:
            client.get("/health").raise_for_status()

    def _environment(self) -> dict[str, str]:
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self._env}
        folders = [*map(str, self._pythonpath), str(self._cwd), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
        return env

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise StartFailed("this Worker was not started: use it under `with`, or `start`")
        return self._process
