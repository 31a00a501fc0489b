"""Diffusion of images alone as a family of generators; imported without PyTorch."""

from __future__ import annotations

from typing import ClassVar

from satsynth.diffusion.family import JointDiffusion
from satsynth.diffusion.settings import DenoiserSettings, ImageDiffusionSettings


class ImageDiffusion(JointDiffusion):
    """The joint model without label channels, which draws images without masks: each pixel of a mask is ignored.

    The paper compares its images with those of joint diffusion (Table 1a). Pairs get their masks from the judge; see
    `satsynth.judging`.
    """

    name: ClassVar[str] = "image_ddpm"
    settings: type[DenoiserSettings] = ImageDiffusionSettings


FAMILY = ImageDiffusion()
