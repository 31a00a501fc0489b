"""Synthetic labelled aerial imagery by joint image-mask diffusion, and a measure of what it is worth."""

import os

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

# The threads of OpenMP spin at each of the many barriers of a step, by default for milliseconds. Beside another program
# the thread that they wait for may have no core, and spinning keeps it from one. GNU's OpenMP counts spins (1000 take
# 25 to 50 microseconds), Intel's and LLVM's count milliseconds. Read when PyTorch is imported.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}:
    os.environ.update(GOMP_SPINCOUNT="10000", KMP_BLOCKTIME="1")
