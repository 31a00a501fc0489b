from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from made_data import MadeData, describe, save
from satsynth.generation.layouts import layouts_of
from satsynth.generation.seen import Seen, require_held_out
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.cache import decoded
from satsynth.pairs.labels import LABELS, alike_shares, chosen_labels, require_no_names
from satsynth.pairs.mosaics import MosaicWindows
from satsynth.pairs.settings import LabelsSettings, TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import cut_scenes
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.scene import Scene, scenes_to_frame
from satsynth.scenes.splits import UNLABELLED
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import AncestryError, DataError, SatSynthError
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.workspace import Workspace

SIDE = 16
TRAIN = 8
# Scenes and classes by their number; the image of a scene has one grey level, its mask one class.
NAMES = [f"train/{number}" for number in range(TRAIN)] + ["east/8", "west/9"]
COMPUTE = ComputeSettings(device="cpu", workers=1)
TILES = TilingSettings(tile_size=SIDE, stride=SIDE)


def grey(number: int) -> int:
    return 20 * number + 10


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeData:
    """Scenes of one colour each, so that a pixel tells from which scene it comes."""
    raw = tmp_path_factory.mktemp("colors") / "raw"
    images, masks = {}, {}
    for number, name in enumerate(NAMES):
        group, stem = name.split("/")
        images[name] = np.full((48, 48, 3), grey(number), np.uint8)
        masks[name] = np.full((48, 48), number, np.uint8)
        save(raw / group / "images" / f"{stem}.png", images[name])
        save(raw / group / "masks" / f"{stem}.png", masks[name])
    classes = [{"name": f"c{number}", "raw": number, "color": f"#0000{number:02d}"} for number in range(len(NAMES))]
    description = describe(masks={"encoding": "index"}, classes=classes, ignore=[])
    return MadeData(raw, description, images, masks)


@pytest.fixture(scope="module")
def workspace(made: MadeData) -> Workspace:
    return Workspace(project=str(made.raw.parent), raw="raw")


def tiling(**labels: Any) -> TilingSettings:
    return TILES.model_copy(update=TilingSettings(**labels).model_dump(include=set(labels)))


def tiles_of(made: MadeData, workspace: Workspace, **labels: Any) -> PairStore:
    return cut_tiles(scenes_to_frame(made.scenes()), made.description, tiling(**labels), COMPUTE, workspace)


def numbers(used: tuple[str, ...] | list[str]) -> set[int]:
    return {NAMES.index(name) for name in used}


