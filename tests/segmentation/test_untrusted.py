from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import satsynth.segmentation.untrusted as untrusted
from made_data import NAMES, made_pairs, picture, write_store
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.untrusted import COLUMNS, limits_of, trusted_pairs, untrusted_table, without_untrusted
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.placement import PartDone
from satsynth.work.workspace import Workspace
from toy_judge import Redness, finished_model

SIDE, NUMBER = 16, 8
COMPUTE = ComputeSettings(device="cpu")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Redness:
    made = Redness()
    monkeypatch.setattr(untrusted, "load_network", lambda saved, device: made)
    return made


@pytest.fixture
def tiles(tmp_path: Path) -> PairStore:
    """Val pairs lack the third class, which train has."""
    val = [
        Pair(p.pair_id, p.image, np.where(p.mask == 2, IGNORE_INDEX, p.mask).astype(np.uint8), "val", p.scene_id, i, i)
        for i, p in enumerate(made_pairs(3, side=SIDE, split="val", seed=5))
    ]
    return write_store(tmp_path / "tiles", [*made_pairs(3, side=SIDE), *val], side=SIDE)


@pytest.fixture
def synthetic(tmp_path: Path, tiles: PairStore) -> PairStore:
    pairs = made_pairs(NUMBER, side=SIDE, split="synthetic", seed=1)
    rows = [Pair(p.pair_id, p.image, p.mask, "synthetic", row=i) for i, p in enumerate(pairs)]
    return write_store(tmp_path / "synthetic", rows, side=SIDE, shard=3, parents={"tiles": tiles.digest})


def judge_of(root: Path, tiles: PairStore) -> SavedNetwork:
    return SavedNetwork(finished_model(root, "judge", {"tiles": tiles.digest}))


def trusted(root: Path, synthetic: PairStore, tiles: PairStore, times: float, **compute: Any) -> PairStore:
    where = COMPUTE.model_copy(update=compute)
    return trusted_pairs(
        synthetic, tiles, judge_of(root, tiles), times, where, Workspace(project=str(root / "project"))
    )


