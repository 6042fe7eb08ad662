"""The same programs, written for each contender as its documentation says.

All of them use `chaos.compare.shop`, give it the same keys, and register a step's compensation
before its action.
"""
