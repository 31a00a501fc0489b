"""Parameters of a cascade. Imported without PyTorch."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import (
    DenoiserSettings,
    DiffusionDrawing,
    DiffusionSettings,
    NoiseSettings,
    TaskSettings,
)
from satsynth.generation.families import DrawingSettings, FamilySettings


class EnlargerSettings(DenoiserSettings):
    """The model that enlarges pairs, and its training on crops. Looks measure its errors; nothing is drawn at them."""

    model: GeneratorSettings = GeneratorSettings(
        network=NetworkSettings(stem=2, widths=(32, 64), attention=False), noise_levels="separate"
    )
    noise: NoiseSettings = NoiseSettings(mean=-0.6, std=1.4)
    tasks: TaskSettings = TaskSettings(joint=0.5, image=0.5)
    crop: int = Field(
        default=64, ge=16, le=4096, multiple_of=8, description="Side of the crops that it learns from, in pixels."
    )
    condition_noise: float = Field(
        default=0.2,
        ge=0,
        le=2,
        description="Largest noise on the small images that it learns to enlarge, in their range of -1 to 1; each gets "
        "an amount of its own. Drawn small images have errors, of which it must not make detail.",
    )

    @model_validator(mode="after")
    def _fits(self) -> EnlargerSettings:
        if self.model.noise_levels != "separate" or self.model.label_code == "none":
            raise ValueError(
                "an enlarger also paints given masks: `model.noise_levels` must be `separate`, and `model.label_code` "
                "not `none`"
            )
        if self.unaided().start_from or self.compile or self.gradient_checkpointing or self.crops:
            raise ValueError(
                "an enlarger has no `start_from`, `compile`, `gradient_checkpointing` or `crops`: its `crop` is the "
                "side of those that it always learns from"
            )
        return self


class CascadeDrawing(DrawingSettings):
    """How pairs are drawn from both models."""

    small: DiffusionDrawing = DiffusionDrawing()
    enlarger: DiffusionDrawing = DiffusionDrawing(steps=16, sigma_max=10.0)
    condition_noise: float = Field(
        default=0.1, ge=0, le=2, description="Noise on the drawn small images before they are enlarged."
    )

    def identity(self) -> dict[str, Any]:
        """Return the parameters that decide a set of pairs."""
        models = {"small": self.small.identity(), "enlarger": self.enlarger.identity()}
        return {**self.model_dump(mode="json"), **models}

    @model_validator(mode="after")
    def _not_twice(self) -> CascadeDrawing:
        if self.enlarger.guidance != 1:
            raise ValueError(
                "an enlarger is given the mask with the small image, too, so it has no estimate without it: "
                "`enlarger.guidance` must be 1; set `small.guidance`"
            )
        return self


class CascadeSettings(FamilySettings):
    """Two models: pairs of a fraction of the size, and their enlargement. Each model's own `drawing` is not used."""

    factor: Literal[2, 4] = Field(default=2, description="Side of a tile over the side of the small pairs.")
    small: DiffusionSettings = DiffusionSettings(
        model=GeneratorSettings(network=NetworkSettings(stem=2), noise_levels="separate"),
    )
    enlarger: EnlargerSettings = EnlargerSettings()
    drawing: CascadeDrawing = CascadeDrawing()

    def training_identity(self) -> dict[str, Any]:
        """Return the parameters that decide a trained generator."""
        stages = {name: getattr(self, name).training_identity() for name in ("small", "enlarger")}
        return {"factor": self.factor, **stages}

    @property
    def budget(self) -> int:
        """Training budget in images: that of both models."""
        return self.small.images + self.enlarger.images

    def with_budget(self, images: int) -> Self:
        """Return the same parameters with another training budget, of which each model has the same share."""
        small = max(1, round(images * self.small.images / self.budget))
        return self.model_copy(
            update={
                "small": self.small.with_budget(small),
                "enlarger": self.enlarger.with_budget(max(1, images - small)),
            }
        )

    def learns_from_images(self) -> bool:
        """Return whether one of the models does."""
        return self.small.learns_from_images() or self.enlarger.learns_from_images()

    def require_processes(self, processes: int) -> None:
        """Refuse a number of processes that does not divide the batches of both models."""
        for model in (self.small, self.enlarger):
            model.require_processes(processes)

    def require_unlabelled(self) -> None:
        """Refuse images without masks where the small pairs have one noise level in common."""
        self.small.require_unlabelled()

    @model_validator(mode="after")
    def _fits(self) -> CascadeSettings:
        if self.small.unaided().start_from:
            raise ValueError("`small.start_from` is not supported in a cascade")
        if self.enlarger.crop % self.factor:
            raise ValueError(f"`enlarger.crop` {self.enlarger.crop} must be a multiple of `factor` {self.factor}")
        return self
