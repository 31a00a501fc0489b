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
