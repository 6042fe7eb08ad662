"""The production worker: one address, several processes, an end that loses nothing.

`run` serves; `worker` is what each of its processes does, with the app behind a `gateway`;
`register` makes the worker known to a Restate server; `logs` says how all of them log.
"""
