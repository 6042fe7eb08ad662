"""What was found, as a table for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from chaos.compare.rivals import RIVALS
from resaga.server import RESTATE_SERVER_VERSION

if TYPE_CHECKING:
    from chaos.compare.verdict import Verdict

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts.

    Attributes:
        verdicts: By the contender's title, and by the scenario's.
    """

    verdicts: Mapping[str, Mapping[str, Verdict]]

    @property
    def scenarios(self) -> Sequence[str]:
        """The titles of the scenarios, in their order."""
        return list(next(iter(self.verdicts.values())))

    def wrong(self, contender: str) -> int:
        """How many scenarios ended wrong for a contender."""
        return sum(not verdict.right for verdict in self.verdicts[contender].values())

    def score(self, contender: str) -> str:
        """How many ended right, of how many."""
        count = len(self.verdicts[contender])
        return f"{count - self.wrong(contender)} of {count} right"

    def table(self) -> Table:
        """For the terminal."""
        table = Table("scenario", *self.verdicts, show_lines=True)
        for scenario in self.scenarios:
            cells = [found[scenario] for found in self.verdicts.values()]
            table.add_row(scenario, *(_coloured(cell) for cell in cells))
        table.add_row("", *(f"[bold]{self.score(contender)}" for contender in self.verdicts))
        return table

    def markdown(self) -> str:
        """For the documentation."""
        rows = [
            ["scenario", *self.verdicts],
            ["---"] * (len(self.verdicts) + 1),
            *(
                [scenario, *(_plain(found[scenario]) for found in self.verdicts.values())]
                for scenario in self.scenarios
            ),
            ["", *(f"**{self.score(contender)}**" for contender in self.verdicts)],
        ]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"

    def json(self) -> str:
        """For programs."""
        return json.dumps(
            {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": {
                    "resaga": version("resaga"),
                    "restate-sdk": version("restate-sdk"),
                    "restate-server": RESTATE_SERVER_VERSION,
                    "rivals": list(RIVALS),
                },
                "scenarios": [
                    {
                        "scenario": scenario,
                        "ends": {
                            contender: {
                                "right": found[scenario].right,
                                "what": found[scenario].what,
                            }
                            for contender, found in self.verdicts.items()
                        },
                    }
                    for scenario in self.scenarios
                ],
            },
            indent=2,
        )


def _coloured(verdict: Verdict) -> str:
    what = escape(verdict.what)
    return f"[green]right[/]: {what}" if verdict.right else f"[red]wrong[/]: {what}"


def _plain(verdict: Verdict) -> str:
    what = verdict.what.replace("|", "\\|")
    return f"right: {what}" if verdict.right else f"**wrong**: {what}"
