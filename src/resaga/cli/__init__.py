"""The ``resaga`` command (extra ``cli``)."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process, and exit with its status."""
    try:
        # Here, and not above: without the extra there is no Typer, and one line has to say so.
        from resaga.cli.command import app  # noqa: PLC0415

        app()
    except ModuleNotFoundError as missing:
        package = (missing.name or "resaga").partition(".")[0]
        if package == "resaga":
            raise
        sys.exit(
            f"resaga: error: the command needs {package}, which is not installed. "
            "Install it with: pip install 'resaga[cli]'"
        )
    except KeyboardInterrupt:
        sys.exit(130)
