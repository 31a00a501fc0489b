"""All architectures by name. Another one is a file beside this one and a line here."""

from __future__ import annotations

import difflib

from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.segmentation.architectures.farseg import FarSeg
from satsynth.segmentation.architectures.pfsegnet import PFSegNet
from satsynth.segmentation.architectures.segdiff import SegDiff
from satsynth.segmentation.architectures.smp import SmpArchitecture

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        SmpArchitecture("fpn"),
        SmpArchitecture("pspnet", depth=3),
        SmpArchitecture("segformer"),
        SmpArchitecture("upernet"),
        SmpArchitecture("deeplabv3plus", stride=16),
        SmpArchitecture("unet", any_side=True),
        FarSeg("farseg"),
        PFSegNet("pfsegnet"),
        SegDiff("segdiff"),
    )
}


def known_architecture(name: str) -> str:
    """Return the name of an architecture as it is.

    Raises:
        ValueError: There is no such architecture.
    """
    if name not in ARCHITECTURES:
        close = difflib.get_close_matches(name, ARCHITECTURES, 1)
        meant = f" (did you mean '{close[0]}'?)" if close else ""
        raise ValueError(f"must be one of {', '.join(ARCHITECTURES)}{meant}")
    return name
