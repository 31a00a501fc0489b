"""The pipeline `labelling`."""

from satsynth.pipelines.labelling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
