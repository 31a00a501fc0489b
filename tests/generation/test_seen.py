"""Which scenes a generator to start from has seen: by name, and by the content of their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from made_data import MadeData, make_data, paint, save
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.seen import Seen, require_held_out
from satsynth.pairs.settings import KeepSettings, TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import cut_scenes
from satsynth.scenes.image_parts import ImagePart
from satsynth.work.errors import AncestryError
from satsynth.work.folder import Step, work_folder

TILING = TilingSettings(tile_size=32, stride=32, keep=KeepSettings(max_ignore=1))


def cut(root: Path, made: MadeData) -> PairStore:
    with work_folder(root / "work", Step("tiling", 1, {}, {})) as folder:
        return cut_scenes(folder, made.scenes(), made.reader(), TILING, 1)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    root = tmp_path_factory.mktemp("here")
    return cut(root, make_data(root / "raw"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    """The same images with other names, masks and splits."""
    root = tmp_path_factory.mktemp("elsewhere")
    made = make_data(root / "raw", splits={"val": ["new north"], "test": ["new south"]})
    for group in list(made.raw.iterdir()):
        group.rename(made.raw / f"new {group.name}")
    for name, mask in made.masks.items():
        group, _, scene = name.partition("/")
        save(made.raw / f"new {group}" / "masks" / f"{scene}.png", paint(mask[::-1]))
    return cut(root, made)


def test_all_scenes_have_a_part(here: PairStore) -> None:
    parts = here.image_parts
    assert {part.scene_id for part in parts} == {
        name for split in ("train", "val", "test") for name in here.scenes(split)
    }
    assert len({part.sha256 for part in parts}) == len(parts) and parts[0].window[:2] == (0, 0)


def test_the_same_images_under_other_names_are_refused(here: PairStore, elsewhere: PairStore) -> None:
    there = Seen.of(elsewhere, "train")
    assert there.names == {"new east/a", "new west/a"}
    with pytest.raises(AncestryError, match=r"2 scene\(s\) that are val or test here") as refused:
        require_held_out(there, here)
    assert "west/a, whose image it saw as new west/a" in str(refused.value)
    # An earlier version knew names only.
    require_held_out(replace(there, parts=frozenset()), here)
    with pytest.raises(AncestryError, match=r"- east/a\n"):
        require_held_out(Seen(frozenset({"east/a", "west/a"})), here)


def test_what_trains_here_too_may_be_seen(here: PairStore) -> None:
    require_held_out(Seen.of(here, "train"), here)
    require_held_out(Seen(), here)


def test_scenes_of_one_name_are_all_remembered(here: PairStore, elsewhere: PairStore, tmp_path: Path) -> None:
    """Another data set may have an image of another content with the same name."""
    renamed = frozenset(replace(part, scene_id="north/a") for part in elsewhere.image_parts[:1])
    both = Seen.of(here, "train") | Seen(frozenset({"north/a"}), renamed)
    with work_folder(tmp_path, Step("diffusion", 1, {}, {})) as folder:
        folder.finish({"kind": "generator", "held_out_images": ["z"], **both.entries})
    again = Seen.by(SavedGenerator(folder.result))
    assert again == both | Seen(frozenset({"z"}))
    assert sum(part.scene_id == "north/a" for part in again.parts) == 2


def test_another_part_of_a_held_out_image_is_no_scene_of_it(here: PairStore) -> None:
    held_out = next(part for part in here.image_parts if part.scene_id == "east/a")
    beside = ImagePart("x", held_out.sha256, (held_out.window[2], 0, 10, 10))
    require_held_out(Seen(frozenset({"x"}), frozenset({beside})), here)
