"""Sagas as an operator sees them: read from Restate's admin API, told on a screen.

`admin` asks the server, `queries` knows its tables, `build` makes the `model` of what it gave;
`states` names the state of a saga, and `advice` what an operator can do about it. Renderers turn
the model into text and know nothing of Restate.
"""
