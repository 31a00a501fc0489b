"""Where and how work is computed; `precision` changes results, and a GPU draws pairs from other noise than a CPU."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from satsynth.work.frozen import Frozen
from satsynth.work.placement import Placement, RaySettings, Resources, Share
from satsynth.work.processes import cores


class ComputeSettings(Frozen):
    """Device and workers."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="`auto` takes a CUDA GPU where there is one."
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Arithmetic of the networks; `bf16` by autocast. Changes results."
    )
    workers: int | None = Field(
        default=None, description="Threads that read and write files; null: one for each core.", ge=1, le=1024
    )
    loader_workers: int = Field(
        default=0,
        description="Processes that prepare training batches, for each process of a training; 0 prepares them in "
        "that process.",
        ge=0,
        le=256,
    )
    processes: int = Field(
        default=1,
        description="Processes of one training of a diffusion model, each with its part of every batch and, on CUDA, "
        "with a GPU of its own. Results are equal to rounding whatever their number. All other work uses one.",
        ge=1,
        le=64,
    )
    checkpoint_seconds: float = Field(
        default=20,
        description="Seconds between checkpoints; a kill loses them at most, and the step or look under way.",
        gt=0,
        le=60,
    )

    share: str | None = Field(
        default=None,
        description="The part of a step's units that this run does, such as `3/16`, the third of sixteen; also "
        "`--params=share=3/16`. Null does all.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local", description="What runs the units of a step: this machine, or the machines of a Ray cluster."
    )
    ray: RaySettings = Field(default=RaySettings(), description="How Ray runs them.")

    @field_validator("share")
    @classmethod
    def _is_share(cls, share: str | None) -> str | None:
        if share is not None:
            Share.of(share)
        return share

    @property
    def part(self) -> Share | None:
        """The part of a step's units that this run does; None does all."""
        return None if self.share is None else Share.of(self.share)

    @property
    def placement(self) -> Placement:
        """Where units without networks run."""
        return Placement(self.engine, self.ray, Resources(self.ray.cores or 1, 0, self.ray.memory_gb))

    @property
    def threads(self) -> int:
        """Number of threads that read and write files."""
        return self.workers or cores()
