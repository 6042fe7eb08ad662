"""Serves one ASGI app under granian; `resaga.server.worker` runs this file as a program.

It imports nothing of resaga: granian's main process, which runs this, forks the worker process,
and only there the app, with whatever it imports, is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import operator
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops
from granian.server import Server


def load(pid_file: Path, target: str) -> Callable[..., object]:
    """Load the app in the worker process, and tell that process's id."""
    module, _, name = target.partition(":")
    app: Callable[..., object] = operator.attrgetter(name or "app")(importlib.import_module(module))
    part = pid_file.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(pid_file)
    return app


def main() -> None:
    """Serve until a signal says to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid-file", type=Path, required=True)
    parser.add_argument("app")
    options = parser.parse_args()
    Server(
        options.app,
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        workers=1,
        # Restate speaks HTTP/2; a health check with HTTP/1 is answered too.
        http=HTTPModes.auto,
        websockets=False,
    ).serve(target_loader=partial(load, options.pid_file))


if __name__ == "__main__":
    main()
