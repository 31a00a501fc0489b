from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from made_data import settings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.labelling import labelling_step
from satsynth.generation.settings import LabellingSettings


def test_labels_are_drawn_anew_by_another_generator_whatever_images_are_called(tmp_path: Path) -> None:
    (tmp_path / "generator.png").write_bytes(b"made")
    described = DatasetDescription.model_validate(settings())

    def step(digest: str) -> Any:
        artist: Any = SimpleNamespace(identity=lambda: ({"generator": digest}, {}))
        images = {"generator": tmp_path / "generator.png"}
        return labelling_step(artist, images, described, LabellingSettings(images="x"))

    assert step("one") == step("one") and step("one") != step("another")
    assert step("one").parents["generator"] == "one" and len(step("one").parents) == 2
