"""Parameters of segmentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from satsynth.pairs.settings import AugmentationName
from satsynth.work.frozen import Frozen

Protocol = Literal["step_matched", "epoch_matched", "synthetic_only", "pretrain_finetune"]

Share = Annotated[float, Field(gt=0, lt=1)]


class SegmentationNetwork(Frozen):
    """One network of segmentation-models-pytorch, or FarSeg of torchgeo."""

    architecture: Literal["fpn", "pspnet", "segformer", "upernet", "deeplabv3plus", "unet", "farseg"] = Field(
        description="Decoder; `farseg` needs the extra `farseg` and one of the encoders resnet18, 34, 50 and 101."
    )
    encoder: str = Field(description="Encoder by its name in segmentation-models-pytorch.")
    weights: str | None = Field(
        default=None,
        description="Pre-trained weights of the encoder: none, a name such as `imagenet` (downloaded), or a local file "
        "(.safetensors, .pth, .pt) of the encoder's state.",
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
    protocols: tuple[Protocol, ...] = Field(
        default=("step_matched",),
        min_length=1,
        description="What R > 0 may cost and see. `step_matched`: as many steps as R = 0. `epoch_matched`: as many "
        "epochs, so 1 + R times the steps. `synthetic_only`: synthetic pairs alone. `pretrain_finetune`: half of the "
        "steps on synthetic pairs, then half on real ones.",
    )
    augmentations: tuple[AugmentationName, ...] = Field(
        default=("flips",),
        min_length=1,
        description="Augmentation arms, each at every R; all but `none` (R = 0 alone) flip and rotate.",
    )
    real_shares: tuple[Share | None, ...] = Field(
        default=(None,),
        min_length=1,
        description="Share of real pairs in a batch where R > 0, an arm each; null is that of the union, 1 / (1 + R).",
    )
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

    @field_validator("seeds", "protocols", "augmentations", "real_shares")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} must be distinct: a training repeated tells nothing of its spread")
        return values

    @model_validator(mode="after")
    def _judge_is_there(self) -> SegmentationSettings:
        network = self.networks.get(self.judge.network)
        if network is None:
            raise ValueError(
                f"`judge.network` '{self.judge.network}' is none of `networks`, which are {sorted(self.networks)}"
            )
        if network.architecture == "farseg":
            raise ValueError("`judge.network` must lend the features of its encoder, which FarSeg has no access to")
        return self
