"""Exactly once in your own SQL database: a barrier around what a step does there.

Restate runs an action *at least* once: a worker can die after its transaction was committed and
before the journal knows; an action that was given up can still land after its compensation ran.
Inside the barrier the effect happens once, its compensation happens once, and never one after the
other in the wrong order, because both go through one row that is written in the same transaction.

Needs the extra ``sql`` (``pip install 'resaga[sql]'``) and SQLAlchemy's driver for PostgreSQL,
MySQL, MariaDB or SQLite.
"""

from resaga.ext.sql.barrier import barrier, barrier_sync
from resaga.ext.sql.errors import StepAbandoned
from resaga.ext.sql.prune import prune_barrier
from resaga.ext.sql.table import BARRIER_TABLE, barrier_table, create_barrier_table

__all__ = [
    "BARRIER_TABLE",
    "StepAbandoned",
    "barrier",
    "barrier_sync",
    "barrier_table",
    "create_barrier_table",
    "prune_barrier",
]
