"""Examples of resaga, each a program of its own; ``README.md`` lists them."""
