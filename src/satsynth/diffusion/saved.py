"""The handle of a trained generator: safetensors and JSON on disk."""

from __future__ import annotations

from satsynth.work.finished import Finished

WEIGHTS, AVERAGED = "model.safetensors", "ema.safetensors"


class SavedGenerator(Finished):
    """A finished generator; holds its path and manifest only, and is imported without PyTorch."""

    title = "generator"
    remedy = "kedro run --pipeline=diffusion"

    @property
    def scenes(self) -> set[str]:
        """Scenes that it was trained on."""
        return set(self.manifest["scenes"])

    @property
    def tile_size(self) -> int:
        """Side of its pairs in pixels."""
        return int(self.manifest["tile_size"])
