"""What all rounds together say: one line for people, one report for machines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.rounds import Result


@dataclass
class Caught:
    """One mutant: which anomalies the oracle found in it, in how many attempts."""

    name: str
    round: str
    caught: bool
    found: dict[str, int]
    said: str = ""


@dataclass
class Summary:
    """All of one size."""

    size: str
    seed: int
    results: list[Result] = field(default_factory=list)
    mutants: list[Caught] = field(default_factory=list)
    mutants_planned: int = 0
    control: dict[str, Any] | None = None
    control_planned: bool = False
    seconds: float = 0.0

    @property
    def anomalies(self) -> int:
        """Of the shipped code, in all rounds."""
        return sum(one.anomalies for one in self.results)

    @property
    def kills(self) -> int:
        """Number of kill -9 with evidence that they hit."""
        return sum(len(one.evidence) for one in self.results if one.kills)

    @property
    def problems(self) -> list[str]:
        """What keeps this from being a success, each in one line."""
        found = [one.line() for one in self.results if not one.passed]
        caught = sum(one.caught for one in self.mutants)
        if caught != self.mutants_planned:
            missed = [one.name for one in self.mutants if not one.caught]
            found.append(f"{caught} of {self.mutants_planned} mutants caught; not {missed}")
        if self.control_planned and not (self.control or {}).get("total"):
            found.append(f"the control arm did not fail the oracle: {self.control}")
        return found

    def faults(self) -> dict[int, int]:
        """Hits with evidence, by the number of the fault."""
        hits: Counter[int] = Counter()
        for one in self.results:
            hits[one.fault] += len(one.evidence) if one.valid else 0
        return dict(sorted(hits.items()))

    def line(self) -> str:
        """The last line of a run."""
        hits = self.faults()
        kinds = ", ".join(f"{fault}: {count}" for fault, count in hits.items())
        parts = [
            f"chaos {self.size}: {len(self.results)} rounds",
            f"{sum(hits.values())} faults with evidence ({kinds})",
            f"{self.anomalies} anomalies",
        ]
        if self.mutants_planned:
            caught = sum(one.caught for one in self.mutants)
            parts.append(f"{caught} of {self.mutants_planned} mutants caught")
        if self.control_planned:
            parts.append(f"stock Faust: {(self.control or {}).get('total', 0)} anomalies")
        if self.kills and not self.anomalies:
            bound = f"below {300 / self.kills:.1f} % a kill at 95 %"
            parts.append(f"0 anomalies in {self.kills} kills => {bound}")
        if self.problems:
            parts.append(f"{len(self.problems)} problems")
        return f"{'; '.join(parts)}; seed {self.seed}, {self.seconds:.0f} s"

    def write(self, path: Path) -> None:
        """Write the report."""
        path.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "size": self.size,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "line": self.line(),
            "problems": self.problems,
            "faults": self.faults(),
            "kills": self.kills,
            "anomalies": self.anomalies,
            "rounds": [{**asdict(one), "passed": one.passed} for one in self.results],
            "mutants": [asdict(one) for one in self.mutants],
            "control": self.control,
        }
        path.write_text(json.dumps(report, indent=2) + "\n")
