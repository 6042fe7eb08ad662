"""``resaga check``: what can be seen of sagas before anything runs.

`load` imports the app and finds its `sagas`; `reading` makes the `flow` of each from its source,
by `source` and `names`; the rules (`after` with `effects`, `undoing`, `unknown`, `namesakes`,
`given`, `retries`, `values`, `settings`) find what is wrong; `ignores` silences, `show` prints.
"""
