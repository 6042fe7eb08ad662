"""A real browser, that renders a page and gives what came of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["chromium", "rendered"]

REQUIRED = "RESAGA_REQUIRE_BROWSER"
"""Set in CI: there, a browser that is missing is a failure."""


def chromium() -> str:
    """The path of Chromium; where there is none and none is required, the test is skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    assert not os.environ.get(REQUIRED), "there is no Chromium: apt-get install chromium"
    pytest.skip("there is no Chromium here; CI has one")


def rendered(page: Path, profile: Path, *, width: int = 1200) -> str:
    """The document of a page after the browser has rendered it, without its own requests."""
    run = subprocess.run(
        [
            chromium(),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={profile}", f"--window-size={width},900", "--dump-dom"),
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return run.stdout
