"""Where units of work run: by which engine, with which resources, and which part of them is this process's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from satsynth.work.frozen import Frozen

if TYPE_CHECKING:
    from satsynth.work.units import Unit

# What `compute.share` looks like: the third of sixteen parts is 3/16.
SHARE = r"^[1-9][0-9]{0,5}/[1-9][0-9]{0,5}$"


class RaySettings(Frozen):
    """How units run on Ray."""

    address: str | None = Field(
        default=None,
        description="Address of a Ray cluster, such as `host:6379`; `auto` finds the one of this machine; null starts "
        "one on this machine and stops it at the end of the step.",
    )
    cores: int | None = Field(
        default=None,
        description="Cores that a unit is declared to use; null: the number of threads by which networks compute, and "
        "one for units without networks.",
        ge=1,
        le=1024,
    )
    gpus: float = Field(
        default=1,
        description="GPUs of a unit whose networks compute on CUDA; 0.5 lets two units share one.",
        gt=0,
        le=8,
    )
    memory_gb: float | None = Field(
        default=None, description="Memory that a unit is declared to use, in GB; null declares none.", gt=0, le=10_000
    )
    at_once: int | None = Field(
        default=None,
        description="Units that run or wait in the cluster at the same time; null: as many as it has room for. A "
        "cluster that grows by itself grows only for units that wait.",
        ge=1,
        le=100_000,
    )
    retries: int = Field(
        default=3, description="How often a unit is started again after its worker was lost.", ge=0, le=100
    )


@dataclass(frozen=True)
class Share:
    """One of several parts of the units of a step.

    Args:
        part: Which, from 1.
        parts: How many there are.
    """

    part: int
    parts: int

    @classmethod
    def of(cls, text: str) -> Share:
        """Read a share such as ``3/16``.

        Raises:
            ValueError: The text is no share.
        """
        if not re.match(SHARE, text):
            raise ValueError(f"'{text}' is no share; the third of sixteen parts is 3/16")
        part, parts = map(int, text.split("/"))
        if part > parts:
            raise ValueError(f"'{text}' is no share; there are {parts} parts, numbered from 1")
        return cls(part, parts)

    def units(self, units: Sequence[Unit]) -> list[Unit]:
        """Return the units of this part, in their order.

        Units are dealt out by the names of their outcomes: every process finds the same parts, in whatever order it
        would do the units.
        """
        dealt = sorted(units, key=lambda unit: unit.outcome)[self.part - 1 :: self.parts]
        mine = {unit.outcome for unit in dealt}
        return [unit for unit in units if unit.outcome in mine]

    def __str__(self) -> str:
        """Return the share as it is written."""
        return f"{self.part}/{self.parts}"


class PartDone(Exception):  # noqa: N818  # it is no error
    """The units of this process's share are done; not an error.

    Args:
        share: The share.
        left: How many units of the other parts are not done.
        units: How many units there are in all.
    """

    def __init__(self, share: Share, left: int, units: int) -> None:
        super().__init__(share, left, units)
        self.share, self.left, self.units = share, left, units

    def __str__(self) -> str:
        """Return what the user reads."""
        return (
            f"Part {self.share} of the step is done; {self.left} of its {self.units} units are left to the other "
            "parts. The part that ends last goes on with the rest of the run. If a part was stopped, run its "
            "command again."
        )


@dataclass(frozen=True)
class Resources:
    """What a unit is declared to use, so that an engine starts no more of them than a machine can bear.

    Args:
        cores: Cores.
        gpus: GPUs; less than 1 where several units share one.
        memory_gb: Memory in GB; None declares none.
    """

    cores: int = 1
    gpus: float = 0
    memory_gb: float | None = None


@dataclass(frozen=True)
class Placement:
    """Where units run.

    Args:
        engine: Machines of a Ray cluster, or this one.
        ray: How they run on Ray.
        resources: What each unit uses.
    """

    engine: Literal["local", "ray"] = "local"
    ray: RaySettings = field(default_factory=RaySettings)
    resources: Resources = Resources()


HERE = Placement()
