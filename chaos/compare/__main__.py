"""Compare: ``python -m chaos.compare``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from chaos.compare.match import HANDWRITTEN, RESAGA, RESTATE_SAGA, play
from chaos.compare.report import Report
from chaos.compare.rivals import install_rivals
from chaos.compare.scenarios import SCENARIOS
from chaos.compare.verdict import Verdict

CONTENDERS = (HANDWRITTEN, RESTATE_SAGA, RESAGA)


async def compare(rivals: Path, progress: Progress) -> Report:
    """Run all scenarios over all contenders, one contender after the other."""
    verdicts: dict[str, dict[str, Verdict]] = {}
    for contender in CONTENDERS:
        task = progress.add_task(contender.title, total=len(SCENARIOS))
        verdicts[contender.title] = await play(
            contender, rivals=rivals, progress=partial(progress.advance, task)
        )
    return Report(verdicts)


def main() -> int:
    """Compare, print the table, and return 1 if resaga has a wrong in it."""
    parser = argparse.ArgumentParser(prog="python -m chaos.compare", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON, too")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write it as Markdown, for docs/comparison.md"
    )
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FOLDER",
        default=Path("build/compare/venv"),
        help="where the others are installed (default: %(default)s)",
    )
    options = parser.parse_args()
    console = Console()
    rivals = install_rivals(options.rivals.absolute())
    with Progress(console=Console(stderr=True), transient=True) as progress:
        report = asyncio.run(compare(rivals, progress))
    console.print(report.table())
    if options.json is not None:
        options.json.write_text(report.json() + "\n")
    if options.markdown is not None:
        options.markdown.write_text(report.markdown())
    return 1 if report.wrong(RESAGA.title) else 0


if __name__ == "__main__":
    sys.exit(main())
