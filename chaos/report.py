"""The figures of a run, as text and as JSON."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from chaos.faults import KILLS, Fault
from chaos.guarded import Guard
from chaos.judge import Verdict
from chaos.records import Records
from resaga import __version__
from resaga.server import RESTATE_SERVER_VERSION

__all__ = ["Report"]

GUARDED_BY: dict[Guard, str] = {
    "keys": "unique keys",
    "barrier": "resaga.ext.sql",
    "none": "nothing",
}

SHOWN = 20
"""How many findings the text shows; the JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run.

    Attributes:
        command: How to run it again.
        started: When it started.
        seconds: How long sagas were running.
        cluster: Whether Restate was a cluster of three nodes.
        guard: What held off the effects that were asked for twice.
        faults: What was killed.
        verdict: What the judge found.
        hanging: Restate's own words on the sagas that got no answer.
        evidence: All rows of the sagas that something is off with.
    """

    command: str
    started: datetime
    seconds: float
    cluster: bool
    guard: Guard
    faults: Sequence[Fault]
    verdict: Verdict
    hanging: Sequence[str]
    evidence: Records

    @property
    def held(self) -> bool:
        """Whether nothing is off."""
        return not self.verdict.findings

    def text(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def write_json(self, file: Path) -> None:
        """For programs: everything, findings and faults one by one included."""
        struck = self._struck()
        verdict = self.verdict
        figures = {
            "held": self.held,
            "command": self.command,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "cluster": self.cluster,
            "guard": self.guard,
            "versions": self._versions(),
            "sagas": verdict.outcomes.total(),
            "outcomes": dict(verdict.outcomes),
            "kills": self._kills(),
            "faults_by_kind": dict(struck),
            "actions": verdict.actions,
            "compensations": verdict.compensations,
            "repeats_held_off": verdict.repeats,
            "blocked": verdict.blocked,
            "overtaken": verdict.overtaken,
            "left_strict": verdict.left_strict,
            "left_incomplete": verdict.left_incomplete,
            "money_off_by": verdict.money,
            "findings": list(verdict.findings),
            "hanging": list(self.hanging),
            "evidence": self.evidence,
            "faults": [
                {"number": fault.number, "kind": fault.kind, "after_sagas": fault.after}
                for fault in self.faults
            ],
        }
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")

    def _struck(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.faults)

    def _kills(self) -> int:
        return sum(fault.kind in KILLS for fault in self.faults)

    def _versions(self) -> dict[str, str]:
        return {
            "resaga": __version__,
            "restate-server": RESTATE_SERVER_VERSION,
            "python": platform.python_version(),
        }

    def _lines(self) -> Iterator[str]:
        verdict = self.verdict
        outcomes = verdict.outcomes
        where = "a cluster of three nodes" if self.cluster else "one server"
        struck = ", ".join(f"{count} x {kind}" for kind, count in sorted(self._struck().items()))
        yield f"{outcomes.total()} sagas in {self.seconds:.0f} s on {where}: {self.command}"
        yield f"  completed              {outcomes['completed']}"
        yield f"  rolled back            {outcomes['rolled back']}"
        yield f"  incomplete, and said so  {outcomes['incomplete']}"
        yield f"  lost                   {outcomes['lost']}"
        yield f"  killed                 {struck or 'nothing'} ({self._kills()} with SIGKILL)"
        yield f"  actions                {verdict.actions}"
        yield f"  compensations          {verdict.compensations}"
        yield f"  guarded by             {GUARDED_BY[self.guard]}"
        yield f"  repeats, held off      {verdict.repeats}"
        yield f"  blocked: compensated without an effect  {verdict.blocked}"
        yield f"  cut off, and compensated by another process  {verdict.overtaken}"
        yield f"  left by strict steps without a result, and named  {verdict.left_strict}"
        yield f"  left by compensations that fail for good, and named  {verdict.left_incomplete}"
        yield f"  money off by           {verdict.money}"
        for finding in verdict.findings[:SHOWN]:
            yield f"  OFF {finding.check} {finding.saga}: {finding.what}"
        if len(verdict.findings) > SHOWN:
            yield f"  ... and {len(verdict.findings) - SHOWN} more"
        for line in self.hanging[:SHOWN]:
            yield f"  HANGS {line}"
        count = len(verdict.findings)
        yield "Every promise held." if self.held else f"{count} things are off."
