"""SegDiff, written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field, model_validator

from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.segmentation.architectures.options import options_of
from satsynth.work.errors import SatSynthError
from satsynth.work.frozen import Frozen

if TYPE_CHECKING:
    import torch
    from torch import nn

    from satsynth.segmentation.segdiff import SegDiff as Network
    from satsynth.segmentation.settings import SegmentationNetwork

ENCODER = "rrdb"
Width = Annotated[int, Field(ge=8, le=8192, multiple_of=8)]


class SegDiffOptions(Frozen):
    """Options of the network; the defaults suit a CPU, the paper's sizes are those of `conf/paper`."""

    label_code: Literal["bits", "one_hot"] = Field(default="one_hot", description="How classes become channels.")
    stem: int = Field(default=4, ge=1, le=16, description="Side in pixels of the patch that becomes one position.")
    widths: tuple[Width, ...] = Field(
        default=(32, 64, 128), min_length=2, max_length=10, description="Channels of the U-Net at each resolution."
    )
    layers: int = Field(default=1, ge=1, le=32, description="Residual blocks at each resolution.")
    attention: int = Field(default=1, ge=0, le=10, description="How many of the lowest resolutions have attention.")
    blocks: int = Field(default=2, ge=1, le=64, description="Residual blocks of the image encoder.")
    features: int = Field(default=32, ge=1, le=4096, description="Channels of the image encoder.")
    growth: int = Field(default=16, ge=1, le=4096, description="Growth of its dense blocks.")
    predicts: Literal["noise", "clean"] = Field(
        default="clean", description="What the U-Net predicts: the noise, as in the paper, or the clean mask."
    )
    noise_levels: int = Field(default=100, ge=25, le=10000, description="Noise levels T of the training.")
    steps: int = Field(default=5, ge=1, le=10000, description="Steps of a draw, T at most.")
    votes: int = Field(default=9, ge=1, le=1000, description="Draws of a prediction, of which the mean decides.")
    val_votes: int = Field(default=1, ge=1, le=1000, description="The same on val, by which the weights are chosen.")

    @model_validator(mode="after")
    def _fits(self) -> SegDiffOptions:
        if self.steps > self.noise_levels:
            raise ValueError(f"`steps` {self.steps} must not be more than the {self.noise_levels} `noise_levels`")
        if self.attention > len(self.widths):
            raise ValueError(f"`attention` {self.attention} must not be more than the {len(self.widths)} `widths`")
        return self


class SegDiff(Architecture):
    """The discriminative diffusion model of Amit et al. (arXiv 2112.00390), which draws masks given an image."""

    can_judge = False

    def require_ready(self, settings: SegmentationNetwork) -> None:
        """Refuse options and encoders that it does not have."""
        options_of(SegDiffOptions, settings)
        if settings.encoder != ENCODER:
            raise SatSynthError(
                f"segdiff has no encoder {settings.encoder!r}.", f"Set `encoder: {ENCODER}` in `segmentation.networks`."
            )

    def build(self, settings: SegmentationNetwork, classes: int) -> nn.Module:
        """Build the network."""
        from satsynth.pairs.codes import LabelCode
        from satsynth.segmentation.segdiff import ImageEncoder
        from satsynth.segmentation.segdiff import SegDiff as Network

        self.require_ready(settings)
        if settings.weights is not None:
            raise SatSynthError(
                f"The encoder of segdiff has no weights named {settings.weights!r}.",
                "Set `weights: null`, or give a file, in `segmentation.networks`.",
            )
        options = options_of(SegDiffOptions, settings)
        return Network(
            LabelCode(options.label_code, classes, 1.0),
            ImageEncoder(options.stem, options.features, options.growth, options.blocks, options.widths[0]),
            stem=options.stem,
            widths=options.widths,
            layers=options.layers,
            attention=options.attention,
            levels=options.noise_levels,
            steps=options.steps,
            votes=options.votes,
            predicts_clean=options.predicts == "clean",
        )

    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the image encoder, a submodule."""
        return network.get_submodule("encoder")

    def side_multiple(self, settings: SegmentationNetwork) -> int:
        """Return by how much the stem and the U-Net reduce an image."""
        options = options_of(SegDiffOptions, settings)
        return int(options.stem * 2 ** (len(options.widths) - 1))

    def loss(self, network: nn.Module, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the squared error of the predicted noise or mask."""
        return cast("Network", network).loss(images, masks)

    def quick(self, network: nn.Module, settings: SegmentationNetwork) -> nn.Module:
        """Return the network with the votes on val."""
        from satsynth.segmentation.segdiff import FewerVotes

        return FewerVotes(cast("Network", network), options_of(SegDiffOptions, settings).val_votes)

    def passes(self, settings: SegmentationNetwork, quick: bool) -> int:
        """Return the number of votes times their steps."""
        options = options_of(SegDiffOptions, settings)
        return (options.val_votes if quick else options.votes) * options.steps