def errors_of(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The judge's cross entropy by hand, ``(H, W)``; NaN where ignored."""
    logits = np.eye(3)[image[..., 0] // 86] * (1 + image[..., 1:2] / 100)
    known = np.where(mask == IGNORE_INDEX, 0, mask)[..., None]
    errors = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, known, -1)[..., 0]
    return np.where(mask == IGNORE_INDEX, np.nan, errors)


def means_of(tiles: PairStore) -> np.ndarray:
    """Mean over val, and over train for the class that val lacks."""

    def mean(split: str, k: int) -> float:
        values = [errors_of(image, mask)[mask == k] for image, mask in tiles.arrays(split)]
        return float(np.concatenate(values).mean())

    return np.array([mean("val", 0), mean("val", 1), mean("train", 2)])


def test_pixels_above_the_limit_of_their_class_are_ignored_and_no_others(
    synthetic: PairStore, tiles: PairStore, network: Redness, tmp_path: Path
) -> None:
    times, means, removed = 1.2, means_of(tiles), 0
    store = trusted(tmp_path, synthetic, tiles, times)
    assert store.manifest["real_errors"] == pytest.approx(means.tolist(), rel=1e-5)
    for (image, mask), (before, whole) in zip(store.arrays(), synthetic.arrays(), strict=True):
        assert np.array_equal(image, before)
        limits = np.append(times * means, np.nan)[np.minimum(whole, 3)]
        with np.errstate(invalid="ignore"):
            gone = errors_of(before, whole) > limits
        assert np.array_equal(mask, np.where(gone, IGNORE_INDEX, whole))
        removed += int(gone.sum())
    assert 0 < removed < synthetic.pixel_counts().sum()
    columns = ["pair_id", "split", "row"]
    assert store.index()[columns].equals(synthetic.index()[columns])


def test_counts_add_up(synthetic: PairStore, tiles: PairStore, network: Redness, tmp_path: Path) -> None:
    digest = synthetic.digest
    store = trusted(tmp_path, synthetic, tiles, 1.2)
    table = untrusted_table(synthetic, store)
    assert table.columns.tolist() == COLUMNS and table["class"].tolist() == NAMES
    masks, whole = (np.stack([mask for _, mask in pairs.arrays()]) for pairs in (store, synthetic))
    for k, row in enumerate(table.itertuples()):
        assert row.pixels == (whole == k).sum() and row.removed == ((whole == k) & (masks != k)).sum()
        assert row.share == pytest.approx(row.removed / row.pixels) and row.limit == pytest.approx(1.2 * row.real_error)
    assert table["removed"].sum() == (masks == IGNORE_INDEX).sum() - (whole == IGNORE_INDEX).sum()
    # The stored pairs stay, and what is done is done once.
    synthetic.verify()
    seen = network.seen
    assert PairStore(synthetic.path).digest == digest
    assert trusted(tmp_path, synthetic, tiles, 1.2).digest == store.digest and network.seen == seen


def test_an_endless_limit_removes_nothing(
    synthetic: PairStore, tiles: PairStore, network: Redness, tmp_path: Path
) -> None:
    store = trusted(tmp_path, synthetic, tiles, 1e6)
    assert store.pixel_digests("synthetic") == synthetic.pixel_digests("synthetic")
    assert (untrusted_table(synthetic, store)["removed"] == 0).all()
    mask = made_pairs(1, side=SIDE)[0].mask
    limits = limits_of(np.array([0.3, np.nan, 0.1]), np.inf)
    assert np.array_equal(without_untrusted(mask, np.full(mask.shape, 1e9), limits), mask)


def test_a_mask_that_the_judge_contradicts_everywhere_is_removed(
    tiles: PairStore, network: Redness, tmp_path: Path
) -> None:
    random = np.random.default_rng(2)
    images = [picture(random, SIDE, SIDE) for _ in range(2)]
    for image in images:
        # Sure of what it sees; real pairs of noise leave it unsure.
        image[..., 1] = 255
    right = [(image[..., 0] // 86).astype(np.uint8) for image in images]
    masks = [right[0], ((right[1] + 1) % 3).astype(np.uint8)]
    pairs = [Pair(f"p{i}", images[i], masks[i], "synthetic", row=i) for i in range(2)]
    synthetic = write_store(tmp_path / "both", pairs, side=SIDE, parents={"tiles": tiles.digest})
    first, second = (mask for _, mask in trusted(tmp_path, synthetic, tiles, 1.5).arrays())
    assert np.array_equal(first, masks[0]) and (second == IGNORE_INDEX).all()


def test_a_class_that_no_real_pair_has_is_trusted(network: Redness, synthetic: PairStore, tmp_path: Path) -> None:
    def without(split: str) -> list[Pair]:
        found = made_pairs(2, side=SIDE, split=split)
        return [Pair(p.pair_id, p.image, np.zeros_like(p.mask), split, p.scene_id, p.row, p.col) for p in found]

    tiles = write_store(tmp_path / "poor", [*without("train"), *without("val")], side=SIDE)
    table = untrusted_table(synthetic, trusted(tmp_path, synthetic, tiles, 0.1))
    assert table["removed"].tolist()[1:] == [0, 0] and table["removed"].iloc[0] > 0
    assert table["real_error"].isna().tolist() == [False, True, True]


def test_interrupted_and_shared_work_equals_work_in_one_go(
    synthetic: PairStore, tiles: PairStore, network: Redness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trusted(tmp_path / "whole", synthetic, tiles, 1.2)
    write, written = untrusted.write_shard, []

    def failing(path: Path, pairs: Any, names: Any) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, pairs, names)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(untrusted, "write_shard", failing)
        trusted(tmp_path / "cut", synthetic, tiles, 1.2)
    real = 6
    network.seen = 0
    resumed = trusted(tmp_path / "cut", synthetic, tiles, 1.2)
    assert network.seen == real + NUMBER - 3, "the first shard is kept"
    with pytest.raises(PartDone):
        trusted(tmp_path / "parts", synthetic, tiles, 1.2, share="1/2")
    parts = trusted(tmp_path / "parts", synthetic, tiles, 1.2, share="2/2")
    for other in (resumed, parts):
        assert {f.name: f.read_bytes() for f in other.path.glob("*.parquet")} == {
            f.name: f.read_bytes() for f in whole.path.glob("*.parquet")
        }


def test_without_the_rule_networks_see_the_pairs_themselves(
    synthetic: PairStore, tiles: PairStore, network: Redness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, judged = Workspace(project=str(tmp_path)), []

    def train(real: PairStore, *_: Any) -> SavedNetwork:
        judged.append(real)
        return judge_of(tmp_path, real)

    monkeypatch.setattr(untrusted, "train_judge", train)
    pairs, table = untrusted.used_pairs(tiles, synthetic, SegmentationSettings(), COMPUTE, workspace)
    assert pairs is synthetic and table.empty and table.columns.tolist() == COLUMNS and not judged
    settings = SegmentationSettings(untrusted={"times": 1.2})
    pairs, table = untrusted.used_pairs(tiles, synthetic, settings, COMPUTE, workspace)
    assert pairs.parents["synthetic_pairs"] == synthetic.digest and table["removed"].sum() > 0
    assert judged == [tiles]


@pytest.mark.parametrize(("removed", "warned"), [(500, False), (501, True)])
def test_a_rule_that_leaves_little_is_warned_of(removed: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    untrusted._announce(pd.DataFrame([["a", 0.1, 0.4, 1000, removed, removed / 1000]], columns=COLUMNS), 4)
    assert ("more than half" in caplog.text) == warned
