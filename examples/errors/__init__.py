"""Which errors end a saga, and what the caller gets to know."""
