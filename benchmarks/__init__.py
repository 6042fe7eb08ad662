"""What a saga costs: resaga beside hand-written code and the other packages.

`python -m benchmarks`, or `make bench`; `make bench-quick` for a first look.
"""
