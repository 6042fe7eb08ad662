"""How a worker process is told what its bank is."""

from __future__ import annotations

__all__ = ["APP", "DATABASE", "GUARD"]

APP = "chaos.worker:app"
"""What the workers serve."""

DATABASE = "RESAGA_CHAOS_DATABASE"
"""The variable that names the bank's database, for SQLAlchemy."""

GUARD = "RESAGA_CHAOS_GUARD"
"""The variable that names what guards the bank: one of `chaos.guarded.GUARDS`."""
