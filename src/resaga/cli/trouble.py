"""What a person did not expect: one line that says what and how to mend it, and status 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer
from rich.console import Console

from resaga.errors import ResagaError

__all__ = ["DEBUG_HELP", "BadInput", "one_line_errors"]

DEBUG_HELP = "Show the traceback of an error."


class BadInput(ResagaError):
    """What the command was given, or found, cannot work; the message says how to mend it."""


@contextmanager
def one_line_errors(*, debug: bool) -> Generator[None]:
    """End the command with one line and status 2 on an error of resaga's.

    A reader that goes away (``resaga list | head``) is no error.

    Args:
        debug: Let the exception out, for its traceback.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except ResagaError as error:
        if debug:
            raise
        line = " ".join(str(error).split())
        Console(stderr=True).print(
            f"resaga: error: {line}", soft_wrap=True, highlight=False, markup=False
        )
        raise typer.Exit(2) from None
