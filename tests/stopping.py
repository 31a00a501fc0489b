"""Trainings that are stopped where a kill would stop them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import satsynth.training.loop as loop


@contextmanager
def stopped_at(step: int, title: str | None = None) -> Iterator[None]:
    """Interrupt what is trained within, after its checkpoint of a step, and require that it was interrupted.

    Args:
        step: The step.
        title: Which training, if several follow one another.
    """
    save = loop._save

    def save_and_stop(training: Any, path: Path, done: int, seconds: float) -> None:
        save(training, path, done, seconds)
        if done == step and title in (None, training.title):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop, "_save", save_and_stop)
        yield
