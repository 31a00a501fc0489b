"""The generator as MLflow runs it: this file is stored with the model and executed when the model is loaded.

It rests on the copy of satsynth that lies beside it, so that who loads the model needs only its pip requirements.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class GeneratorModel(PythonModel):
    """Draws pairs by their numbers."""

    def load_context(self, context: Any) -> None:
        """Load the generator on the GPU, or on the CPU where there is none."""
        from satsynth.diffusion.generator import load_generator
        from satsynth.generation.saved import SavedGenerator
        from satsynth.training.device import choose_device
        from satsynth.training.settings import ComputeSettings

        self._sampling: dict[str, Any] = context.model_config["sampling"]
        self._saved = SavedGenerator(Path(context.artifacts["generator"]))
        self._compute = ComputeSettings(precision=context.model_config["precision"])
        self._device = choose_device(self._compute)
        self._generator = load_generator(self._saved, self._device)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Draw pairs.

        Args:
            context: Not used.
            model_input: Column ``pair``: numbers from 0; pair i depends on (seed, i) and the kind of device alone.
            params: ``seed``, ``steps``, ``sampler``, ``sigma_max``; those of the training's project unless given.

        Returns:
            A row a pair: ``pair``, ``image`` (RGB PNG as bytes), ``mask`` (PNG of class indices as bytes).
        """
        from satsynth.diffusion.sampling import draw
        from satsynth.diffusion.settings import SamplingSettings
        from satsynth.pairs.pair import encode_image, encode_mask

        settings = SamplingSettings(**{**self._sampling, **(params or {})})
        numbers = [int(number) for number in model_input["pair"]]
        rows = []
        for first in range(0, len(numbers), settings.batch_size):
            part = numbers[first : first + settings.batch_size]
            images, masks = draw(self._generator, part, self._saved.tile_size, settings, self._device, self._compute)
            rows += [
                {"pair": number, "image": encode_image(image), "mask": encode_mask(mask)}
                for number, image, mask in zip(part, images, masks, strict=True)
            ]
        return pd.DataFrame(rows, columns=["pair", "image", "mask"])


set_model(GeneratorModel())
