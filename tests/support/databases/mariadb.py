"""MariaDB: the machine's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from signal import Signals

from tests.support.databases.server import HOST, DatabaseServer, NotHere


class MariaDB(DatabaseServer):
    """A MariaDB server, started; its user is ``test``, without a password."""

    name = "MariaDB"

    def __init__(self) -> None:
        server, install = find()
        super().__init__()
        try:
            self._set_up(server, install)
        except BaseException:
            self.close()
            raise

    def _set_up(self, server: Path, install: Path) -> None:
        # A starting server clears its folder for temporary tables, others' with it.
        temporary = self.folder / "tmp"
        self._make_folders(self.data, self.folder / "run", temporary)
        defaults = "--no-defaults"
        words = [defaults, f"--datadir={self.data}", "--auth-root-authentication-method=normal"]
        words += ["--skip-test-db", "--skip-name-resolve", f"--tmpdir={temporary}"]
        self._run([install, *words], what="mariadb-install-db")
        begin = self.folder / "begin.sql"
        begin.write_text(
            "CREATE DATABASE test CHARACTER SET utf8mb4;\n"
            f"CREATE USER test@'{HOST}';\n"
            f"GRANT ALL ON *.* TO test@'{HOST}';\n"
        )
        options = {
            "datadir": self.data,
            "tmpdir": temporary,
            "socket": self.folder / "run" / "socket",
            "pid-file": self.folder / "run" / "pid",
            "bind-address": HOST,
            "port": self.port,
            "init-file": begin,
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-buffer-pool-size": "16M",
            "innodb-log-file-size": "8M",
            "innodb-lock-wait-timeout": 20,
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        command: list[str | Path] = [
            server,
            defaults,
            *settings,
            "--skip-name-resolve",
            "--skip-log-bin",
        ]
        self._start(command, driver="pymysql", stop=Signals.SIGTERM)

    def url(self, driver: str) -> str:
        """SQLAlchemy's address of it, by ``pymysql`` or ``aiomysql``."""
        return f"mysql+{driver}://test@{HOST}:{self.port}/test?charset=utf8mb4"


def find() -> tuple[Path, Path]:
    """The server, and the program that sets its folder up.

    Raises:
        NotHere: There is none.
    """
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/bin", "/usr/local/sbin"))
    server = shutil.which("mariadbd", path=path)
    install = shutil.which("mariadb-install-db", path=path)
    if server is None or install is None:
        raise NotHere("no MariaDB: apt-get install mariadb-server-core")
    return Path(server), Path(install)
