"""Images without masks: found, kept apart from what is held out, and checked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from made_data import MadeData, describe, make_data, picture, save
from satsynth.datasets.description import DatasetDescription
from satsynth.scenes.checking import unusable_files
from satsynth.scenes.finding import check_splits, find_scenes, require_unchanged, search_scenes
from satsynth.scenes.problems import BadFile, BadFilesError
from satsynth.scenes.scene import COLUMNS, Scene, SceneReader, scenes_from_frame, scenes_to_frame
from satsynth.scenes.splits import UNLABELLED, labelled
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest
from satsynth.work.ignore import IGNORE_INDEX


@pytest.fixture
def more(tmp_path: Path) -> MadeData:
    """A data set with two images without masks, in a folder below the raw one that its pattern matches too."""
    made = make_data(tmp_path / "raw", images={"unlabelled": ["more"]})
    for seed, name in enumerate(("images/x", "y")):
        save(made.raw / "more" / f"{name}.png", picture(np.random.default_rng(50 + seed), 40, 50))
    return made


def named(made: MadeData, *folders: str, **changes: Any) -> DatasetDescription:
    return describe(images={"unlabelled": folders}, **changes)


def search(made: MadeData, description: DatasetDescription, use: bool = False) -> tuple[list[Scene], list[BadFile]]:
    scenes, bad = search_scenes(description, made.raw, file_digest, use)
    return [scene for scene in scenes if scene.split == UNLABELLED], bad


def test_images_without_masks_become_scenes_of_their_own_split(more: MadeData) -> None:
    scenes = more.scenes()
    found = [scene for scene in scenes if scene.split == UNLABELLED]
    assert [(scene.scene_id, scene.image, scene.mask) for scene in found] == [
        ("unlabelled/1/images/x", "more/images/x.png", ""),
        ("unlabelled/1/y", "more/y.png", ""),
    ]
    assert all((scene.height, scene.width) == (40, 50) for scene in found)
    # The labelled scenes are those of a description that names no such folder.
    assert labelled(scenes) == make_data(more.raw.parent / "plain").scenes()


def test_the_table_of_scenes_has_its_columns_with_and_without_them(more: MadeData) -> None:
    frame = scenes_to_frame(more.scenes())
    assert list(frame.columns) == COLUMNS
    assert sorted(scenes_from_frame(frame), key=lambda s: s.scene_id) == sorted(more.scenes(), key=lambda s: s.scene_id)


def test_folders_may_be_absolute_and_lie_in_one_another(more: MadeData, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "z.png", picture(np.random.default_rng(60), 30, 30))
    hidden = tmp_path / "elsewhere" / ".ipynb_checkpoints" / "z.png"
    save(hidden, picture(np.random.default_rng(61), 30, 30))
    found, bad = search(more, named(more, "more", "more/images", str(tmp_path / "elsewhere"), "../elsewhere"))
    assert [scene.scene_id for scene in found] == ["unlabelled/1/images/x", "unlabelled/1/y", "unlabelled/3/z"]
    assert found[-1].image == str(tmp_path / "elsewhere" / "z.png") and not bad


def test_a_folder_may_hold_images_with_and_without_masks(made: MadeData) -> None:
    """What has a mask stays a labelled scene, of whatever split, and is no unlabelled image."""
    (made.raw / "north" / "masks" / "b.png").unlink()
    found, bad = search(made, named(made, "north/images", "east/images/../../south/images/.."))
    assert [scene.image for scene in found] == ["north/images/b.png"] and not bad
    with pytest.raises(BadFilesError, match="has no mask"):
        find_scenes(describe(), made.raw, file_digest)


def copy_of_test(made: MadeData) -> str:
    shutil.copy(made.raw / "west" / "images" / "a.png", made.raw / "more" / "other name.png")
    return "is a copy of west/images/a.png, which is in test"


def name_of_val(made: MadeData) -> str:
    # Only val has an image of this name.
    for kind in ("images", "masks"):
        (made.raw / "east" / kind / "a.png").rename(made.raw / "east" / kind / "only.png")
    save(made.raw / "more" / "below" / "only.png", picture(np.random.default_rng(70), 40, 40))
    return "has the name of east/images/only.png, which is in val"


def group_of_test(made: MadeData) -> str:
    save(made.raw / "west" / "images" / "new.png", picture(np.random.default_rng(71), 40, 40))
    return "is that of the scene 'west/new' of the group 'west', which is in test"


@pytest.mark.parametrize("leak", [copy_of_test, name_of_val, group_of_test])
def test_images_that_show_what_is_held_out_are_refused_or_used_and_noted(more: MadeData, leak: Any) -> None:
    problem = leak(more)
    description = named(more, "more", "west/images") if leak is group_of_test else more.description
    before = {"unlabelled/1/images/x", "unlabelled/1/y"}
    found, (bad,) = search(more, description)
    assert {scene.scene_id for scene in found} == before
    assert bad.problem == f"is an unlabelled image and {problem}" and "held_out_images: use" in bad.remedy
    assert bad.scene not in before
    with pytest.raises(BadFilesError, match="unlabelled image"):
        find_scenes(description, more.raw, file_digest)
    used, bad_files = search(more, description, use=True)
    shown = {scene.scene_id: scene.shows for scene in used if scene.shows}
    assert not bad_files and before < {scene.scene_id for scene in used} and not before & set(shown)
    assert shown[bad.scene].split("/")[0] == ("east" if leak is name_of_val else "west")
    frame = scenes_to_frame(search_scenes(description, more.raw, file_digest, True)[0])
    assert list(frame.columns) == [*COLUMNS, "shows"]
    assert {scene.scene_id: scene.shows for scene in scenes_from_frame(frame) if scene.shows} == shown


def test_held_out_scenes_themselves_are_unlabelled_images_only_if_allowed(made: MadeData) -> None:
    with_test = named(made, "north/images", "west/images")
    (made.raw / "north" / "masks" / "b.png").unlink()
    assert [scene.image for scene in search(made, with_test)[0]] == ["north/images/b.png"]
    scenes, _ = search_scenes(with_test, made.raw, file_digest, True)
    assert {scene.shows for scene in scenes if scene.split == UNLABELLED} == {None, "west/a", "west/b"}
    # The splits of labelled scenes remain apart.
    check_splits(scenes, with_test)


def test_a_name_that_several_labelled_images_have_says_nothing(more: MadeData) -> None:
    save(more.raw / "more" / "a.png", picture(np.random.default_rng(72), 40, 40))
    found, bad = search(more, more.description)
    assert "unlabelled/1/a" in {scene.scene_id for scene in found} and not bad


@pytest.mark.parametrize(("east", "shown"), [(0, "train"), (1005, "val"), (2000, "nothing")])
def test_images_on_the_ground_of_held_out_scenes_are_refused(tmp_path: Path, east: int, shown: str) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.tif"}
    made = make_data(tmp_path / "raw", layout=layout)
    for name, image in made.images.items():
        group, file = name.split("/")
        place = {"north/a": 0, "east/a": 1000}.get(name, 5000 + 200 * len(name) + 300 * ord(file[0]) + ord(group[0]))
        place_image(made.raw / group / "images" / f"{file}.tif", image, place)
    place_image(made.raw / "more" / "city.tif", picture(np.random.default_rng(5), 60, 60), east)
    found, bad = search(made, named(made, "more", layout=layout))
    if shown == "val":
        assert [file.problem for file in bad] == [
            "is an unlabelled image and shows the ground of the scene 'east/a', which is in val"
        ]
    else:
        assert [scene.scene_id for scene in found] == ["unlabelled/1/city"] and not bad


def place_image(path: Path, image: np.ndarray, east: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = np.moveaxis(image, -1, 0)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", crs="EPSG:32640", transform=Affine(1, 0, east, 0, -1, 900), **profile) as file:
        file.write(bands)


def test_images_that_cannot_be_read_are_bad_files(more: MadeData) -> None:
    (more.raw / "more" / "broken.png").write_bytes(b"no picture")
    _, (bad,) = search(more, more.description)
    assert bad.file == "more/broken.png" and bad.scene == "unlabelled/1/broken"
    (more.raw / "more" / "broken.png").unlink()
    whole = (more.raw / "more" / "y.png").read_bytes()
    (more.raw / "more" / "y.png").write_bytes(whole[:-60])
    (bad,) = unusable_files(more.scenes(), more.reader(), 1)
    assert bad.file == "more/y.png"


@pytest.mark.parametrize("folder", ["absent", "empty", "north/masks"])
def test_a_folder_without_images_is_refused(made: MadeData, folder: str) -> None:
    (made.raw / "empty").mkdir()
    if folder == "north/masks":
        # Masks of scenes are no images, so nothing is left of their folder.
        assert search(made, named(made, folder)) == ([], [])
        return
    with pytest.raises(DataError, match=f"{folder}, which `images.unlabelled` of the data set 'made' names, holds no"):
        search(made, named(made, folder))


def test_patterns_of_splits_are_not_matched_by_unlabelled_images(more: MadeData) -> None:
    description = named(more, "more", splits={"val": ["east"], "test": ["west", "unlabelled/*"]})
    scenes, _ = search_scenes(description, more.raw, file_digest)
    with pytest.raises(DataError, match=r"names \['unlabelled/\*'\], which no group matches"):
        check_splits(scenes, description)


def test_their_pixels_are_read_and_all_ignored(more: MadeData) -> None:
    scene = next(scene for scene in more.scenes() if scene.scene_id == "unlabelled/1/y")
    image, mask = SceneReader(more.description, more.raw).read(scene, 3, 4, 20, 30)
    whole = picture(np.random.default_rng(51), 40, 50)
    assert np.array_equal(image, whole[3:23, 4:34]) and (mask == IGNORE_INDEX).all()


def test_an_unlabelled_image_that_has_changed_is_named(more: MadeData) -> None:
    scenes = more.scenes()
    require_unchanged(scenes, more.raw, file_digest)
    save(more.raw / "more" / "y.png", picture(np.random.default_rng(80), 40, 50))
    with pytest.raises(DataError, match=r"1 scene\(s\) .*\n  - more/y\.png\n"):
        require_unchanged(scenes, more.raw, file_digest)
