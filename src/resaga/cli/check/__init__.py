"""``resaga check``: what can be seen of sagas before anything runs.

`load` imports the app and finds its `sagas`; `flow` reads from their source, by `source` and
`names`, which steps they run in which order; the rules (`after`, `undoing`, `given`, `retries`,
`values`, `settings`) find what is wrong, as `findings`; `ignores` silences, `show` prints.
"""
