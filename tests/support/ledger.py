"""The ledger: effects of steps, counted outside the worker, in an SQLite file.

Each effect is committed before the step goes on, so "exactly once" and "never" are facts, whatever
happens to the worker afterwards.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from resaga import CompensationContext, StepContext

Kind = Literal["do", "undo", "note"]


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect.

    Attributes:
        seq: Its place in the order of all effects.
        saga: The invocation id of the saga that had it.
        kind: ``do`` by an action, ``undo`` by a compensation, ``note`` by anything else.
        name: The step's name.
        key: The idempotency key it was done with.
        payload: What the test wanted to keep.
    """

    seq: int
    saga: str
    kind: Kind
    name: str
    key: str
    payload: Any

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Ledger:
    """Effects in an SQLite file; safe to use from threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connect() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS effects(seq INTEGER PRIMARY KEY AUTOINCREMENT, "
                "saga TEXT, kind TEXT, name TEXT, key TEXT, payload TEXT)"
            )
            db.execute("CREATE TABLE IF NOT EXISTS flags(name TEXT PRIMARY KEY)")

    @contextmanager
    def _connect(self) -> Generator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            # A killed process loses nothing by this; only a killed machine would.
            db.execute("PRAGMA synchronous=OFF")
            yield db
        finally:
            db.close()

    # -- written by steps --------------------------------------------------------------------

    def write(
        self, kind: Kind, name: str, *, saga: str = "", key: str = "", payload: object = None
    ) -> None:
        """Commit one effect."""
        with self._connect() as db:
            db.execute(
                "INSERT INTO effects(saga, kind, name, key, payload) VALUES (?, ?, ?, ?, ?)",
                (saga, kind, name, key, json.dumps(payload, default=repr)),
            )

    def do(self, step: StepContext[Any], payload: object = None) -> None:
        """The effect of an action."""
        self.write("do", step.name, saga=step.saga_id, key=step.idempotency_key, payload=payload)

    def undo(self, step: CompensationContext[Any, Any], payload: object = None) -> None:
        """The effect of a compensation."""
        self.write("undo", step.name, saga=step.saga_id, key=step.idempotency_key, payload=payload)

    def note(self, name: str, payload: object = None, *, saga: str = "") -> None:
        """Anything else that a test wants to see in the order of effects."""
        self.write("note", name, saga=saga, payload=payload)

    # -- read by tests -----------------------------------------------------------------------

    def effects(
        self, *, saga: str | None = None, kind: Kind | None = None, name: str | None = None
    ) -> list[Effect]:
        """The effects in their order, all or those asked for."""
        with self._connect() as db:
            rows = db.execute(
                "SELECT seq, saga, kind, name, key, payload FROM effects ORDER BY seq"
            ).fetchall()
        found = [
            Effect(seq, saga_id, what, who, key, json.loads(payload))
            for seq, saga_id, what, who, key, payload in rows
        ]
        return [
            effect
            for effect in found
            if saga in (None, effect.saga)
            and kind in (None, effect.kind)
            and name in (None, effect.name)
        ]

    def order(self, saga: str | None = None) -> list[str]:
        """The order of effects: ``["do A", "do B", "undo B", "undo A"]``."""
        return [str(effect) for effect in self.effects(saga=saga)]

    def undone(self, saga: str | None = None) -> list[str]:
        """The names of what was undone, in order."""
        return [effect.name for effect in self.effects(saga=saga, kind="undo")]

    def count(self, effect: str, saga: str | None = None) -> int:
        """How often there was ``"do A"``."""
        return self.order(saga).count(effect)

    def payload(self, effect: str) -> Any:
        """The payload of the one effect ``"undo A"``."""
        (found,) = [e for e in self.effects() if str(e) == effect]
        return found.payload

    def clear(self) -> None:
        """Forget all effects."""
        with self._connect() as db:
            db.execute("DELETE FROM effects")

    # -- flags: gates across processes ---------------------------------------------------------

    def raise_flag(self, name: str) -> None:
        """Tell other processes something."""
        with self._connect() as db:
            db.execute("INSERT OR IGNORE INTO flags VALUES (?)", (name,))

    def has_flag(self, name: str) -> bool:
        """Whether some process has raised this flag."""
        with self._connect() as db:
            return db.execute("SELECT 1 FROM flags WHERE name = ?", (name,)).fetchone() is not None