def scenes(train: int, val: int = 2) -> list[Scene]:
    return [
        Scene(f"{split}{i}", "", "i.png", "m.png", split, (0, 0, 9, 9), 9, 9, None, None, "")
        for split, count in (("train", train), ("val", val), ("test", 2), (UNLABELLED, 3))
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("train", [1, 2, 7, 40])
def test_shares_are_nested_and_by_number_of_scenes(train: int, seed: int) -> None:
    before: set[str] = set()
    for share in (0.01, 0.1, 0.25, 0.5, 0.99):
        labels = chosen_labels(scenes(train), TilingSettings(label_share=share, label_seed=seed))
        assert labels is not None and len(labels.used) == max(1, round(share * train))
        assert before <= set(labels.used)
        assert sorted([*labels.used, *labels.unused]) == sorted(f"train{i}" for i in range(train))
        before = set(labels.used)
    # Scenes of other splits decide nothing.
    assert chosen_labels(scenes(train, val=9), TilingSettings(label_share=0.99, label_seed=seed)) == labels


@pytest.mark.parametrize(
    ("train", "alike"),
    [(5, [[0.1, 0.12], [0.5], [0.99, 1.0]]), (2, [[0.1, 0.12, 0.5], [0.99, 1.0]]), (100, None)],
)
def test_shares_that_choose_the_same_scenes_are_found(train: int, alike: list[list[float]] | None) -> None:
    shares = (0.1, 0.12, 0.5, 0.99, 1.0)
    found = alike_shares(scenes(train), shares, TilingSettings(label_seed=2))
    assert found == (alike or [[share] for share in shares])


def test_shares_are_distinct_and_in_order() -> None:
    assert LabelsSettings(shares=[1, 0.25, 0.5]).shares == (0.25, 0.5, 1.0)
    for shares in ([], [0.5, 0.5], [0.0, 1], [0.5, 1.5]):
        with pytest.raises(ValidationError, match="shares"):
            LabelsSettings(shares=shares)
    with pytest.raises(SatSynthError, match=r"names labelled scenes \(a\), but `labels.shares`"):
        require_no_names(TilingSettings(label_scenes=["a"]))


def test_seeds_choose_other_scenes() -> None:
    chosen = {chosen_labels(scenes(20), TilingSettings(label_share=0.2, label_seed=seed)) for seed in range(5)}
    assert len(chosen) == 5


def test_parameters_of_labels_count_only_where_they_leave_something_out() -> None:
    plain = {"tile_size", "stride", "keep", "shard_tiles"}
    assert (
        set(TilingSettings().identity()) == set(TilingSettings(label_seed=3, label_rest=UNLABELLED).identity()) == plain
    )
    assert set(TilingSettings(label_share=0.5).identity()) == plain | {"label_share", "label_seed", "label_rest"}
    assert set(TilingSettings(label_scenes=["a"]).identity()) == plain | {"label_scenes", "label_rest"}
    assert chosen_labels(scenes(3), TilingSettings()) is None


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_lies_in_0_to_1(share: float) -> None:
    with pytest.raises(ValidationError, match="label_share"):
        TilingSettings(label_share=share)


def test_labelled_scenes_are_chosen_by_one_of_two_parameters() -> None:
    with pytest.raises(ValidationError, match="set only one of them"):
        TilingSettings(label_share=0.5, label_scenes=["a"])


@pytest.mark.parametrize(
    ("name", "why"),
    [("train9", "no scene matches"), ("val0", "is in val"), ("test*", "is in test"), ("unl*", "is in unl")],
)
def test_a_name_that_is_no_training_scene_is_refused(name: str, why: str) -> None:
    with pytest.raises(DataError, match=f"names '{name.replace('*', r'[*]')}', which {why}") as error:
        chosen_labels(scenes(3), TilingSettings(label_scenes=["train1", name]))
    assert "They are: train0, train1, train2." in str(error.value)


def test_patterns_name_training_scenes_only() -> None:
    labels = chosen_labels(scenes(12), TilingSettings(label_scenes=["*1", "train0"]))
    assert labels is not None and labels.used == ("train0", "train1", "train11")


@pytest.mark.parametrize(
    ("labels", "rest"),
    [({"label_share": 0.25}, "drop"), ({"label_share": 0.5}, UNLABELLED), ({"label_scenes": ["train/[27]"]}, "drop")],
)
def test_no_mask_beyond_the_labelled_scenes_is_used_anywhere(
    made: MadeData, workspace: Workspace, labels: dict[str, Any], rest: str
) -> None:
    tiles = tiles_of(made, workspace, **labels, label_rest=rest)
    used = numbers(tiles.manifest[LABELS]["used"])
    assert len(used) == (4 if labels.get("label_share") == 0.5 else 2)
    assert used | numbers(tiles.unused_labels) == set(range(TRAIN)) and not used & numbers(tiles.unused_labels)
    # Tiles, and windows cut anew from them.
    assert {tuple(np.unique(mask)) for _, mask in tiles.arrays("train")} == {(number,) for number in used}
    pairs, index = decoded(tiles, "train", workspace.work), tiles.index()
    windows, random = MosaicWindows(index[index["split"] == "train"], pairs), np.random.default_rng(0)
    for _ in range(30):
        image, mask = windows.cut(random)
        assert set(np.unique(mask)) <= used and set(np.unique(image)) <= {grey(number) for number in used}
    # Layouts, with regions of other scenes pasted into them.
    sampling = SamplingSettings(layouts="real", windows={"zoom": (0.8, 1.25), "pasted": {"share": 0.5}})
    frame = scenes_to_frame(made.scenes())
    given = layouts_of(sampling, tiles, frame, made.description, workspace)
    assert given is not None
    masks = given.layouts.masks(range(60), 0)
    assert set(np.unique(masks)) == used
    # What is held out is as it was.
    everything = tiles_of(made, workspace)
    assert all(tiles.pixel_digests(split) == everything.pixel_digests(split) for split in ("val", "test"))
    # The other scenes give their images, or nothing.
    shown = [(set(np.unique(image)), set(np.unique(mask))) for image, mask in tiles.arrays(UNLABELLED)]
    greys = {grey(number) for number in range(TRAIN)} - {grey(number) for number in used}
    assert set().union(*(image for image, _ in shown)) == (greys if rest == UNLABELLED else set())
    assert all(mask == {IGNORE_INDEX} for _, mask in shown)


@pytest.mark.parametrize("rest", ["drop", UNLABELLED])
def test_masks_that_are_not_used_need_not_be_there(made: MadeData, tmp_path: Path, rest: str) -> None:
    found, settings = made.scenes(), tiling(label_scenes=["train/3"], label_rest=rest)
    gone = [made.raw / scene.mask for scene in found if scene.split == "train" and scene.scene_id != "train/3"]
    kept = {path: path.read_bytes() for path in gone}
    for path in gone:
        path.unlink()
    try:
        with work_folder(tmp_path, Step("tiling", 1, {}, {})) as folder:
            tiles = cut_scenes(folder, found, made.reader(), settings, 1)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert set(tiles.scenes("train")) == {"train/3"}


def test_tiles_say_what_is_labelled_only_where_not_all_is(made: MadeData, workspace: Workspace) -> None:
    everything = tiles_of(made, workspace)
    assert LABELS not in everything.manifest and everything.unused_labels == []
    # Seed and rest mean nothing where all masks are used: the same tiles.
    assert tiles_of(made, workspace, label_seed=4, label_rest=UNLABELLED).digest == everything.digest
    assert tiles_of(made, workspace, label_share=0.25).digest != everything.digest


def test_classes_that_no_labelled_scene_has_are_named(
    made: MadeData, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        tiles_of(made, workspace, label_scenes=["train/5", "train/6"])
    assert "the masks of 2 of 8 training scenes are used (train/5, train/6); the others are left out" in caplog.text
    assert "no pixels of c0, c1, c2, c3, c4, c7, c8, c9 in train" in caplog.text
    assert "which scenes are labelled" in caplog.text


def test_a_generator_that_saw_other_masks_is_no_start(made: MadeData, workspace: Workspace) -> None:
    tiles = tiles_of(made, workspace, label_scenes=["train/5"])
    require_held_out(Seen(frozenset({"train/5", "elsewhere"})), tiles)
    with pytest.raises(AncestryError, match=r"1 scene\(s\) whose masks are not to be used"):
        require_held_out(Seen(frozenset({"train/4", "train/5"})), tiles)
    other = replace(next(part for part in tiles.image_parts if part.scene_id == "train/4"), scene_id="elsewhere")
    with pytest.raises(AncestryError, match=r"not to be used.*\n.*train/4, whose image it saw as elsewhere"):
        require_held_out(Seen(frozenset({"elsewhere"}), frozenset({other})), tiles)


def test_frames_of_scenes_keep_their_masks(made: MadeData, workspace: Workspace) -> None:
    frame = scenes_to_frame(made.scenes())
    before = frame.copy()
    cut_tiles(frame, made.description, tiling(label_share=0.5, label_rest=UNLABELLED), COMPUTE, workspace)
    pd.testing.assert_frame_equal(frame, before)


def test_scenes_smaller_than_a_tile_are_said_to_be_the_labelled_ones_or_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One training scene is too small: as the only labelled one it is refused, as the rest it is left out."""
    images, masks = {}, {}
    for number, name in enumerate(["train/0", "train/1", *NAMES[TRAIN:]]):
        group, stem = name.split("/")
        side = 12 if number == 0 else 48
        images[name], masks[name] = (
            np.full((side, side, 3), grey(number), np.uint8),
            np.full((side, side), number % 2, np.uint8),
        )
        save(tmp_path / "raw" / group / "images" / f"{stem}.png", images[name])
        save(tmp_path / "raw" / group / "masks" / f"{stem}.png", masks[name])
    classes = [{"name": f"c{number}", "raw": number, "color": f"#0000{number:02d}"} for number in range(2)]
    description = describe(masks={"encoding": "index"}, classes=classes, ignore=[])
    small = MadeData(tmp_path / "raw", description, images, masks)
    workspace = Workspace(project=str(tmp_path), raw="raw")
    with pytest.raises(
        DataError, match="no labelled training scene is that large: the largest, train/0, is 12"
    ) as found:
        tiles_of(small, workspace, label_scenes=("train/0",))
    assert "`tiling.label_share`, `label_seed`, `label_scenes`" in found.value.remedy
    caplog.set_level("INFO")
    tiles = tiles_of(small, workspace, label_scenes=("train/1",), label_rest=UNLABELLED)
    assert tiles.count("train") == 9 and tiles.count(UNLABELLED) == 0
    assert "the others are images without masks, 0 tiles" in caplog.text
