"""The generator as MLflow runs it: this file is stored with the model and executed when the model is loaded.

It uses the copy of satsynth stored beside it, so whoever loads the model needs only its pip requirements.
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
        from satsynth.generation.families import family_of
        from satsynth.generation.saved import SavedGenerator
        from satsynth.training.settings import ComputeSettings

        self._saved = SavedGenerator(Path(context.artifacts["generator"]))
        self._family = family_of(self._saved.family)
        self._config: dict[str, Any] = context.model_config
        self._compute = ComputeSettings(precision=self._config["precision"])
        self._loaded: tuple[Any, Any] = (None, None)
        self._drawer({})

    def _drawer(self, drawing: dict[str, Any]) -> Any:
        """Return the generator, loaded again only if it is to draw in another way than before."""
        configured = self._config["settings"]
        settings = self._family.settings.model_validate({**configured, "drawing": {**configured["drawing"], **drawing}})
        if self._loaded[0] != settings:
            self._loaded = (settings, self._family.load(self._saved, settings, self._compute))
        return self._loaded[1]

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Draw pairs.

        Args:
            context: Not used.
            model_input: Column ``pair``: numbers from 0; pair i depends only on (seed, i) and the kind of device.
            params: ``seed``, and the drawing parameters of the family, such as ``steps`` and ``sampler`` of
                `diffusion`; those of the training's project unless given.

        Returns:
            A row a pair: ``pair``, ``image`` (RGB PNG as bytes), ``mask`` (PNG of class indices as bytes).
        """
        from satsynth.generation.sampling import draw_batch
        from satsynth.generation.settings import SamplingSettings
        from satsynth.pairs.pair import encode_image, encode_mask

        given = dict(params or {})
        seed = {"seed": int(given.pop("seed"))} if "seed" in given else {}
        sampling, drawer = SamplingSettings(**{**self._config["sampling"], **seed}), self._drawer(given)
        if sampling.layouts in ("real", "folder"):
            # The masks of the project's scenes are no part of the model: it draws its own.
            sampling = sampling.model_copy(update={"layouts": "model"})
        numbers = [int(number) for number in model_input["pair"]]
        rows = []
        for first in range(0, len(numbers), sampling.batch_size):
            part = numbers[first : first + sampling.batch_size]
            images, masks = draw_batch(drawer, part, sampling)
            rows += [
                {"pair": number, "image": encode_image(image), "mask": encode_mask(mask)}
                for number, image, mask in zip(part, images, masks, strict=True)
            ]
        return pd.DataFrame(rows, columns=["pair", "image", "mask"])


set_model(GeneratorModel())
