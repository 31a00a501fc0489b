from __future__ import annotations

import pytest

from satsynth.work.progress import Progress


@pytest.fixture
def amounts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Where each progress stands: how much is done of how much."""
    seen = []
    update = Progress.update

    def noted(self: Progress, units: int = 1, note: str = "") -> None:
        update(self, units, note)
        seen.append((self.done, self.total))

    monkeypatch.setattr(Progress, "update", noted)
    return seen
