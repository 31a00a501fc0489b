"""Parameters of joint diffusion: training a denoiser, and drawing from it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.generation.families import DrawingSettings, ImageLearnerSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.frozen import LARGEST_BATCH, MOST_IMAGES, SEED_END, Frozen

# Of `start_from`: a generator of the package, if one fits.
AUTO = "auto"
START = (
    "Folder of a finished generator, or the name of one in the package, whose averaged weights are the start, as far "
    "as they fit; label channels are new where code or classes differ. `auto`: one of the package that has the same "
    "network, noise levels and preconditioning and saw nothing that is held out, if there is one. Empty or null: a "
    "start from nothing. Relative to the folder in which the run is started."
)
# Of joint diffusion, whose trainings start from weights that have seen many images.
JOINT_LEVELS = {"sigma_max": 80.0, "sigma_min": 0.005}


class NoiseSettings(Frozen):
    """Noise levels seen in training."""

    kind: Literal["lognormal", "ddpm"] = Field(
        default="lognormal", description="`lognormal`: ln sigma is normal. `ddpm`: DDPM's 1000 levels, equally often."
    )
    mean: float = Field(default=0.6, description="Mean of ln sigma.", ge=-10, le=10)
    std: float = Field(default=1.7, description="Standard deviation of ln sigma.", gt=0, le=10)


class TaskSettings(Frozen):
    """Shares of the training: how noisy image and mask are. All but `joint` need noise levels of their own."""

    joint: float = Field(default=1.0, ge=0, le=1, description="Both equally noisy, which draws pairs, as in the paper.")
    image: float = Field(default=0.0, ge=0, le=1, description="The image noisy, its mask given, which paints masks.")
    mask: float = Field(default=0.0, ge=0, le=1, description="The mask noisy, its image unknown, which draws masks.")
    independent: float = Field(default=0.0, ge=0, le=1, description="Each with a noise level drawn for itself.")

    @model_validator(mode="after")
    def _whole(self) -> TaskSettings:
        total = sum(self.model_dump().values())
        if not isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"the shares of `tasks` add up to {total:g}, not to 1")
        return self


class DiffusionDrawing(DrawingSettings):
    """How pairs are drawn from a denoiser."""

    sampler: Literal["dpm_solver_2m", "dpm_solver_2m_sde", "heun", "euler", "ddpm_ancestral"] = Field(
        default="dpm_solver_2m_sde",
        description="How noise is removed; `heun` evaluates the denoiser twice a step.",
    )
    steps: int = Field(default=30, description="Noise levels from the largest to zero.", ge=2, le=1000)
    schedule: Literal["karras", "ddpm"] = Field(
        default="karras",
        description="Noise levels: by `sigma_max`, `sigma_min` and `rho`, or DDPM's own, evenly spread.",
    )
    clip: bool = Field(default=False, description="Whether each estimate of the clean pair is kept in range.")
    guidance: float = Field(
        default=1.0,
        ge=1,
        le=20,
        description="How much an image that is painted for a mask follows it: 1 as the network does, above 1 more, in "
        "twice the time (classifier-free guidance).",
    )
    sigma_max: float = Field(
        default=40.0,
        gt=0,
        le=1000,
        description="Largest noise level. 80 suits a generator that has seen more than ten thousand images, its start "
        "included; draw from one that has seen some thousand with 40.",
    )
    sigma_min: float = Field(
        default=0.02, ge=1e-6, le=1000, description="Smallest noise level before zero; a larger one leaves more grain."
    )
    rho: float = Field(
        default=7.0,
        ge=1,
        le=100,
        description="Exponent of the schedule of noise levels; 7 in Karras et al. 2022, equation 5.",
    )

    def identity(self) -> dict[str, Any]:
        """Return the parameters that decide a set of pairs; those drawn before there was `guidance` are still found."""
        return self.model_dump(mode="json", exclude={"guidance"} if self.guidance == 1 else None)

    @model_validator(mode="after")
    def _range(self) -> DiffusionDrawing:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"`sigma_min` {self.sigma_min} must be below `sigma_max` {self.sigma_max}")
        return self


class DenoiserSettings(ImageLearnerSettings):
    """Training of a denoiser, and drawing from it."""

    model: GeneratorSettings = GeneratorSettings()
    noise: NoiseSettings = NoiseSettings()
    tasks: TaskSettings = TaskSettings()
    images: int = Field(default=6000, description="Training budget in images.", ge=1, le=MOST_IMAGES)
    batch_size: int = Field(default=8, description="Pairs a step.", ge=1, le=LARGEST_BATCH)
    micro_batch: int | None = Field(
        default=None,
        description="Pairs that are computed at a time; their gradients add up to those of the batch, with less memory "
        "and the same result to rounding. It must divide `batch_size`. Null: the whole batch.",
        ge=1,
        le=LARGEST_BATCH,
    )
    crops: float = Field(
        default=0.0,
        description="Share of the steps that see four crops of half the side in place of each tile, each with a noise "
        "level of its own, at the cost of whole tiles. With a stem of 2 half of the steps teaches detail sooner.",
        ge=0,
        le=0.9,
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="muon", description="`muon`: Muon for convolutions, AdamW for all else."
    )
    learning_rate: float = Field(default=2e-3, description="Peak learning rate.", gt=0, le=100)
    weight_decay: float = Field(default=0.01, ge=0, le=100, description="Decoupled weight decay.")
    clip: float = Field(default=1.0, gt=0, le=1e6, description="Largest norm of the gradient.")
    ema: float = Field(default=0.999, ge=0, lt=1, description="Decay of the moving average of weights.")
    seed: int = Field(
        default=0, ge=0, lt=SEED_END, description="Seed of initialisation, order, augmentation and noise."
    )
    compile: bool = Field(
        default=False, description="Whether torch.compile makes the network faster; it needs a C++ compiler, and a GPU."
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Whether the U-Net computes forward passes twice to save memory."
    )
    looks: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="How often, at even distances, errors on held-out scenes are measured and some pairs are drawn.",
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="Which averaged weights are kept: the last, or those of the look with the smallest `val_error`.",
    )
    start_from: str = Field(default="", description=START)
    drawing: DiffusionDrawing = DiffusionDrawing()

    @field_validator("start_from", mode="before")
    @classmethod
    def _nothing(cls, given: Any) -> Any:
        """Take null, which is what `--params=diffusion.start_from=` gives, for the empty string."""
        return "" if given is None else given

    def unaided(self) -> Self:
        """Return the same without a start that nobody named."""
        return self.model_copy(update={"start_from": ""}) if self.start_from == AUTO else self

    def training_identity(self) -> dict[str, Any]:
        """Return the parameters that decide a trained generator: what it starts from is known by its digest."""
        # Sums in another order have other last digits, so a micro batch is a part of it. Without one, and without
        # crops, trainings of versions that had none are still found.
        without = {name for name in ("micro_batch", "crops") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude={"drawing", "start_from", *without})

    @property
    def cuts(self) -> int:
        """In how many parts the side of a tile is cut at most in training."""
        return 2 if self.crops else 1

    def require_processes(self, processes: int) -> None:
        """Refuse a number of processes that does not divide the batch."""
        if self.batch_size % processes:
            raise SatSynthError(
                f"`batch_size` {self.batch_size} of a diffusion model cannot be dealt out evenly among "
                f"`compute.processes` {processes}.",
                "Set `compute.processes` to a number that divides it, or change the batch size, which is another "
                "training.",
            )

    def require_unlabelled(self) -> None:
        """Refuse images without masks where image and mask have one noise level in common."""
        if self.unlabelled_share and self.model.noise_levels == "common" and self.model.label_code != "none":
            raise SatSynthError(
                "There are images without masks (`images.unlabelled`, `tiling.label_rest`), but the generator's "
                "`model.noise_levels` is `common`, so it cannot learn from an image whose mask is not known.",
                "Set `model.noise_levels: separate` in the family's parameters (`diffusion.model.noise_levels`), or "
                "`unlabelled_share: 0` to leave these images out.",
            )

    @model_validator(mode="after")
    def _parts_are_equal(self) -> DenoiserSettings:
        if self.micro_batch is not None and self.batch_size % self.micro_batch:
            raise ValueError(
                f"`micro_batch` {self.micro_batch} must divide `batch_size` {self.batch_size}; set one that does, or "
                "null"
            )
        return self

    @model_validator(mode="after")
    def _common_is_joint(self) -> DenoiserSettings:
        if self.model.noise_levels == "common" and self.tasks.joint != 1:
            raise ValueError(
                "`model.noise_levels` is `common`, so `tasks.joint` must be 1 and all others 0, but it is "
                f"{self.tasks.joint:g}; set them so, or `model.noise_levels: separate`"
            )
        return self


def _usual_tasks(given: dict[str, Any]) -> TaskSettings:
    """Return what a generator learns by its noise levels: if they are separate, it may be asked for either side."""
    model = given.get("model")
    if isinstance(model, GeneratorSettings) and model.noise_levels == "separate":
        return TaskSettings(joint=0.3, image=0.35, mask=0.2, independent=0.15)
    return TaskSettings()


class DiffusionSettings(DenoiserSettings):
    """Training of a denoiser, and drawing from it."""

    model: GeneratorSettings = GeneratorSettings(noise_levels="separate")
    tasks: TaskSettings = Field(default_factory=_usual_tasks)
    start_from: str = Field(default=AUTO, description=START)
    drawing: DiffusionDrawing = DiffusionDrawing.model_validate(JOINT_LEVELS)

    @field_validator("drawing", mode="before")
    @classmethod
    def _levels(cls, given: Any) -> Any:
        """Give levels that are not named the defaults of this family."""
        return {**JOINT_LEVELS, **given} if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _labels(self) -> DiffusionSettings:
        if self.model.label_code == "none":
            raise ValueError("`model.label_code` is `none`, which the family `image_ddpm` is for; choose another")
        return self


class ImageDiffusionSettings(DenoiserSettings):
    """Training of a denoiser of images without masks, and drawing from it."""

    model: GeneratorSettings = GeneratorSettings(label_code="none")

    @model_validator(mode="after")
    def _no_labels(self) -> ImageDiffusionSettings:
        if self.model.label_code != "none" or self.model.noise_levels != "common":
            raise ValueError(
                "images have no label channels: `model.label_code` must be `none` and `model.noise_levels` `common`, "
                f"not `{self.model.label_code}` and `{self.model.noise_levels}`"
            )
        return self
