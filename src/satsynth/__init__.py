"""Synthetic labelled aerial imagery by joint image-mask diffusion, and a measure of what it is worth."""

import os

__version__ = "0.1.0"

# Nothing of ours reports home; a user's own setting wins. The libraries read these while they are imported.
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
