"""The smallest trainings that pipelines do on made data, and what they show in MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from satsynth import tracking
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import DiffusionDrawing, ImageDiffusionSettings
from satsynth.rivals.gan.settings import GanNetwork, GanSettings
from satsynth.segmentation.settings import (
    JudgeSettings,
    SegmentationNetwork,
    SegmentationSettings,
    TrainingSettings,
)
from satsynth.training.settings import ComputeSettings

SIDE = 32
COMPUTE = ComputeSettings(device="cpu", checkpoint_seconds=60)
SMALL: dict[str, Any] = {
    "image_ddpm": ImageDiffusionSettings(
        model=GeneratorSettings(network=NetworkSettings(stem=8, widths=(8, 16), head=0), label_code="none"),
        images=4,
        batch_size=2,
        looks=1,
        drawing=DiffusionDrawing(steps=2),
    ),
    "gan": GanSettings(
        network=GanNetwork(stem=4, width=4, widest=8, latent=8, pair_width=4), images=8, batch_size=4, looks=1
    ),
}
GRID = SegmentationSettings(
    networks={
        "fpn_mobilenetv3": SegmentationNetwork(
            architecture="fpn",
            encoder="tu-mobilenetv3_small_050",
            options={"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32},
        )
    },
    judge=JudgeSettings(network="fpn_mobilenetv3"),
    training=TrainingSettings(images=4, batch_size=2, evaluations=1),
)
ONE_SEED = GRID.model_copy(update={"seeds": (0,)})


class Runs(tracking.NoTracker):
    """Keeps the names of trainings that began, and what is shown at the end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.shown: dict[str, dict[str, Any]] = {}

    @contextmanager
    def child(self, name: str, params: Any, folder: Any, inputs: Any = ()) -> Iterator[tracking.Child]:
        self.begun.append(name)
        yield tracking.Child(self, name)

    def finished(self, name: str, params: Any, values: Any) -> None:
        self.shown[name] = dict(values)
