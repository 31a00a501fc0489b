"""Parameters of segmentation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from satsynth.scenes.description import Frozen


class SegmentationNetwork(Frozen):
    """One network of segmentation-models-pytorch."""

    architecture: Literal["fpn", "pspnet", "segformer", "upernet", "deeplabv3plus", "unet"] = Field(
        description="Decoder."
    )
    encoder: str = Field(description="Encoder by its name in segmentation-models-pytorch.")
    weights: str | None = Field(
        default=None,
        description="Pre-trained weights of the encoder, such as `imagenet` (downloaded); none by default.",
    )
    options: dict[str, Any] = Field(default={}, description="Further arguments of the architecture, such as widths.")


class TrainingSettings(Frozen):
    """Training of one segmentation network."""

    images: int = Field(description="Training budget in images, the same for every ratio.", ge=1)
    batch_size: int = Field(default=16, description="Pairs a step.", ge=2)
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decoupled weight decay.")
    clip: float = Field(default=5.0, gt=0, description="Largest norm of the gradient.")
    evaluations: int = Field(
        default=4, ge=1, description="Looks at the val split, at even distances in the second half; the best is kept."
    )


class JudgeSettings(Frozen):
    """The network that is trained on real pairs alone and lends its features to the comparison."""

    network: str = Field(description="Its name in `segmentation.networks`.")
    seed: int = Field(default=0, ge=0, description="Seed of its training; shared with the R = 0 run of the same seed.")


class SegmentationSettings(Frozen):
    """The grid of trainings."""

    networks: dict[str, SegmentationNetwork] = Field(
        description="Networks by name; null takes one away that another file names.", min_length=1
    )
    judge: JudgeSettings
    ratios: tuple[float, ...] = Field(
        description="Synthetic pairs for each real one, R; 0 is the baseline.", min_length=1
    )
    seeds: tuple[int, ...] = Field(description="Seeds, one training each.", min_length=1)
    training: TrainingSettings

    @field_validator("networks", mode="before")
    @classmethod
    def _without_null(cls, networks: Any) -> Any:
        return (
            {name: network for name, network in networks.items() if network is not None}
            if isinstance(networks, dict)
            else networks
        )

    @field_validator("ratios")
    @classmethod
    def _baseline(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if 0 not in ratios or min(ratios) < 0 or len(set(ratios)) < len(ratios):
            raise ValueError(
                f"`ratios` {list(ratios)} must be distinct, not negative, and hold 0, the baseline of all others"
            )
        return ratios

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"`seeds` {list(seeds)} must be distinct: a training repeated tells nothing of its spread")
        return seeds
