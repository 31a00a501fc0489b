"""In place of a Ray cluster: units go through what crosses the border between machines, and run here."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from satsynth.work.placement import Placement
from satsynth.work.units import Unit


class OtherMachine:
    """An engine that keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[Unit], Placement]] = []

    def __call__(
        self,
        function: Callable[..., object],
        units: Sequence[Unit],
        placement: Placement,
        on_event: Callable[[int, Any], None],
        on_done: Callable[[int], None],
    ) -> None:
        self.asked.append((function.__name__, units, placement))
        for number, unit in enumerate(units):
            there, outcome, arguments = pickle.loads(pickle.dumps((function, unit.outcome, unit.arguments)))
            there(outcome, *arguments, partial(self._send, on_event, number))
            on_done(number)

    @staticmethod
    def _send(on_event: Callable[[int, Any], None], number: int, event: Any) -> None:
        on_event(number, pickle.loads(pickle.dumps(event)))
