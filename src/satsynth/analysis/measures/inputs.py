"""What measures read: several sets of pairs, each part of them loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from satsynth.analysis.settings import ComparisonSettings
from satsynth.training.settings import ComputeSettings

REFERENCE = "train"
HALVES = "train_halves"


class Lazy(Mapping[str, np.ndarray]):
    """Arrays by name, each loaded once, when it is first asked for.

    Args:
        names: The names, in order.
        load: Returns the array of a name.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], np.ndarray]) -> None:
        """Load nothing yet."""
        self._names, self._load = tuple(names), load
        self._loaded: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array."""
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._names)


@dataclass(frozen=True)
class MeasureInputs:
    """Sets of pairs to be measured; ``train`` is the reference.

    Args:
        class_names: Names in order of the class index.
        scenes: The scene of each image by name of the set; None for a set whose images are independent.
        images: ``(N, H, W, 3)`` uint8 by name of the set.
        masks: ``(N, H, W)`` uint8 of class indices by name of the set, 255 = ignore.
        features: ``(N, F)`` float by name of the set, from the judge.
        imagenet: ``(N, F)`` float by name of the set, from an ImageNet network; nothing where its weights are missing.
        comparison: Parameters.
        compute: Where.
    """

    class_names: tuple[str, ...]
    scenes: Mapping[str, Sequence[str] | None]
    images: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]
    imagenet: Mapping[str, np.ndarray] = field(default_factory=dict)
    comparison: ComparisonSettings = field(default_factory=ComparisonSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)

    @property
    def compared(self) -> tuple[str, ...]:
        """The names of the sets that are compared with the reference."""
        return tuple(name for name in self.scenes if name != REFERENCE)

    @cached_property
    def halves(self) -> np.ndarray:
        """Two halves of the reference without a common scene, ``(N,)`` bool: every other scene is in the first."""
        return scene_halves(self.scenes[REFERENCE] or ())

    def scenes_of_half(self, first: bool) -> list[str]:
        """Return the scene of each image of one half of the reference."""
        pairs = zip(self.scenes[REFERENCE] or (), self.halves, strict=True)
        return [scene for scene, inside in pairs if inside == first]


def scene_halves(scenes: Sequence[str]) -> np.ndarray:
    """Return a mask ``(N,)`` that puts every other scene into one half, so that tiles of one scene stay together."""
    order = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.array([order[scene] % 2 == 0 for scene in scenes], dtype=bool)
