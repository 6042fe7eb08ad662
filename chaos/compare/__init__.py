"""The same failure scenarios over three ways to write a saga, each with the end it should have.

`python -m chaos.compare`, or `make compare`.
"""
