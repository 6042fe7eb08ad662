"""Real database servers for tests, each in a temporary folder and gone with the tests."""

from tests.support.databases.mariadb import MariaDB
from tests.support.databases.postgres import Postgres
from tests.support.databases.server import NotHere

__all__ = ["MariaDB", "NotHere", "Postgres"]
