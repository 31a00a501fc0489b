"""Parameters of segmentation. Imported without PyTorch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from satsynth.pairs.settings import AugmentationName
from satsynth.segmentation.architectures.registry import ARCHITECTURES, known_architecture
from satsynth.work.frozen import LARGEST_BATCH, LARGEST_RATIO, MOST_IMAGES, SEED_END, Frozen, plain_options

Protocol = Literal["step_matched", "epoch_matched", "synthetic_only", "pretrain_finetune"]

Share = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=0, le=LARGEST_RATIO)]
Seed = Annotated[int, Field(ge=0, lt=SEED_END)]


MOST_EPOCHS = 1e6
# Weights that come with a Python package.
PACKAGED = "package"
# What a network may have of its own in its training.
_OWN = frozenset({"images", "batch_size", "learning_rate", "ema"})


class SegmentationNetwork(Frozen):
    """One segmentation network."""

    architecture: Annotated[str, AfterValidator(known_architecture)] = Field(
        description="Kind of network. `farseg` needs the extra `farseg` and one of the encoders resnet18, 34, 50 and "
        "101; `pfsegnet` takes any encoder, `segdiff` only its own, `rrdb`; all others are those of "
        "segmentation-models-pytorch.",
        json_schema_extra={"enum": list(ARCHITECTURES)},
    )
    encoder: str = Field(description="Encoder by its name in segmentation-models-pytorch.")
    weights: str | None = Field(
        default=None,
        description="Pre-trained weights of the encoder: none; `package` (ImageNet, for the encoder "
        "`tu-efficientnet_lite0`, from a Python package, without network access); a name such as `imagenet` "
        "(downloaded); or a local file (.safetensors, .pth, .pt) of the encoder's state.",
    )
    options: Annotated[dict[str, Any], AfterValidator(plain_options)] = Field(
        default={}, description="Further arguments of the architecture, such as widths."
    )
    images: int | None = Field(
        default=None,
        ge=1,
        le=MOST_IMAGES,
        description="Its own training budget in images, whatever `segmentation.training` says; null takes that one.",
    )
    batch_size: int | None = Field(
        default=None, ge=2, le=LARGEST_BATCH, description="Its own batch size; null likewise."
    )
    learning_rate: float | None = Field(
        default=None, gt=0, le=100, description="Its own peak learning rate; null likewise."
    )
    ema: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay of a moving average of its weights, which takes their place on val and test; null has none.",
    )

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What identifies a training knows a network's own values only where it has them.
        fields: dict[str, Any] = serialise(self)
        return {name: value for name, value in fields.items() if value is not None or name not in _OWN}

    def trained_by(self, training: TrainingSettings) -> TrainingSettings:
        """Return how it is trained: by its own values where it has them."""
        names = _OWN & TrainingSettings.model_fields.keys()
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        return training.model_copy(update=own)


class TrainingSettings(Frozen):
    """Training of one segmentation network."""

    images: int | None = Field(
        default=None,
        ge=1,
        le=MOST_IMAGES,
        description="Training budget in images, the same for every ratio; null takes `epochs`.",
    )
    epochs: float = Field(
        default=12.0,
        gt=0,
        le=MOST_EPOCHS,
        description="Training budget in epochs of the real training pairs, the same number of images for every ratio; "
        "not used where `images` is given.",
    )
    least_steps: int = Field(
        default=300,
        ge=1,
        le=MOST_IMAGES,
        description="Fewest steps of a budget in `epochs`, however few real pairs there are.",
    )
    batch_size: int = Field(default=16, description="Pairs a step.", ge=2, le=LARGEST_BATCH)
    learning_rate: float = Field(default=2e-3, gt=0, le=100, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(default=0.01, ge=0, le=100, description="Decoupled weight decay.")
    clip: float = Field(default=5.0, gt=0, le=1e6, description="Largest norm of the gradient.")
    evaluations: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="Evaluations on the val split, at equal distances in the second half of the training; the weights "
        "of the best one are kept.",
    )

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What identifies a training knows the rule of epochs only where it holds.
        fields: dict[str, Any] = serialise(self)
        unset = {"images"} if self.images is None else {"epochs", "least_steps"}
        return {name: value for name, value in fields.items() if name not in unset}

    @property
    def budget(self) -> int:
        """The budget in images.

        Raises:
            ValueError: It is given in epochs, and not yet decided by `for_pairs`.
        """
        if self.images is None:
            raise ValueError(f"a budget of {self.epochs:g} epochs is decided by the number of real pairs")
        return self.images

    def for_pairs(self, real: int) -> TrainingSettings:
        """Return the settings with their budget in images, whichever rule gives it.

        Args:
            real: Number of real training pairs.
        """
        if self.images is not None:
            return self
        images = max(round(self.epochs * real), self.least_steps * self.batch_size)
        return self.model_copy(update={"images": min(images, MOST_IMAGES)})


class JudgeSettings(Frozen):
    """The network that is trained on real pairs only and provides the features for the comparison."""

    network: str = Field(default="fpn_lite0", description="Its name in `segmentation.networks`.")
    seed: int = Field(
        default=0,
        ge=0,
        lt=SEED_END,
        description="Seed of its training; the training at R = 0 with this seed is the same one.",
    )


class UntrustedPixels(Frozen):
    """Pixels of synthetic pairs that networks are not trained on."""

    times: float = Field(
        gt=0,
        le=1e6,
        description="A pixel is ignored where the judge's cross entropy against the mask is larger than this many "
        "times the mean of its class on real val pairs.",
    )


# An encoder with ImageNet weights, small enough for a CPU. The decoder has half its usual width: 0.6 of the time for
# the same score.
_NETWORKS = {
    "fpn_lite0": SegmentationNetwork(
        architecture="fpn",
        encoder="tu-efficientnet_lite0",
        weights=PACKAGED,
        options={"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64},
    )
}


class SegmentationSettings(Frozen):
    """The grid of trainings."""

    networks: dict[str, SegmentationNetwork] = Field(
        default=_NETWORKS,
        description="Networks by name; null removes one that another file names.",
        min_length=1,
    )
    judge: JudgeSettings = JudgeSettings()
    ratios: tuple[Ratio, ...] = Field(
        default=(0.0, 1.0), description="Synthetic pairs for each real one, R; 0 is the baseline.", min_length=1
    )
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), description="Seeds, one training each.", min_length=1)
    protocols: tuple[Protocol, ...] = Field(
        default=("step_matched",),
        min_length=1,
        description="What R > 0 may cost and see. `step_matched`: as many steps as R = 0. `epoch_matched`: as many "
        "epochs, so 1 + R times the steps. `synthetic_only`: synthetic pairs only. `pretrain_finetune`: half of the "
        "steps on synthetic pairs, then half on real ones.",
    )
    augmentations: tuple[AugmentationName, ...] = Field(
        default=("flips",),
        min_length=1,
        description="Augmentation arms, each at every R (`none` only at R = 0); all but `none` flip and rotate. "
        "`geometric` cuts real pairs anew from the training scenes at any place, angle and zoom; synthetic pairs are "
        "flipped and rotated.",
    )
    real_shares: tuple[Share | None, ...] = Field(
        default=(None,),
        min_length=1,
        description="Share of real pairs in a batch where R > 0, an arm each; null is that of the union, 1 / (1 + R).",
    )
    untrusted: UntrustedPixels | None = Field(
        default=None,
        description="Which pixels of synthetic pairs are ignored in training, because the judge contradicts them; "
        "null uses all.",
    )
    training: TrainingSettings = TrainingSettings()

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
            raise ValueError(f"`ratios` {list(ratios)} must be distinct and not negative, and include 0, the baseline")
        return ratios

    @field_validator("seeds", "protocols", "augmentations", "real_shares")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} must be distinct: a repeated training says nothing about the spread")
        return values

    @model_validator(mode="after")
    def _judge_is_there(self) -> SegmentationSettings:
        network = self.networks.get(self.judge.network)
        if network is None:
            raise ValueError(
                f"`judge.network` '{self.judge.network}' is none of `networks`, which are {sorted(self.networks)}"
            )
        if not ARCHITECTURES[network.architecture].can_judge:
            raise ValueError(
                f"`judge.network` '{self.judge.network}' has the architecture '{network.architecture}', whose encoder "
                "provides no features; the judge needs another network"
            )
        return self
