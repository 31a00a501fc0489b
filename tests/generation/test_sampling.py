from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import satsynth.generation.sampling as sampling
from satsynth.generation.drawers import Request
from satsynth.generation.families import FamilySettings, family_of
from satsynth.generation.sampling import NUMBER, draw_batch, sample_pairs, sampling_step
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.generation.training import training_step
from satsynth.pairs.store import PairStore
from satsynth.segmentation.cells import judge_cell
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.trainings import plan_trainings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError, SatSynthError
from satsynth.work.finished import TIMING
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.placement import PartDone, Share

COMPUTE = ComputeSettings(device="cpu")
SETTINGS = SamplingSettings(layouts="joint", batch_size=3, shard_pairs=4, seed=7)
SIDE, CLASSES, TOTAL = 16, 4, 10


class Counting:
    """A generator whose pairs are noise of their number and seed; it counts how often it is loaded."""

    name = "counting"
    drawing_version = 1
    loaded = 0
    distinct: int | None = None

    def load(self, saved: SavedGenerator, settings: FamilySettings, compute: ComputeSettings) -> Counting:
        self.loaded += 1
        return self

    def draw(self, numbers: Sequence[int], request: Request) -> tuple[np.ndarray, np.ndarray]:
        randoms = [np.random.default_rng([request.seed, number]) for number in numbers]
        images = np.stack([random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for random in randoms])
        return images, np.stack([random.integers(0, CLASSES, (SIDE, SIDE), np.uint8) for random in randoms])


