"""Parameters of the GAN."""

from __future__ import annotations

from pydantic import Field, model_validator

from satsynth.generation.families import DrawingSettings, ImageLearnerSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.frozen import LARGEST_BATCH, MOST_IMAGES, SEED_END, Frozen

# The generator begins with a learned map of at least this side, and of at most the second.
SMALLEST, LARGEST = 4, 16


class GanNetwork(Frozen):
    """Sizes of the three networks."""

    stem: int = Field(
        default=4,
        ge=1,
        le=16,
        description="Side in pixels of the patch that becomes one position in all three networks; 1 is full "
        "resolution.",
    )
    width: int = Field(
        default=32, ge=4, le=4096, description="Channels at the finest resolution; each coarser doubles."
    )
    widest: int = Field(default=128, ge=4, le=8192, description="Most channels at any resolution.")
    latent: int = Field(default=64, ge=2, le=4096, description="Dimensions of the latent vector and of the styles.")
    mapping: int = Field(default=4, ge=1, le=32, description="Layers from the latent vector to the style.")
    pair_width: int = Field(default=32, ge=4, le=4096, description="First width of the pair discriminator.")
    pair_layers: int = Field(default=2, ge=1, le=8, description="Halvings in the pair discriminator at each scale.")
    pair_scales: int = Field(default=2, ge=1, le=5, description="Scales that the pair discriminator looks at.")

    @model_validator(mode="after")
    def _ordered(self) -> GanNetwork:
        if self.widest < self.width:
            raise ValueError(f"`widest` {self.widest} must not be below `width` {self.width}")
        return self

    def sides(self, side: int) -> tuple[int, ...]:
        """Return the sides of the maps of a network for tiles of a side, the smallest first.

        Raises:
            SatSynthError: The tiles do not fit.
        """
        finest, rest = divmod(side, self.stem)
        found = [finest]
        while found[0] % 2 == 0 and found[0] // 2 >= SMALLEST:
            found.insert(0, found[0] // 2)
        # Each of the pair discriminator's halvings needs two positions, at its coarsest scale too.
        enough = finest >> (self.pair_scales - 1 + self.pair_layers) >= 1
        if rest or not 1 < found[0] <= LARGEST or not enough:
            raise SatSynthError(
                f"`tiling.tile_size` is {side}, which does not fit a GAN whose `gan.network.stem` is {self.stem}, "
                f"`pair_layers` {self.pair_layers} and `pair_scales` {self.pair_scales}.",
                "Choose a multiple of a high power of two such as 128, or a smaller `gan.network.stem`, "
                "`gan.network.pair_layers` or `gan.network.pair_scales`.",
            )
        return tuple(found)

    def widths(self, side: int) -> tuple[int, ...]:
        """Return the channels at each of `sides`."""
        levels = len(self.sides(side))
        return tuple(min(self.widest, self.width << (levels - 1 - level)) for level in range(levels))


class GanDrawing(DrawingSettings):
    """How pairs are drawn."""

    truncation: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="How far styles reach from their mean: below 1, more likely and less varied pairs.",
    )


class GanSettings(ImageLearnerSettings):
    """A GAN of images and masks with a discriminator of images and one of pairs."""

    network: GanNetwork = GanNetwork()
    images: int = Field(default=8000, ge=1, le=MOST_IMAGES, description="Training budget in images.")
    batch_size: int = Field(default=16, ge=1, le=LARGEST_BATCH, description="Pairs a step.")
    learning_rate: float = Field(default=2e-3, gt=0, le=100, description="Learning rate of Adam, for all networks.")
    mixing: float = Field(default=0.9, ge=0, le=1, description="How often a batch mixes two styles.")
    gradient_weight: float = Field(default=10.0, ge=0, le=1e6, description="Weight of the gradient penalty R1.")
    gradient_every: int = Field(default=16, ge=1, le=10_000, description="Steps from one gradient penalty to the next.")
    path_weight: float = Field(default=2.0, ge=0, le=1e6, description="Weight of the path length penalty.")
    path_every: int = Field(default=4, ge=1, le=10_000, description="Steps from one path length penalty to the next.")
    feature_weight: float = Field(
        default=2.0, ge=0, le=1e6, description="Weight of feature matching in the pair discriminator."
    )
    ema: float = Field(default=0.998, ge=0, lt=1, description="Decay of the moving average of the generator's weights.")
    seed: int = Field(default=0, ge=0, lt=SEED_END, description="Seed of initialisation, order and latent vectors.")
    looks: int = Field(default=4, ge=1, le=1000, description="How often, at even distances, some pairs are drawn.")
    drawing: GanDrawing = GanDrawing()
