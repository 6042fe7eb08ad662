"""A Restate server as a child process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from resaga.server.binary import Progress, find_restate_server, print_progress
from resaga.server.errors import AdminError, StartFailed
from resaga.server.health import http_client, wait_until_ready
from resaga.server.lifecycle import Lifecycle
from resaga.server.ports import Ports
from resaga.server.process import SupervisedProcess, last_lines

__all__ = ["RestateServer"]

HOST = "127.0.0.1"

PORT_TRIES = 5
"""How often a start is tried again when somebody else was quicker to bind a port."""

PORT_TAKEN = "failed binding to address"
"""What restate-server logs then."""

PROBE_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=60)
GRACE = timedelta(seconds=15)

QUIET = {"RESTATE_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


class RestateServer(Lifecycle):
    """A restate-server that runs while this object does, and never longer than this process.

    Under ``with`` or ``async with`` it is started, and stopped at the end. It listens on
    127.0.0.1 only, sends no telemetry, and dies with this process, even if that is killed.

    ::

        with RestateServer() as server:
            server.register("http://127.0.0.1:9080")
            print(server.ingress_url)

    Nothing of this process's own ``RESTATE_…`` environment reaches it: what it is told is told
    here.

    Attributes:
        ingress_url: Where services are called, without a slash at its end.
        admin_url: Restate's admin API and its UI, without a slash at its end.
        node_url: Where other nodes of a cluster reach it, without a slash at its end.
        data_dir: Where its data is.
        log_file: Where its log goes.
    """

    ingress_url: str
    admin_url: str
    node_url: str
    data_dir: Path
    log_file: Path

    def __init__(
        self,
        *,
        binary: Path | None = None,
        data_dir: Path | None = None,
        ingress_port: int | None = None,
        admin_port: int | None = None,
        node_port: int | None = None,
        env: Mapping[str, str] | None = None,
        inactivity_timeout: timedelta | None = None,
        log_file: Path | None = None,
        start_timeout: timedelta = timedelta(seconds=60),
        progress: Progress = print_progress,
    ) -> None:
        """Nothing is started yet.

        Args:
            binary: The binary to run; None finds or fetches one, see `find_restate_server`.
            data_dir: Where data is kept; it is made if need be, and stays. None: in a temporary
                folder, which is removed when the server is stopped.
            ingress_port: The port services are called at; None picks a free one.
            admin_port: The port of the admin API and the UI; None picks a free one.
            node_port: The port other nodes talk to; None picks a free one.
            env: Further settings, as ``RESTATE_…`` variables; they win over resaga's own, but
                not over the options here.
            inactivity_timeout: How long an idle invocation stays in memory before it is
                suspended (Restate's default is a minute). Zero: every wait suspends, and the
                next attempt replays.
            log_file: Where the log is appended. None: in a temporary folder, removed at the end.
            start_timeout: How long a start may take, fetching the binary aside.
            progress: Told what happens while the binary is fetched.
        """
        super().__init__()
        self._binary = binary
        self._data_dir = data_dir
        self._ports_told = (ingress_port, admin_port, node_port)
        self._env = dict(env or {})
        self._inactivity_timeout = inactivity_timeout
        self._log_file = log_file
        self._start_timeout = start_timeout
        self._progress = progress
        self._process: SupervisedProcess | None = None
        self._ports = Ports()
        self._command: list[str] = []

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            StartFailed: It was not started.
        """
        pid = self._running().pid
        assert pid is not None
        return pid

    def is_alive(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start it, and return when it takes requests; it takes about half a second.

        If somebody else binds one of the ports it picked first, it picks others.

        Raises:
            RestateServerNotFound: There is no binary, and none could be fetched.
            StartFailed: It did not get ready; with the end of its log.
        """
        if self._process is not None:
            raise StartFailed("this RestateServer runs already; `restart` starts it again")
        binary = self._binary or find_restate_server(progress=self._report)
        scratch = Path(tempfile.mkdtemp(prefix="resaga-restate-"))
        # The server leaves folders in its TMPDIR at every run; here they go with the scratch.
        self._temporary = scratch / "tmp"
        self._temporary.mkdir()
        self.data_dir = (self._data_dir or scratch / "data").absolute()
        self.log_file = (self._log_file or scratch / "restate-server.log").absolute()
        self._command = [str(binary), "--no-logo", "--base-dir", str(self.data_dir)]
        self._process = SupervisedProcess(name="restate-server", scratch=scratch)
        try:
            self._process.launch()
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._start_on_some_ports()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it (SIGTERM, then SIGKILL), and remove its temporary folder."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._ports.release()

    def kill(self) -> None:
        """SIGKILL it, as a crash would; its data stays, and `restart` starts it again."""
        self._running().kill()

    def restart(self) -> None:
        """Start it again, on the same data and ports; stop it first if it runs.

        Invocations in progress go on. An error leaves it stopped, with its data.
        """
        process = self._running()
        process.stop()
        self._launch(process)

    def register(self, uri: str, *, force: bool = True) -> str:
        """Make the services of a deployment known, and return the deployment's id.

        The server calls the deployment at once to ask what it serves, so a loop that serves it
        must not be blocked by this call: from there, use ``asyncio.to_thread``.

        Args:
            uri: Where the deployment listens.
            force: Replace what is registered with the same URI.

        Raises:
            AdminError: The server refused; with what it said.
        """
        answer = self._ask("/deployments", {"uri": uri, "force": force}, what=f"registering {uri}")
        return str(answer["id"])

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run a query over the server's tables (``sys_invocation``, ``sys_journal``, …).

        Raises:
            AdminError: The server refused; with what it said.
        """
        rows: list[dict[str, Any]] = self._ask("/query", {"query": sql}, what="a query")["rows"]
        return rows

    def _start_on_some_ports(self) -> None:
        for last_try in (*[False] * (PORT_TRIES - 1), True):
            ingress, admin, node = (
                self._ports.take(HOST, told, what=f"restate-server's {what} port")
                for told, what in zip(self._ports_told, ("ingress", "admin", "node"), strict=True)
            )
            self.ingress_url = f"http://{HOST}:{ingress}"
            self.admin_url = f"http://{HOST}:{admin}"
            self.node_url = f"http://{HOST}:{node}"
            try:
                self._launch(self._running())
            except StartFailed:
                all_told = None not in self._ports_told
                if last_try or all_told or PORT_TAKEN not in last_lines(self.log_file):
                    raise
                self._ports.release()
            else:
                return

    def _launch(self, process: SupervisedProcess) -> None:
        process.start(self._command, env=self._environment(), log_file=self.log_file, grace=GRACE)
        wait_until_ready(
            process,
            self._probe,
            name="restate-server",
            log_file=self.log_file,
            timeout=self._start_timeout,
            pulse=self._check_abandoned,
        )

    def _probe(self) -> None:
        with http_client(self.admin_url, timeout=PROBE_TIMEOUT) as client:
            client.get("/health").raise_for_status()
            client.get(f"{self.ingress_url}/restate/health").raise_for_status()
            # Healthy it is before its partitions have leaders, and then queries fail.
            client.post(
                "/query",
                json={"query": "SELECT id FROM sys_invocation LIMIT 1"},
                headers={"accept": "application/json"},
            ).raise_for_status()

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("RESTATE_")
        }
        # It calls deployments through the environment's proxy, if there is one.
        direct = [inherited.pop("no_proxy", ""), inherited.get("NO_PROXY", ""), HOST, "localhost"]
        inherited["NO_PROXY"] = ",".join(filter(None, direct))
        addresses = {
            "RESTATE_INGRESS__BIND_ADDRESS": self.ingress_url,
            "RESTATE_ADMIN__BIND_ADDRESS": self.admin_url,
            "RESTATE_BIND_ADDRESS": self.node_url,
        }
        own = {
            **QUIET,
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
            "TMPDIR": str(self._temporary),
            # The default is the host's name, but data may move to another host.
            "RESTATE_NODE_NAME": "resaga",
        }
        told = {name: address.removeprefix("http://") for name, address in addresses.items()} | {
            "RESTATE_BIND_IP": HOST
        }
        if self._inactivity_timeout is not None:
            milliseconds = round(self._inactivity_timeout.total_seconds() * 1000)
            told["RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT"] = f"{milliseconds}ms"
        return inherited | own | self._env | told

    def _ask(self, path: str, body: dict[str, Any], *, what: str) -> dict[str, Any]:
        where = f"{what}, at {self.admin_url}{path}"
        try:
            with http_client(self.admin_url, timeout=REQUEST_TIMEOUT) as client:
                answer = client.post(path, json=body, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            raise AdminError(f"{where}: no answer", status_code=0, body=str(error)) from error
        if not answer.is_success:
            raise AdminError(
                f"{where}: the server refused with {answer.status_code}",
                status_code=answer.status_code,
                body=answer.text,
            )
        result: dict[str, Any] = answer.json()
        return result

    def _report(self, message: str, /) -> None:
        self._check_abandoned()
        self._progress(message)

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise StartFailed("this RestateServer was not started: use it under `with`, or `start`")
        return self._process
