"""How long a study will still take: work left in each stage ÷ the rate measured in this very run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

FIRST_GUESS = {"render": 12.0, "crop": 10.0, "train": 150.0, "notebooks": 0.05}
"""Units a second on one core before anything was measured: frames, frames, images, notebooks."""


@dataclass
class Estimate:
    """Work done and left, by stage.

    Parameters
    ----------
    jobs : int
        Processes that share the work; first guesses are multiplied by it.
    """

    jobs: int
    left: dict[str, float] = field(default_factory=dict)
    _done: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def plan(self, stage: str, units: float) -> None:
        """Add work to a stage."""
        self.left[stage] = self.left.get(stage, 0.0) + units

    def finished(self, stage: str, units: float, seconds: float) -> None:
        """Take finished work off a stage; ``seconds`` of 0: it was there already and says nothing of speed."""
        self.left[stage] = max(0.0, self.left.get(stage, 0.0) - units)
        if seconds > 0:
            self._done[stage] = self._done.get(stage, 0.0) + units
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def rate(self, stage: str) -> float:
        """Units a second: measured where there is a measurement, else the first guess."""
        if self._seconds.get(stage):
            return self._done[stage] / self._seconds[stage]
        return FIRST_GUESS[stage] * self.jobs

    def seconds_left(self) -> float:
        """Seconds that all stages will still take."""
        return sum(units / self.rate(stage) for stage, units in self.left.items())

    def line(self) -> str:
        """Say what has passed and what remains, in one line."""
        parts = [f"{stage} {_minutes(units / self.rate(stage))}" for stage, units in self.left.items() if units > 0]
        remains = f"about {_minutes(self.seconds_left())} remain ({', '.join(parts)})" if parts else "nothing remains"
        return f"[{_minutes(time.monotonic() - self._started)} passed, {remains}]"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
