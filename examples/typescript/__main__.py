"""Runs `client.ts` with the npm package that it is written for; needs Node.js 18 and npm."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from examples._run import running
from examples.typescript.tables import Base

HERE = Path(__file__).parent
PACKAGES = ["@restatedev/restate-sdk-clients@1", "tsx@4"]
"""Restate's client, and what runs TypeScript."""

NO_PACKAGES = 75
"""The exit status where npm cannot fetch them."""


def install(folder: Path) -> None:
    """Put the client, and the packages it needs, into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        print("there is no npm on the PATH: install Node.js 18 or newer", file=sys.stderr)
        raise SystemExit(NO_PACKAGES)
    for name in ("client.ts", "definitions.d.ts"):
        shutil.copy(HERE / name, folder)
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit"]
    command += ["--no-fund", "--fetch-retries=1", "--fetch-timeout=30000", *PACKAGES]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode:
        print(f"npm could not fetch {' and '.join(PACKAGES)}:\n{fetched.stderr}", file=sys.stderr)
        raise SystemExit(NO_PACKAGES)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="resaga-typescript-") as name:
        folder = Path(name)
        install(folder)
        with running("examples.typescript.app:app", Base.metadata) as here:
            tsx = folder / "node_modules" / ".bin" / "tsx"
            subprocess.run([tsx, "client.ts", here.ingress], cwd=folder, check=True)
            print("reservations:", flush=True)
            here.show("SELECT id, product_id, quantity FROM reservations")


if __name__ == "__main__":
    main()
