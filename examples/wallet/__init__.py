"""A virtual object whose state a rollback restores."""
