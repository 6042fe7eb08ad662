"""A TypeScript client, unchanged, calling sagas in Python."""
