from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_data import made_pairs, write_store
from other_machine import OtherMachine
from satsynth.analysis.measures import memorisation
from satsynth.analysis.measures.feature_space import standardise
from satsynth.analysis.measures.table import values_of
from satsynth.analysis.settings import ComparisonSettings
from satsynth.measuring import chosen_rows
from satsynth.pairs.cache import decoded
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore
from satsynth.pipelines.comparison import nodes
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace

KEEP = {"keep": {"least": {"classes": ["land", "building"], "share": 0.1}}}


def bright(judge: Any, images: np.ndarray, compute: ComputeSettings) -> np.ndarray:
    """Stand in for the judge's features: means over quarters of the images, which differ between symmetries."""
    halves = (np.arange(images.shape[1]) * 2 // images.shape[1]).astype(bool)
    quarters = [images[:, y][:, :, x].mean((1, 2)) for y in (halves, ~halves) for x in (halves, ~halves)]
    return np.concatenate(quarters, axis=1).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PairStore, PairStore, Any, Workspace]:
    """Real pairs of which val and test are those of train and as many tiles of water; synthetic pairs; a judge."""
    monkeypatch.setattr("satsynth.segmentation.features.image_features", bright)
    train, real = made_pairs(12), []
    for split in ("val", "test"):
        for i, pair in enumerate(train):
            place = (split, f"{split} {i}", i, 0)
            water = np.zeros_like(pair.mask)
            real += [
                Pair(f"{split}-{i}-kept", pair.image, pair.mask, *place),
                Pair(f"{split}-{i}-water", pair.image, water, *place),
            ]
    tiles = write_store(tmp_path / "real", [*train, *real], extra=KEEP)
    drawn = made_pairs(9, split="synthetic", seed=1)
    synthetic = write_store(tmp_path / "synthetic", drawn, parents={"tiles": tiles.digest})
    judge = SimpleNamespace(digest="judge", parents={"tiles": tiles.digest}, path=tmp_path)
    return tiles, synthetic, judge, Workspace(project=str(tmp_path))


def test_divergences_leave_out_tiles_that_train_would_not_keep(
    world: tuple[PairStore, PairStore, Any, Workspace],
) -> None:
    tiles, synthetic, judge, run = world
    fidelity = nodes.measure_fidelity(tiles, synthetic, judge, ComparisonSettings(), ComputeSettings(), run)
    assert values_of(fidelity, "images") == {"train": 12, "val": 12, "test": 12, "synthetic": 9}
    for name in ("class_divergence", "adjacency_divergence"):
        found = values_of(fidelity, name)
        assert set(found) >= {"val", "test", "synthetic"}
        # What is left of val and test are the masks of train.
        assert found["val"] == found["test"] == 0 < found["synthetic"]
    classes, adjacency = nodes.compare_classes(tiles, synthetic, run)
    shares = classes.pivot(index="class", columns="split", values="pixel_share")
    assert shares["val"]["water"] > 0.6 > shares["train"]["water"], "the table is of all tiles"
    names = {bar.name for bar in nodes.plot_classes(classes, fidelity).data}
    assert {"val (JSD 0.000 bit)", "test (JSD 0.000 bit)"} < names
    assert set(adjacency["split"]) == {"train", "val", "test", "synthetic"}


