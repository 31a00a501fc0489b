"""The pipeline `diffusion`."""

from satsynth.pipelines.diffusion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
