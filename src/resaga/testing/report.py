"""What an exploration has found: a table, the violations, JSON, a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from resaga.testing.cases import COLUMNS, Case
from resaga.testing.errors import Violations
from resaga.testing.page import page
from resaga.testing.rules import Finding

__all__ = ["CaseResult", "Report", "Verdict"]

Verdict: TypeAlias = Literal["right", "wrong", "not applicable"]

_SIGNS: dict[Verdict, str] = {"right": "✔", "wrong": "✘", "not applicable": "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case, and what came of it.

    Attributes:
        case: The point and the fault.
        verdict: ``not applicable`` where the fault could not strike.
        findings: The rules that it broke.
        end: How the saga ended, in words.
        trace: What happened, as text.
        seconds: How long it took.
    """

    case: Case
    verdict: Verdict
    findings: tuple[Finding, ...]
    end: str
    trace: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `explore` has found. ``print(report)`` shows the table and each violation.

    Attributes:
        workflow: Name of the definition.
        results: All cases, rows first.
        seconds: How long the exploration took.
        test: The test it ran in, as pytest knows it, if it did.
    """

    workflow: str
    results: tuple[CaseResult, ...]
    seconds: float
    test: str | None = None
    _by_name: dict[str, CaseResult] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {r.case.name: r for r in self.results})

    def __getitem__(self, name: str) -> CaseResult:
        """A case by its name, ``"ChargePayment/lost after"``."""
        return self._by_name[name]

    @property
    def wrong(self) -> tuple[CaseResult, ...]:
        """The cases that broke a rule."""
        return tuple(r for r in self.results if r.verdict == "wrong")

    @property
    def rows(self) -> list[str]:
        """The points, in the saga's order."""
        return list(dict.fromkeys(r.case.row for r in self.results))

    @property
    def columns(self) -> list[str]:
        """The faults."""
        there = {r.case.column for r in self.results}
        return [c for c in COLUMNS if c in there] + sorted(there - set(COLUMNS))

    def verdict(self, row: str, column: str) -> Verdict:
        """What a cell of the table says."""
        result = self._by_name.get(f"{row}/{column}")
        return "not applicable" if result is None else result.verdict

    def rerun(self, name: str) -> str:
        """A line that runs just one case."""
        if self.test is None:
            return f"await explore({self.workflow}, ..., only={name!r})"
        return f"RESAGA_CASE={name!r} pytest {self.test!r}"

    def table(self) -> str:
        """Rows are points, columns faults."""
        rows, columns = self.rows, self.columns
        width = max(map(len, [*rows, self.workflow]))
        lines = [
            f"{'':<{width}} " + "".join(f" {letter} " for letter in _letters(columns)),
            *(
                f"{row:<{width}} " + "".join(f" {_SIGNS[self.verdict(row, c)]} " for c in columns)
                for row in rows
            ),
            "",
            *(
                f"  {letter} {column:<13} {COLUMNS.get(column, '')}".rstrip()
                for letter, column in zip(_letters(columns), columns, strict=True)
            ),
            "",
            "  ✔ right   ✘ wrong   · not applicable",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        wrong = self.wrong
        ran = sum(r.verdict != "not applicable" for r in self.results)
        found = f"{len(wrong)} wrong" if wrong else "all right"
        head = f"{self.workflow}: {ran} cases in {self.seconds:.1f} s, {found}"
        return "\n\n".join([head, self.table(), *map(self._violation, wrong)])

    def raise_for_violations(self) -> None:
        """Fail the test if a rule was broken.

        Raises:
            Violations: With the whole report as its message.
        """
        if self.wrong:
            raise Violations(str(self))

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "workflow": self.workflow,
            "seconds": round(self.seconds, 3),
            "rows": self.rows,
            "columns": {c: COLUMNS.get(c, "") for c in self.columns},
            "cases": [
                {
                    "name": r.case.name,
                    "row": r.case.row,
                    "column": r.case.column,
                    "faults": [str(f) for f in r.case.faults],
                    "verdict": r.verdict,
                    "end": r.end,
                    "seconds": round(r.seconds, 3),
                    "violations": [{"rule": f.rule, "message": f.message} for f in r.findings],
                    "rerun": self.rerun(r.case.name),
                    "trace": r.trace.splitlines(),
                }
                for r in self.results
            ],
        }

    def write_json(self, path: Path | str) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.as_dict(), ensure_ascii=False, indent=2), "utf-8")

    def write_html(self, path: Path | str) -> None:
        """Write it as one page that needs nothing beside itself."""
        Path(path).write_text(page(self.as_dict()), "utf-8")

    def _violation(self, result: CaseResult) -> str:
        findings = [f"  {finding.rule}: {finding.message}" for finding in result.findings]
        trace = [f"    {line}" for line in result.trace.splitlines()]
        return "\n".join(
            [
                f"✘ {result.case.name}",
                *findings,
                f"  the saga {result.end}",
                *trace,
                f"  Run it alone: {self.rerun(result.case.name)}",
            ]
        )


def _letters(columns: Sequence[str]) -> Iterable[str]:
    return [chr(ord("a") + number) for number in range(len(columns))]
