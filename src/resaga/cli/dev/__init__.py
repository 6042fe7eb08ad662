"""``resaga dev``: a Restate server and a worker that reloads, for developing sagas."""
