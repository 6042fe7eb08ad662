"""Parts of resaga that build on other libraries; each is imported by its own name."""
