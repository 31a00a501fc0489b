from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_data import settings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.labelling import find_images, labelling_step
from satsynth.generation.settings import LabellingSettings
from satsynth.work.errors import DataError


def test_labels_are_drawn_anew_by_another_generator_whatever_images_are_called(tmp_path: Path) -> None:
    (tmp_path / "generator.png").write_bytes(b"made")
    described = DatasetDescription.model_validate(settings())

    def step(digest: str) -> Any:
        artist: Any = SimpleNamespace(identity=lambda: ({"generator": digest}, {}))
        images = {"generator": tmp_path / "generator.png"}
        return labelling_step(artist, images, described, LabellingSettings(images="x"))

    assert step("one") == step("one") and step("one") != step("another")
    assert step("one").parents["generator"] == "one" and len(step("one").parents) == 2


def test_images_of_all_kinds_are_found_and_arrays_where_there_are_no_pictures(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jp2")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    np.save(tmp_path / "c.npy", np.zeros((8, 8, 3), np.uint8))
    assert list(find_images(str(tmp_path), tmp_path)) == ["a", "b"]
    for name in ("a.jp2", "b.png"):
        (tmp_path / name).unlink()
    assert list(find_images(str(tmp_path), tmp_path)) == ["c"]


def test_all_images_that_cannot_be_opened_are_named_at_once(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    for name in ("nothing.png", "empty.tif"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 3 image\(s\) of `labelling.images`") as caught:
        find_images(str(tmp_path), tmp_path)
    assert all(name in caught.value.problem for name in ("nothing.png", "empty.tif"))
    assert "good.png" not in caught.value.problem
