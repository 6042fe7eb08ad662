"""What the shop was asked for and what it did, in an SQLite file outside of every worker.

A worker asks for an action on an order: ``"Charge"``, or ``"undo Charge"``. Every request is
counted. Its effect is there at most once, whatever is asked for how often: order and action are its
idempotency key. A plan says beforehand how the shop meets an action.

This module runs in every contender's worker, so it needs nothing but the standard library.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["Behaviour", "Ledger", "Verb"]

Behaviour: TypeAlias = Literal["decline", "flicker", "hold", "lose"]
"""How the shop meets an action: it says no; it cannot be reached, twice; it takes the request and
answers when it is told to; it does what it is asked and its answer is lost, each time."""

Verb: TypeAlias = Literal["done", "declined", "unreachable", "held", "lost"]
"""What comes of one request."""

FLICKERS = 2
"""How often an action that flickers cannot be reached."""


class Ledger:
    """Plans, requests and effects; safe to use from several processes at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make what is missing in it."""
        self.path = path
        with self._connect() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS plans("
                "order_id TEXT, action TEXT, behaviour TEXT, PRIMARY KEY(order_id, action))"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS requests("
                "seq INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT, action TEXT)"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS effects(seq INTEGER PRIMARY KEY AUTOINCREMENT, "
                "order_id TEXT, action TEXT, UNIQUE(order_id, action))"
            )

    @contextmanager
    def _connect(self) -> Generator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            # A killed process loses nothing by this; only a killed machine would.
            db.execute("PRAGMA synchronous=OFF")
            yield db
        finally:
            db.close()

    def plan(self, order_id: str, plan: Mapping[str, Behaviour]) -> None:
        """Say how the shop meets actions on an order; others are done at once."""
        with self._connect() as db:
            db.executemany(
                "INSERT INTO plans VALUES (?, ?, ?)",
                [(order_id, action, behaviour) for action, behaviour in plan.items()],
            )

    def request(self, order_id: str, action: str) -> Verb:
        """Ask for an action once; what comes of it is committed when this returns."""
        with self._connect() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO requests(order_id, action) VALUES (?, ?)", (order_id, action))
            verb = self._meet(db, order_id, action)
            db.execute("COMMIT")
        return verb

    def _meet(self, db: sqlite3.Connection, order_id: str, action: str) -> Verb:
        behaviour: Behaviour | None = _one(
            db, "SELECT behaviour FROM plans WHERE order_id = ? AND action = ?", order_id, action
        )
        asked: int = _one(
            db, "SELECT count(*) FROM requests WHERE order_id = ? AND action = ?", order_id, action
        )
        done = _one(db, "SELECT 1 FROM effects WHERE order_id = ? AND action = ?", order_id, action)
        if behaviour == "decline":
            return "declined"
        if behaviour == "flicker" and asked <= FLICKERS:
            return "unreachable"
        if behaviour == "hold" and not done:
            return "held"
        _apply(db, order_id, action)
        return "lost" if behaviour == "lose" else "done"

    def answer(self, order_id: str, action: str) -> None:
        """Do what was held: its effect is there, whoever still waits for the answer."""
        with self._connect() as db:
            _apply(db, order_id, action)

    def requests(self, order_id: str) -> Counter[str]:
        """How often each action was asked for."""
        with self._connect() as db:
            return Counter(
                action
                for (action,) in db.execute(
                    "SELECT action FROM requests WHERE order_id = ?", (order_id,)
                )
            )

    def effects(self, order_id: str) -> list[str]:
        """The actions that had their effect, in that order."""
        with self._connect() as db:
            return [
                action
                for (action,) in db.execute(
                    "SELECT action FROM effects WHERE order_id = ? ORDER BY seq", (order_id,)
                )
            ]


def _apply(db: sqlite3.Connection, order_id: str, action: str) -> None:
    db.execute("INSERT OR IGNORE INTO effects(order_id, action) VALUES (?, ?)", (order_id, action))


def _one(db: sqlite3.Connection, query: str, *values: str) -> Any:
    row = db.execute(query, values).fetchone()
    return None if row is None else row[0]
