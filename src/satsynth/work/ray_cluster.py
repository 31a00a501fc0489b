"""The Ray cluster that runs units: joining or starting it, and how many units its machines have room for."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from satsynth.work.errors import ResourceError
from satsynth.work.placement import RaySettings, Resources
from satsynth.work.processes import cores

# Bytes. Only small messages travel; Ray takes no less than 75 MiB, by default a third of the memory.
_STORE = 100 << 20


def require_ray() -> None:
    """Refuse to run units on Ray where it is not installed.

    Raises:
        ResourceError: It is not.
    """
    if find_spec("ray") is None:
        raise ResourceError(
            "`compute.engine` is 'ray', but Ray is not installed.",
            "Install it (`pip install 'satsynth[ray]'`), or set --params=compute.engine=local.",
        )


@contextmanager
def connected(settings: RaySettings) -> Iterator[None]:
    """Join a cluster, or start one on this machine, until the block ends; a connection that is there is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    # Workers import the same code: from the same paths, since all machines share the project.
    paths = [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, paths)))}},
    }
    if settings.address is None:
        options |= {"num_cpus": cores(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        with warnings.catch_warnings():
            # Of what a later release will do about GPUs that a task does not ask for.
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(address=settings.address or "local", **options)
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        raise ResourceError(
            f"Ray cannot be reached at `compute.ray.address: {settings.address or 'null'}`: {error}.",
            "Start a cluster (`ray start --head`), correct the address, or set --params=compute.engine=local.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def rooms(nodes: Sequence[Mapping[str, float]], used: Resources) -> int:
    """Return how many units fit into the machines of a cluster at a time.

    Args:
        nodes: What each machine has, by Ray's names; memory in bytes.
        used: What a unit uses.
    """
    needed = {"CPU": used.cores, "GPU": used.gpus, "memory": (used.memory_gb or 0) * 1e9}
    return sum(min(int(node.get(name, 0) / amount) for name, amount in needed.items() if amount) for node in nodes)


def in_words(used: Resources) -> str:
    """Return resources in words."""
    parts = [f"{used.cores} core(s)", f"{used.gpus:g} GPU(s)" if used.gpus else ""]
    return ", ".join(filter(None, [*parts, f"{used.memory_gb:g} GB of memory" if used.memory_gb else ""]))
