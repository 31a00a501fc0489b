"""Writes the page of parameters from their models when the documentation is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from mkdocs.structure.files import File, Files

from satsynth.pipelines.parameter_docs import parameters_page
from satsynth.settings import CONFIG_LOADER_ARGS


def on_files(files: Files, config: Any) -> Files:
    """Add the page."""
    loader = OmegaConfigLoader(
        str(Path(config.config_file_path).parent / "conf"), env="base", runtime_params={}, **CONFIG_LOADER_ARGS
    )
    files.append(File.generated(config, "parameters.md", content=parameters_page(loader["parameters"])))
    return files
