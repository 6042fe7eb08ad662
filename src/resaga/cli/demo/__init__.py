"""What `resaga demo` plays: a small shop, its checkout saga, and four acts."""
