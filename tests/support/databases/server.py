"""What the database servers have in common: a folder, a port, a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from signal import Signals
from typing import Self

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from resaga.server.ports import Ports
from resaga.server.process import SupervisedProcess

HOST = "127.0.0.1"
START = timedelta(seconds=60)
"""Against a hang only."""

AS_USER = """\
import os, sys
user, group = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
os.setgid(group)
os.setuid(user)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Becomes another user, and then the program."""


class NotHere(Exception):
    """This machine has no such server."""


class DatabaseServer:
    """A database server in a temporary folder, on a free port of the loopback.

    Database servers refuse to run as root, so where the tests do, it runs as ``nobody``. It ends
    with this process, whatever ends that.

    Attributes:
        port: Where it listens.
        folder: Its folder.
    """

    name = "a database"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="resaga-database-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self._ports = Ports()
        self._process = SupervisedProcess(name=self.name, scratch=self.folder)
        self._process.launch()
        self.port = self._ports.take(HOST, None, what=self.name)
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and remove its folder."""
        self._process.close()
        self._ports.release()

    # -- for the servers ---------------------------------------------------------------------

    def _make_folders(self, *folders: Path) -> None:
        for folder in folders:
            folder.mkdir()
            if self._owner is not None:
                os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)

    def _as_user(self, command: Sequence[str | Path]) -> list[str]:
        words = list(map(str, command))
        if self._owner is None:
            return words
        ids = [str(self._owner.pw_uid), str(self._owner.pw_gid)]
        return [sys.executable, "-I", "-S", "-c", AS_USER, *ids, *words]

    def _run(self, command: Sequence[str | Path], *, what: str) -> None:
        done = subprocess.run(
            self._as_user(command),
            cwd="/",
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{what} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _start(self, command: Sequence[str | Path], *, driver: str, stop: Signals) -> None:
        log = self.folder / "log"
        self._process.start(
            self._as_user(command),
            log_file=log,
            cwd=Path("/"),
            env=self._environment(),
            stop_signal=stop,
        )
        end = time.monotonic() + START.total_seconds()
        while not self._answers(driver):
            if not self._process.is_alive() or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start: {log.read_text()[-3000:]}")
            time.sleep(0.02)

    def url(self, driver: str) -> str:
        """SQLAlchemy's address of it, by one of its drivers."""
        raise NotImplementedError

    def _answers(self, driver: str) -> bool:
        engine = create_engine(self.url(driver), poolclass=NullPool)
        try:
            engine.connect().close()
        except OperationalError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"}

    def _reachable(self, programs: Path, *, needed: Sequence[Path]) -> Path:
        """The folder of programs, or a copy of what they need that the other user can reach."""
        open_to_all = all(folder.stat().st_mode & 0o005 == 0o005 for folder in programs.parents)
        if self._owner is None or open_to_all:
            return programs
        root = Path(os.path.commonpath([folder.parent for folder in needed]))
        copy = self.folder / "programs"
        for folder in needed:
            shutil.copytree(folder, copy / folder.relative_to(root), symlinks=True)
        return copy / programs.relative_to(root)
