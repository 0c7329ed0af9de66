"""How far a run is, for the caller's `progress(done, total)`; within a batch too where a model works in steps."""

from __future__ import annotations

from typing import Any

from zoo.interfaces.capabilities import Progress
from zoo.interfaces.models import Model


class Work:
    """Counts a run's samples; where its model works in steps, samples times steps, so that the share done is always right."""

    def __init__(self, progress: Progress | None, total: int, *, steps: bool = True) -> None:
        """progress: of the caller, or None. total: samples of the whole run. steps: whether a model's steps are told too, which those of
        several batches at once are not."""
        self._progress, self._total, self._told = progress, total, steps
        self._steps = 1  # of one sample, as soon as a model has said how many it takes

    def finished(self, samples: int) -> None:
        """All samples before this number are done."""
        if self._progress is not None:
            self._progress(samples * self._steps, self._total * self._steps)

    def within(self, model: Model, start: int, count: int, *, counted: bool = True) -> dict[str, Any]:
        """`{"progress": …}` for the call that makes these `count` samples, or nothing for a model that reports no steps.

        counted: False for a generator whose maps another model still turns into pictures; its steps can be cancelled, and
        count as nothing done.
        """
        report = self._progress
        if report is None or not self._told or "steps" not in model.capabilities():
            return {}

        def step(done: int, steps: int) -> None:
            if counted:
                self._steps = steps
            begun = count * done if counted else 0
            report(start * self._steps + begun, self._total * self._steps)

        return {"progress": step}
