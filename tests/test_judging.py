from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import satsynth.judging as judging
from made_data import made_pairs, write_store
from satsynth.generation.saved import SavedGenerator
from satsynth.judging import judged_pairs
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore
from satsynth.segmentation.saved import SavedNetwork
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace
from toy_judge import Redness, finished_model

SIDE, NUMBER = 16, 7
COMPUTE = ComputeSettings(device="cpu")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redness]:
    made = Redness()
    monkeypatch.setattr(judging, "load_network", lambda saved, device: made)
    yield made


@pytest.fixture
def drawn(tmp_path: Path) -> PairStore:
    pairs = [
        Pair(p.pair_id, p.image, np.full_like(p.mask, 255), "synthetic", row=i)
        for i, p in enumerate(made_pairs(NUMBER, side=SIDE, seed=1))
    ]
    return write_store(tmp_path / "drawn", pairs, side=SIDE, shard=3, extra={"family": "image_ddpm"})


def judged(drawn: PairStore, root: Path, smallest: int = 0) -> PairStore:
    tiles = write_store(root / "tiles", made_pairs(2, side=SIDE), side=SIDE)
    judge, generator = (finished_model(root, kind, {"tiles": "0"}, tile_size=SIDE) for kind in ("judge", "generator"))
    workspace = Workspace(project=str(root / "project"))
    return judged_pairs(drawn, SavedNetwork(judge), tiles, SavedGenerator(generator), smallest, COMPUTE, workspace)


def test_masks_are_what_the_judge_sees_and_images_stay(drawn: PairStore, network: Redness, tmp_path: Path) -> None:
    store = judged(drawn, tmp_path)
    assert store.count("synthetic") == NUMBER and store.manifest["family"] == "image_ddpm"
    assert store.parents.keys() == {"tiles", "generator", "judge", "drawn"}
    assert store.index()["row"].tolist() == list(range(NUMBER))
    for (image, mask), (before, unknown) in zip(store.arrays(), drawn.arrays(), strict=True):
        assert np.array_equal(image, before) and (unknown == 255).all()
        assert np.array_equal(mask, before[..., 0] // 86)
    assert store.pixel_counts().sum() == NUMBER * SIDE * SIDE
    # Done once.
    assert judged(drawn, tmp_path).digest == store.digest and network.seen == NUMBER


def test_interrupted_it_continues_to_the_same_store(
    drawn: PairStore, network: Redness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = judged(drawn, tmp_path / "whole")
    write, written = judging.write_shard, list[str]()

    def failing(path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *rest)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(judging, "write_shard", failing)
        judged(drawn, tmp_path / "parts")
    seen = network.seen
    again = judged(drawn, tmp_path / "parts")
    assert network.seen == seen + 1, "only the last shard, of one image, was missing"
    assert [shard["sha256"] for shard in again.manifest["shards"]] == [
        shard["sha256"] for shard in whole.manifest["shards"]
    ]


def test_small_regions_are_cleaned_up(drawn: PairStore, network: Redness, tmp_path: Path) -> None:
    plain, clean = judged(drawn, tmp_path), judged(drawn, tmp_path, smallest=12)
    pairs = list(zip(plain.arrays(), clean.arrays(), strict=True))
    assert all(np.array_equal(a[0], b[0]) for a, b in pairs)
    assert any(not np.array_equal(a[1], b[1]) for a, b in pairs)
