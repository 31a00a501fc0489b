"""The arms of a grid: which pairs a training sees. Imported without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from satsynth.pairs.settings import AugmentationName
from satsynth.segmentation.settings import Protocol, SegmentationSettings, TrainingSettings


@dataclass(frozen=True)
class Arm:
    """One way to use synthetic pairs.

    Args:
        ratio: Synthetic pairs for each real one.
        augmentation: What is done to all pairs.
        protocol: How many steps there are and which pairs they see.
        real_share: Share of real pairs in a batch; that of the union without.
    """

    ratio: float
    augmentation: AugmentationName = "flips"
    protocol: Protocol = "step_matched"
    real_share: float | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that identify it in tables."""
        return asdict(self)

    @property
    def title(self) -> str:
        """Its name: R, and what is not the default."""
        usual, named = Arm(self.ratio), [f"R={self.ratio:g}"]
        named += [
            name
            for name, other in ((self.augmentation, usual.augmentation), (self.protocol, usual.protocol))
            if name != other
        ]
        if self.real_share is not None:
            named.append(f"{self.real_share:.0%} real")
        return " ".join(named)

    def images(self, training: TrainingSettings) -> int:
        """Return the budget in images: that of the settings, 1 + R times as many where epochs are matched."""
        return round(training.budget * (1 + self.ratio)) if self.protocol == "epoch_matched" else training.budget


def arms(settings: SegmentationSettings) -> Iterator[Arm]:
    """Yield the arms of a grid, each once; at R = 0 there is one for each augmentation."""
    found: dict[Arm, None] = {}
    for augmentation, ratio in product(settings.augmentations, settings.ratios):
        if ratio == 0:
            found[Arm(0.0, augmentation)] = None
            continue
        for protocol, share in product(settings.protocols, settings.real_shares):
            mixed = protocol in ("step_matched", "epoch_matched")
            if augmentation != "none" and (mixed or share == settings.real_shares[0]):
                found[Arm(float(ratio), augmentation, protocol, share if mixed else None)] = None
    yield from found
