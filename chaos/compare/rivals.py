"""A virtual environment of its own for what others have made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["RIVALS", "install_rivals"]

RIVALS = (
    "restate-saga[pydantic]==0.1.0",
    # With what the SDK needs for dataclasses.
    "restate-sdk[serde]==1.3.0",
)


def install_rivals(folder: Path) -> Path:
    """Make the environment, unless it is there, and return where its modules are.

    It is made by the Python that runs this, and workers find the modules in it before all others.

    Raises:
        subprocess.CalledProcessError: What pip said is on the terminal.
    """
    stamp = folder / ".installed"
    wanted = "\n".join((sys.version, *RIVALS))
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-qq", "--only-binary", ":all:", *RIVALS],
            check=True,
        )
        stamp.write_text(wanted)
    found = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(found.stdout.strip())
