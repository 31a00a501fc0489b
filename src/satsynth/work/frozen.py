"""The base of all parameter models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of all parameter models: immutable, and no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
