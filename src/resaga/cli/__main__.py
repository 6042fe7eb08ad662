"""``python -m resaga.cli``: the same as the ``resaga`` command."""

from resaga.cli import main

if __name__ == "__main__":
    main()
