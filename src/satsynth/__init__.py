"""Synthetic labelled aerial imagery by joint image-mask diffusion, and a measure of what it is worth."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from satsynth.analysis.report.gallery import contact_sheet
    from satsynth.results import Results, open_generator, open_pairs, open_results
    from satsynth.scripting import (
        draw,
        evaluate,
        measure,
        paint,
        sample,
        train,
        train_judge,
    )
    from satsynth.work.errors import SatSynthError

__version__ = "0.1.0"

# satsynth sends no telemetry; a user's own setting wins. The libraries read these variables while they are imported.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
}.items():
    os.environ.setdefault(_name, _value)

# The threads of OpenMP spin at each of the many barriers of a step, by default for milliseconds: beside another program
# a spinning thread uses up the share of a core that the awaited thread needs. GNU's OpenMP counts spins (6000 took 0.15
# ms on an AMD EPYC), Intel's and LLVM's count milliseconds. Both read this once, while PyTorch is imported.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}:
    os.environ.update(GOMP_SPINCOUNT="6000", KMP_BLOCKTIME="1")

# The public interface. Each name is imported when it is first used, since some of them bring PyTorch.
_PLACES = {
    "Results": "results",
    "SatSynthError": "work.errors",
    "contact_sheet": "analysis.report.gallery",
    "draw": "scripting",
    "evaluate": "scripting",
    "measure": "scripting",
    "open_generator": "results",
    "open_pairs": "results",
    "open_results": "results",
    "paint": "scripting",
    "sample": "scripting",
    "train": "scripting",
    "train_judge": "scripting",
}
__all__ = [
    "Results",
    "SatSynthError",
    "contact_sheet",
    "draw",
    "evaluate",
    "measure",
    "open_generator",
    "open_pairs",
    "open_results",
    "paint",
    "sample",
    "train",
    "train_judge",
]


def __getattr__(name: str) -> Any:
    """Import a name of the public interface."""
    if name not in _PLACES:
        raise AttributeError(f"module 'satsynth' has no attribute {name!r}")
    return getattr(import_module(f"satsynth.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