class Painting(Counting):
    """A generator that also draws masks by themselves, and images that are functions of their masks."""

    def lay_out(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        return self.draw(numbers, Request(seed))[1]

    def paint(self, numbers: Sequence[int], masks: np.ndarray, seed: int) -> np.ndarray:
        return np.stack(
            [
                np.full((SIDE, SIDE, 3), number % 200, np.uint8) + mask[..., None]
                for number, mask in zip(numbers, masks, strict=True)
            ]
        )


class Striped:
    """Layouts that are all of one class, the number's."""

    def masks(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        return np.stack([np.full((SIDE, SIDE), number % CLASSES, np.uint8) for number in numbers])

    def __hash__(self) -> int:
        return 1


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(sampling, "family_of", {"counting": made}.__getitem__)
    return made


@pytest.fixture
def saved(tmp_path: Path) -> SavedGenerator:
    folder = WorkFolder(tmp_path / "generator", Step("counting", 1, {"tiles": "0"}, {}))
    folder.result.mkdir(parents=True)
    classes = [{"name": f"class {k}", "color": [k, 0, 0]} for k in range(CLASSES)]
    folder.finish({"family": "counting", "classes": classes, "tile_size": SIDE, "scenes": ["a"]})
    return SavedGenerator(folder.result)


def set_step(total: int = TOTAL) -> Step:
    return Step("sampling", 1, {"generator": "0"}, {**SETTINGS.identity(), NUMBER: total})


def folder_at(root: Path, total: int = TOTAL) -> WorkFolder:
    folder = WorkFolder(root, set_step(total))
    folder.result.mkdir(parents=True, exist_ok=True)
    return folder


def sampled(folder: WorkFolder, saved: SavedGenerator, family: Any, total: int = TOTAL, *earlier: Path) -> PairStore:
    return sample_pairs(folder, saved, FamilySettings(), SETTINGS, total, COMPUTE, earlier)


def contents(store: PairStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.path.iterdir()) if path.name != TIMING}


@pytest.fixture
def whole(saved: SavedGenerator, family: Counting, tmp_path: Path) -> PairStore:
    return sampled(folder_at(tmp_path / "whole"), saved, family)


def test_store_holds_the_pairs(whole: PairStore, family: Counting) -> None:
    assert whole.count("synthetic") == whole.count() == TOTAL
    assert [shard["rows"] for shard in whole.manifest["shards"]] == [4, 4, 2]
    index = whole.index()
    assert index["row"].tolist() == list(range(TOTAL))
    assert index["pair_id"].tolist() == [f"synthetic-{i:06d}" for i in range(TOTAL)]
    assert whole.class_names == [f"class {k}" for k in range(CLASSES)]
    assert whole.tile_size == SIDE
    drawn = family.draw(range(TOTAL), Request(7))
    for i, (image, mask) in enumerate(whole.arrays()):
        assert np.array_equal(image, drawn[0][i]) and np.array_equal(mask, drawn[1][i])


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_shard_is_drawn_again_alike(
    whole: PairStore, saved: SavedGenerator, family: Counting, lost: int
) -> None:
    before = contents(whole)
    (whole.path / f"synthetic-{lost:05d}.parquet").unlink()
    (whole.path / "manifest.json").unlink()
    again = sampled(folder_at(whole.path.parents[2]), saved, family)
    assert again.path == whole.path
    assert contents(again) == before


def test_parts_drawn_one_after_another_give_the_bytes_of_one_process(
    whole: PairStore, saved: SavedGenerator, family: Counting, tmp_path: Path
) -> None:
    for part in (2, 1, 3):
        folder = WorkFolder(tmp_path / "parts", set_step(), Share(part, 3))
        folder.result.mkdir(parents=True, exist_ok=True)
        with pytest.raises(PartDone):
            sampled(folder, saved, family)
    assert not folder.finished, "it is assembled by whoever has it for itself"
    assembled = sampled(folder_at(tmp_path / "parts"), saved, family)
    assert contents(assembled) == contents(whole) and assembled.seconds is not None


@pytest.mark.parametrize(("first", "then", "taken"), [(10, 18, 2), (18, 10, 2), (9, 4, 1), (10, 10, 3)])
def test_a_set_of_another_size_takes_the_shards_that_are_the_same(
    saved: SavedGenerator,
    family: Counting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    then: int,
    taken: int,
) -> None:
    known = sampled(folder_at(tmp_path / "a", first), saved, family, first)
    whole = sampled(folder_at(tmp_path / "b", then), saved, family, then)
    write, written = sampling.write_shard, list[str]()
    monkeypatch.setattr(sampling, "write_shard", lambda path, *rest: written.append(path.name) or write(path, *rest))
    grown = sampled(folder_at(tmp_path / "c", then), saved, family, then, known.path)
    # Byte for byte, also the shard that the smaller set holds in part.
    assert contents(grown) == contents(whole)
    assert len(written) == len(grown.manifest["shards"]) - taken
    # How long it took is known of what was drawn here.
    assert known.seconds is not None and known.seconds > 0 and grown.seconds is None
    assert (grown.digest == known.digest) == (first == then)


def test_a_shard_that_was_copied_in_part_is_not_taken_for_whole(
    whole: PairStore, saved: SavedGenerator, family: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise KeyboardInterrupt

    folder = folder_at(tmp_path / "b")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("satsynth.pairs.store.link_or_copy", killed)
        sampled(folder, saved, family, TOTAL, whole.path)
    assert not list(folder.result.glob("*.parquet"))
    assert contents(sampled(folder, saved, family, TOTAL, whole.path)) == contents(whole)


def test_interrupted_sampling_continues(
    whole: PairStore, saved: SavedGenerator, family: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = sampling.write_shard, list[str]()

    def failing(path: Path, *rest: Any) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *rest)

    monkeypatch.setattr(sampling, "write_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        sampled(folder_at(tmp_path / "b"), saved, family)
    monkeypatch.setattr(sampling, "write_shard", lambda path, *rest: written.append(path.name) or write(path, *rest))
    store = sampled(folder_at(tmp_path / "b"), saved, family)
    assert written == [f"synthetic-{i:05d}.parquet" for i in range(3)]
    assert contents(store) == contents(whole)


def test_a_finished_folder_loads_no_generator(whole: PairStore, saved: SavedGenerator, family: Counting) -> None:
    before, loaded = contents(whole), family.loaded
    assert contents(sampled(folder_at(whole.path.parents[2]), saved, family)) == before
    assert family.loaded == loaded


def test_more_pairs_than_there_are_is_refused_before_any_is_drawn(
    saved: SavedGenerator, family: Counting, tmp_path: Path
) -> None:
    family.distinct = TOTAL - 1
    folder = folder_at(tmp_path / "few")
    with pytest.raises(ResourceError, match=r"10 synthetic pairs are asked for.* has 9 .*\n.*sampling.max_pairs=9"):
        sampled(folder, saved, family)
    assert not list(folder.result.iterdir())
    family.distinct = TOTAL
    assert sampled(folder, saved, family).count() == TOTAL


def test_small_regions_are_cleaned_up_whatever_the_family(family: Counting) -> None:
    raw = draw_batch(family, range(2), SETTINGS)
    clean = draw_batch(family, range(2), SETTINGS.model_copy(update={"smallest_region": 4}))
    assert np.array_equal(raw[0], clean[0]) and not np.array_equal(raw[1], clean[1])


def painted(folder: WorkFolder, saved: SavedGenerator, total: int, settings: SamplingSettings) -> PairStore:
    given: Any = SimpleNamespace(layouts=Striped())
    layouts = None if settings.layouts == "model" else given
    return sample_pairs(folder, saved, FamilySettings(), settings, total, COMPUTE, layouts=layouts)


@pytest.mark.parametrize("layouts", ["real", "folder", "model"])
def test_a_painted_pair_has_its_layout_for_a_mask(
    saved: SavedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layouts: str
) -> None:
    family = Painting()
    monkeypatch.setattr(sampling, "family_of", {"counting": family}.__getitem__)
    # Small regions of masks that are given are wanted.
    settings = SETTINGS.model_copy(update={"layouts": layouts, "smallest_region": SIDE**2 + 1})
    store = painted(folder_at(tmp_path / "a"), saved, TOTAL, settings)
    assert store.manifest["layouts"] == layouts
    drawn = family.lay_out(range(TOTAL), 7) if layouts == "model" else Striped().masks(range(TOTAL), 7)
    for number, (image, mask) in enumerate(store.arrays()):
        assert np.array_equal(mask, drawn[number])
        assert np.array_equal(image, family.paint([number], mask[None], 7)[0])
    # Pair i is the same in a set of another size.
    more = painted(folder_at(tmp_path / "b", TOTAL + 3), saved, TOTAL + 3, settings)
    assert store.pixel_digests("synthetic") == more.pixel_digests("synthetic")[:TOTAL]


def test_a_family_that_cannot_paint_says_so(saved: SavedGenerator, family: Counting, tmp_path: Path) -> None:
    with pytest.raises(SatSynthError, match=r"'counting' has images and masks together only.*layouts: real") as caught:
        painted(folder_at(tmp_path / "a"), saved, TOTAL, SETTINGS.model_copy(update={"layouts": "real"}))
    assert "`sampling.layouts: joint`" in caught.value.remedy
    for name in ("replay", "folder"):
        family_of(name).require_layouts(family_of(name).settings(), "joint")
        with pytest.raises(SatSynthError, match=f"'{name}' has images and masks together only"):
            family_of(name).require_layouts(family_of(name).settings(), "model")


def test_what_identifies_a_painted_set(tiles: PairStore, saved: SavedGenerator) -> None:
    family: Any = Counting()
    real = {"layouts": "real"}

    def fingerprint(source: str = "a", **changes: Any) -> str:
        given: Any = SimpleNamespace(store=SimpleNamespace(digest=source))
        settings = SamplingSettings(**changes)
        given = given if settings.layouts in ("real", "folder") else None
        return sampling_step(saved, family, FamilySettings(), settings, tiles, COMPUTE, given).fingerprint

    zoomed = {"windows": {"zoom": [1, 2]}}
    found = [
        fingerprint(),
        fingerprint(layouts="model"),
        fingerprint(**real),
        fingerprint(**real, **zoomed),
        fingerprint("b", **real),
        fingerprint(layouts="folder", layout_folder="x"),
    ]
    assert len(set(found)) == len(found)
    # What a set does not use is no part of it, and a folder counts by its content.
    assert fingerprint(**zoomed, layout_folder="y") == found[0]
    assert fingerprint(layouts="folder", layout_folder="elsewhere", **zoomed) == found[-1]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"ratio": 1.0}, False),
        ({"seed": 1}, False),
        ({"batch_size": 4}, False),
        ({"smallest_region": 2}, False),
        ({"max_pairs": 10_000}, True),
    ],
)
def test_what_identifies_a_set(
    tiles: PairStore, saved: SavedGenerator, family: Any, changed: dict[str, Any], same: bool
) -> None:
    def step(settings: SamplingSettings) -> Step:
        return sampling_step(saved, family, FamilySettings(), settings, tiles, COMPUTE)

    assert (step(SETTINGS) == step(SETTINGS.model_copy(update=changed))) == same


