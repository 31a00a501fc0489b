"""The smallest GAN that tests train, and what its training reports to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from satsynth.generation.families import Silence
from satsynth.rivals.gan.settings import GanNetwork, GanSettings

SIDE, CLASSES = 8, 2
TINY = GanNetwork(stem=1, width=8, widest=16, latent=8, mapping=2, pair_width=8, pair_layers=2, pair_scales=1)
SETTINGS = GanSettings(network=TINY, images=40, batch_size=4, looks=2, ema=0.9)


class Metrics(Silence):
    """A report that keeps the metrics, and stops at a step if asked to."""

    def __init__(self, stop: int | None = None) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.drawn: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._stop = stop

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.logged.append((step, dict(values)))
        if step == self._stop:
            raise KeyboardInterrupt

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        self.drawn.append((step, images, masks))
