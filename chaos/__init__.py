"""The proof of resaga under fire: `make chaos`.

Money-transfer sagas run on a real Restate server over a real PostgreSQL, while workers, servers,
nodes of a cluster and database connections are killed. Afterwards the judge says, from the
database alone, whether each saga is completed, rolled back, or incomplete as its caller was told,
and whether each effect and each compensation happened exactly once and in the promised order.

A module imports those above it only:

=============  =====================================================================
``plan``       what one saga does, as plain data
``planner``    random plans, all of them from a seed
``postgres``   a PostgreSQL found, started, and stopped again
``bank``       accounts and effects, in the database: what sagas do to the world
``guarded``    the same behind resaga's barrier, or behind nothing
``sagas``      the sagas under test: they carry out a plan with resaga's steps
``worker``     the app that the workers serve
``backend``    Restate: one server, or a cluster of three nodes
``balancer``   one address for two workers
``faults``     what is killed, and when
``customer``   one saga's caller: sends it, cancels it, notes the answer
``judge``      what the database says, against what the plans and the rules say
``report``     the figures, as text and as JSON
``run``        all of it, from the first process to the report
=============  =====================================================================
"""
