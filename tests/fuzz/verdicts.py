"""What a case can end with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BAD = {
    "internal": "a traceback or an internal error",
    "code": "code of the input was run, or an outside program started",
    "outside": "files outside were touched",
    "silent": "a wrong result without a word",
    "lost": "samples or the user's files lost",
    "time": "took longer than its limit",
    "memory": "took more memory than its limit",
    "crash": "the process died",
    "garbled": "an error that is no clear line, or control characters on the terminal",
}
"""Kinds of bad verdicts, with what they mean."""


@dataclass
class Outcome:
    """One case. verdict: "refused" (some command refused with one line), "right" (all taken, with the right result) or "bad";
    problems: pairs of a key of `BAD` and what was seen; recipe: what was done to the input, for people."""

    kind: str
    case: int
    seed: int
    verdict: str = "right"
    problems: list[tuple[str, str]] = field(default_factory=list)
    recipe: list[str] = field(default_factory=list)
    seconds: float = 0.0
    tried: int = 1
    """Inputs or commands that this case stands for."""

    def add(self, kind: str, told: str) -> None:
        """One more problem; each once."""
        assert kind in BAD, kind
        if (kind, told) not in self.problems:
            self.problems.append((kind, told))

    def to_json(self) -> dict[str, Any]:
        """As a line for the parent process and for the report."""
        if self.problems:
            self.verdict = "bad"
        return {**vars(self), "problems": [list(p) for p in self.problems]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Outcome:
        """The inverse of `to_json`."""
        return cls(**{**values, "problems": [(kind, told) for kind, told in values["problems"]]})
