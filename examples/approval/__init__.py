"""A workflow that waits for a decision, and not for ever."""
