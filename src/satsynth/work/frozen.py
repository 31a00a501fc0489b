"""The base of all parameter models, and bounds that several of them share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

# Every number is finite and has a lower and an upper bound. The upper ones keep out what no machine could compute: a
# typing error is refused when it is read, long before memory or time run out.
SEED_END = 2**32
MOST_IMAGES = 10**9
LARGEST_BATCH = 4096
LARGEST_SHARD = 100_000
LARGEST_TILE = 4096
LARGEST_RATIO = 1000
LARGEST_NUMBER = 1e9


class Frozen(BaseModel):
    """Base of all parameter models: immutable, no field that it does not know, and no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def plain_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return arguments for a library that were given by name.

    Raises:
        ValueError: A number among them is not finite, or larger than `LARGEST_NUMBER`.
    """

    def check(value: Any, where: str) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                check(part, f"{where}.{key}" if where else str(key))
        elif isinstance(value, list | tuple):
            for part in value:
                check(part, where)
        # Not-a-number is not in any range.
        elif isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            raise ValueError(f"`{where}` is {value}; it must be finite, and between ±{LARGEST_NUMBER:.0e}")

    check(options, "")
    return options
