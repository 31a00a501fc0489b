from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from pydantic import BaseModel

from satsynth.pipelines.parameter_docs import entries, parameters_page
from satsynth.pipelines.parameters import MODELS
from satsynth.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def configured() -> dict[str, Any]:
    return OmegaConfigLoader(str(ROOT / "conf"), env="base", runtime_params={}, **CONFIG_LOADER_ARGS)["parameters"]


def paths(value: Any, prefix: str = "") -> set[str]:
    """Return the dotted names of all leaves of a model's values."""
    if isinstance(value, BaseModel):
        found: set[str] = set()
        for name in type(value).model_fields:
            found |= paths(getattr(value, name), f"{prefix}.{name}" if prefix else name)
        return found
    return {prefix}


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("description", "workspace", "segmentation")])
def test_every_parameter_in_use_is_in_the_reference(name: str, configured: dict[str, Any]) -> None:
    known = {entry.path for entry in entries(name)}
    missing = paths(MODELS[name].model_validate(configured.get(name) or {})) - known
    assert not missing


@pytest.mark.parametrize("name", list(MODELS))
def test_every_parameter_is_explained(name: str) -> None:
    assert [entry.path for entry in entries(name) if not entry.text and not entry.path.endswith("kind")] == []


def test_what_an_entry_says() -> None:
    found = {entry.path: entry for entry in entries("segmentation")}
    assert found["networks.<name>.encoder"].kind == "text"
    assert found["training.batch_size"].bounds == "≥ 2, ≤ 4096"
    assert found["training.batch_size"].default == "16"
    assert found["networks.<name>.encoder"].default == ""
    assert found["networks.<name>.architecture"].kind.startswith("`fpn`, `pspnet`, ")
    assert found["seeds"].kind == "list of whole number"
    layout = {entry.path: entry for entry in entries("description")}
    assert layout["layout (blocks).block"].kind == "whole number"
    assert layout["masks.encoding"].kind == "`index`, `color`, `attribute`"


def test_the_page_shows_what_is_configured(configured: dict[str, Any]) -> None:
    page = parameters_page(configured)
    line = next(line for line in page.splitlines() if line.startswith("| `drawing.sigma_max`"))
    assert f"`{configured['diffusion']['drawing']['sigma_max']}`" in line and "Largest noise level" in line
    assert all(line.count(" | ") == 4 for line in page.splitlines() if line.startswith("| `"))
