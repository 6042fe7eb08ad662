"""A checkout, and a caller that knows its contract and none of its code."""