def test_the_judge_sees_each_set_of_images_once(
    world: tuple[PairStore, PairStore, Any, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, synthetic, judge, run = world
    seen: list[int] = []

    def counted(judge: Any, images: np.ndarray, compute: ComputeSettings) -> np.ndarray:
        seen.append(len(images))
        return bright(judge, images, compute)

    monkeypatch.setattr("satsynth.segmentation.features.image_features", counted)
    given = ComparisonSettings(), ComputeSettings(), run
    first = nodes.measure_fidelity(tiles, synthetic, judge, *given)
    assert sorted(seen) == [9, 12, 12, 12]
    pd.testing.assert_frame_equal(nodes.measure_fidelity(tiles, synthetic, judge, *given), first)
    assert len(seen) == 4
    # New synthetic pairs leave the features of real ones as they are.
    drawn = made_pairs(7, split="synthetic", seed=2)
    others = write_store(tmp_path / "others", drawn, parents={"tiles": tiles.digest})
    nodes.measure_fidelity(tiles, others, judge, *given)
    assert seen[4:] == [7]


def test_the_imagenet_network_sees_each_set_of_images_once(
    world: tuple[PairStore, PairStore, Any, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, synthetic, judge, run = world
    seen: list[int] = []

    def counted(images: np.ndarray, state: Any, compute: ComputeSettings) -> np.ndarray:
        seen.append(len(images))
        return bright(None, images, compute)

    (tmp_path / "weights.pth").write_bytes(b"some")
    for module in ("training.imagenet", "analysis.measures.imagenet_distance"):
        monkeypatch.setattr(f"satsynth.{module}.weights_file", lambda: tmp_path / "weights.pth")
    monkeypatch.setattr("satsynth.training.imagenet.encoder_state", lambda file: {})
    monkeypatch.setattr("satsynth.analysis.imagenet.imagenet_features", counted)
    given = ComputeSettings(), run
    table = nodes.measure_fidelity(tiles, synthetic, judge, ComparisonSettings(), *given)
    assert sorted(seen) == [9, 12, 12, 12]
    # With the same features as the judge's, the distances are the judge's.
    assert values_of(table, "imagenet_distance") == values_of(table, "kernel_distance")
    assert set(values_of(table, "two_sample_accuracy")) == {"val", "test", "synthetic", "train_halves"}
    # Other judges change nothing, other weights do.
    other = SimpleNamespace(digest="other", parents=judge.parents, path=judge.path)
    nodes.measure_fidelity(tiles, synthetic, other, ComparisonSettings(), *given)
    assert len(seen) == 4
    (tmp_path / "weights.pth").write_bytes(b"others")
    nodes.measure_fidelity(tiles, synthetic, judge, ComparisonSettings(), *given)
    assert len(seen) == 8
    # Measured or not, the rest of the table is the same.
    without = nodes.measure_fidelity(tiles, synthetic, judge, ComparisonSettings(imagenet=False), *given)
    kept = table[~table["measure"].isin(["imagenet_distance", "two_sample_accuracy"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(without, kept)


def test_features_of_all_sets_are_computed_at_a_time_on_other_machines(
    world: tuple[PairStore, PairStore, Any, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, synthetic, judge, run = world
    there = OtherMachine()
    monkeypatch.setattr("satsynth.work.ray_engine.by_ray", there)
    comparison, elsewhere = ComparisonSettings(imagenet=False), Workspace(project=str(tmp_path / "elsewhere"))
    found = [
        nodes.measure_fidelity(tiles, synthetic, judge, comparison, ComputeSettings(device="cpu", engine=engine), place)
        for engine, place in (("local", run), ("ray", elsewhere))
    ]
    pd.testing.assert_frame_equal(*found)
    ((name, units, _),) = there.asked
    assert name == "keep_features" and [unit.arguments[0].split for unit in units] == [
        "train",
        "val",
        "test",
        "synthetic",
    ]


def test_the_curves_are_those_of_the_measured_images(world: tuple[PairStore, PairStore, Any, Workspace]) -> None:
    tiles, synthetic, _, run = world
    curves = nodes.measure_curves(tiles, synthetic, run)
    assert set(curves["set"]) == {"train", "val", "test", "synthetic"}
    points = curves.pivot(index=["curve", "x"], columns="set", values="y")
    # What is left of val are the images of train.
    assert points["val"].to_numpy() == pytest.approx(points["train"].to_numpy())
    assert points["synthetic"].to_numpy() != pytest.approx(points["train"].to_numpy())
    spectra, colors = nodes.plot_curves(curves)
    assert len(spectra.data) == 4 and len(colors.data) == 12


def test_copies_are_sought_among_one_view_of_each_training_image(
    world: tuple[PairStore, PairStore, Any, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, synthetic, judge, run = world
    seen: dict[str, memorisation.Space] = {}
    neighbours = memorisation.neighbours

    def spy(spaces: dict[str, memorisation.Space], *names: list[str]) -> Any:
        seen.update(spaces)
        return neighbours(spaces, *names)

    monkeypatch.setattr(memorisation, "neighbours", spy)
    table, metrics = nodes.find_copies(tiles, synthetic, judge, ComputeSettings(), run)
    images = {
        name: decoded(store, name, run.work).images[chosen_rows(store, name)]
        for name, store in (("synthetic", synthetic), ("train", tiles), ("val", tiles))
    }
    plain = bright(judge, images["train"], ComputeSettings())

    def views(name: str) -> np.ndarray:
        turned = np.stack([memorisation.symmetries(image) for image in images[name]], axis=1)
        return np.stack([standardise(plain, bright(judge, part, ComputeSettings()))[1] for part in turned], axis=1)

    expected = {
        "pixels": memorisation.Space(*(memorisation.thumbnails(part) for part in images.values())),
        "features": memorisation.Space(views("synthetic"), standardise(plain)[0][:, None], views("val")),
    }
    for name, space in expected.items():
        assert np.array_equal(seen[name].synthetic, space.synthetic)
        assert np.array_equal(seen[name].held_out, space.held_out)
        assert np.array_equal(seen[name].train, space.train[:, :1]) and seen[name].train.shape[1] == 1
    index, real = synthetic.index(), tiles.index()
    ids = index["pair_id"].tolist(), real.loc[real["split"] == "train", "pair_id"].tolist()
    wanted, summary = neighbours(expected, *ids)
    pd.testing.assert_frame_equal(table, wanted)
    assert metrics == summary
