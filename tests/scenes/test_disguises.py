"""No pixel, line or label from outside the raw folder gets into the scenes of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from made_data import MadeData, describe, make_data
from satsynth.scenes.finding import search_scenes
from satsynth.work.files import file_digest

LAYOUT = {
    **describe().layout.model_dump(),
    "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.tif",
    "mask": "{group}/masks/{name}.tif",
}


@pytest.fixture
def made(tmp_path: Path) -> MadeData:
    """Made data as TIFF."""
    made = make_data(tmp_path / "raw")
    for path in sorted(made.raw.rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(".tif"))
        path.unlink()
    return MadeData(**{**vars(made), "description": describe(layout=LAYOUT)})


def virtual(path: Path, outside: Path) -> None:
    with rasterio.open(outside) as source:
        height, width = source.shape
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename>{outside}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{bands}</VRTDataset>')


def link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def masked_from_elsewhere(path: Path, outside: Path) -> None:
    path.write_bytes(outside.read_bytes())
    path.with_name(f"{path.name}.msk").symlink_to(outside)


@pytest.mark.parametrize("spoil", [virtual, link, masked_from_elsewhere])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_disguised_file_costs_its_own_scene_and_shows_nothing(
    made: MadeData, tmp_path: Path, spoil: Callable[[Path, Path], None], kind: str
) -> None:
    path, outside = made.raw / "north" / kind / "a.tif", tmp_path / "outside.tif"
    path.rename(outside)
    spoil(path, outside)
    scenes, bad = search_scenes(made.description, made.raw, file_digest)
    assert [(file.file, file.scene) for file in bad] == [(f"north/{kind}/a.tif", "north/a")]
    assert {scene.scene_id for scene in scenes} == set(made.masks) - {"north/a"}


def test_tiff_is_read_where_nothing_is_disguised(made: MadeData) -> None:
    scene = next(scene for scene in made.scenes() if scene.scene_id == "north/a")
    image, _ = made.reader().read(scene, 0, 0, scene.height, scene.width)
    assert np.array_equal(image, made.images["north/a"])