@pytest.mark.parametrize("kind", ["training", "sampling", "segmentation"])
def test_the_number_of_threads_identifies_results(
    kind: str, saved: SavedGenerator, tiles: PairStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    diffusion = family_of("diffusion")

    def fingerprint(threads: int) -> str:
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        if kind == "training":
            return training_step(diffusion, diffusion.settings(), tiles, COMPUTE).fingerprint
        if kind == "sampling":
            return sampling_step(saved, diffusion, diffusion.settings(), SETTINGS, tiles, COMPUTE).fingerprint
        grid = SegmentationSettings()
        return plan_trainings([judge_cell(grid)], tiles, None, grid, COMPUTE)[0].step.fingerprint

    assert fingerprint(1) == fingerprint(1) != fingerprint(2)


def test_a_new_version_of_the_familys_drawing_is_another_set(tiles: PairStore, saved: SavedGenerator) -> None:
    old: Any = Counting()
    new: Any = Counting()
    new.drawing_version = 2
    steps = [sampling_step(saved, f, FamilySettings(), SETTINGS, tiles, COMPUTE) for f in (old, new)]
    assert steps[0] != steps[1]


@given(real=st.integers(1, 5000), ratio=st.floats(0.01, 10), cap=st.none() | st.integers(1, 3000))
def test_number_of_pairs(real: int, ratio: float, cap: int | None) -> None:
    total = SamplingSettings(ratio=ratio, max_pairs=cap).total(real)
    assert total >= 1
    if cap is None or real * ratio < cap - 1:
        assert abs(total - real * ratio) <= max(0.5, 1 - real * ratio)
    else:
        assert cap - 1 <= total <= cap
