"""How a worker process is told where its database is."""

from __future__ import annotations

__all__ = ["APP", "DATABASE"]

APP = "chaos.worker:app"
"""What the workers serve."""

DATABASE = "RESAGA_CHAOS_DATABASE"
"""The variable that names the bank's database, for SQLAlchemy."""
