from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_data import write_store
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore
from satsynth.pipelines.trainings import POOL, Cell, segmentation_run, step_of, synthetic_rows
from satsynth.segmentation import training
from satsynth.segmentation.arms import Arm, arms
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.workspace import Workspace

# The class of all pixels of a pair tells where it comes from.
SPLITS = {"train": range(0, 6), "val": range(6, 9), "test": range(9, 12), "synthetic": range(12, 30)}
SETTINGS = SegmentationSettings.model_validate(
    {
        "networks": {"small": {"architecture": "fpn", "encoder": "resnet18"}},
        "judge": {"network": "small"},
        "ratios": [0, 0.5, 3],
        "seeds": [0],
        "protocols": ["step_matched", "epoch_matched", "synthetic_only", "pretrain_finetune"],
        "augmentations": ["flips", "none", "cutout", "cutmix", "copy_paste", "strong"],
        "real_shares": [None, 0.5],
        "training": {"images": 48, "batch_size": 4},
    }
)


def pair(split: str, origin: int) -> Pair:
    image = np.full((16, 16, 3), 8 * origin, np.uint8)
    return Pair(f"{split}/{origin}", image, np.full((16, 16), origin, np.uint8), split, f"{split} {origin}", 0, 0)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PairStore]:
    root = tmp_path_factory.mktemp("stores")
    names = [f"class {i}" for i in range(30)]
    real = [pair(split, origin) for split in ("train", "val", "test") for origin in SPLITS[split]]
    drawn = [pair("synthetic", origin) for origin in SPLITS["synthetic"]]
    return {
        "tiles": write_store(root / "real", real, names=names),
        "synthetic": write_store(root / "drawn", drawn, names=names),
    }


class BegunError(Exception):
    """Stops a training before its first step, holding what it was given."""


@pytest.mark.parametrize("arm", list(arms(SETTINGS)), ids=lambda arm: arm.title)
def test_no_arm_is_trained_on_a_pair_that_it_is_chosen_or_measured_by(
    arm: Arm, stores: dict[str, PairStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(folder: object, network: object, stream: Any, images: int, val: Any, test: Any, **_: object) -> None:
        raise BegunError(stream, images, val, test)

    monkeypatch.setattr(training, "train_network", begin)
    run = Workspace(project=str(tmp_path))
    with pytest.raises(BegunError) as begun:
        segmentation_run(
            Cell("small", arm, 0), stores["tiles"], stores["synthetic"], SETTINGS, ComputeSettings(device="cpu"), run
        )
    stream, images, val, test = begun.value.args
    shown = {int(k) for i in range(images) for k in np.unique(stream[i][1])} - {IGNORE_INDEX}
    held_out = {name: set(np.unique(part.pairs.masks)) for name, part in (("val", val), ("test", test))}
    assert held_out == {name: set(SPLITS[name]) for name in ("val", "test")}
    assert set(val.scenes) == {f"val {i}" for i in SPLITS["val"]}
    assert set(test.scenes) == {f"test {i}" for i in SPLITS["test"]}
    allowed = set(SPLITS["train"]) if arm.ratio == 0 else set(SPLITS["train"]) | set(SPLITS["synthetic"])
    assert shown and shown <= allowed
    assert bool(shown & set(SPLITS["train"])) == (arm.protocol != "synthetic_only")
    assert bool(shown & set(SPLITS["synthetic"])) == (arm.ratio > 0)


def test_each_seed_draws_its_own_pairs_and_more_of_them_change_nothing() -> None:
    chosen = [synthetic_rows(Cell("small", Arm(1.0), seed), real=50, available=100) for seed in range(3)]
    assert all(len(set(rows)) == 50 and set(rows) <= set(range(100)) for rows in chosen)
    shared = [len(set(chosen[a]) & set(chosen[b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert max(shared) < 40, "half of them by chance"
    for seed, rows in enumerate(chosen):
        assert np.array_equal(synthetic_rows(Cell("small", Arm(1.0), seed), 50, 1000), rows)
    # Where there are no more than needed all seeds use all.
    assert np.array_equal(synthetic_rows(Cell("small", Arm(1.0), 1), 50, 50), np.arange(50))


def test_a_training_is_the_same_whatever_else_was_drawn(stores: dict[str, PairStore], tmp_path: Path) -> None:
    def drawn(number: int, drawn_as: str, generator: str = "g") -> PairStore:
        made = [pair("synthetic", 12) for _ in range(number)]
        store = write_store(tmp_path / f"{number} {drawn_as}", made, names=stores["tiles"].class_names)
        store.manifest |= {"drawn": drawn_as, "parents": {"generator": generator}, "digest": f"{number} {drawn_as}"}
        return store

    def fingerprint(synthetic: PairStore, ratio: float = 1.0) -> str:
        cell = Cell("small", Arm(ratio), 0)
        return step_of(cell, stores["tiles"], synthetic, SETTINGS, ComputeSettings(device="cpu"))[0].fingerprint

    enough = POOL * stores["tiles"].count("train")
    known = fingerprint(drawn(enough, "one way"))
    assert fingerprint(drawn(3 * enough, "one way")) == known
    assert fingerprint(drawn(enough, "another way")) != known
    assert fingerprint(drawn(enough - 1, "one way")) != known, "other pairs are chosen"
    # A set that does not say how it was drawn is known by its content.
    assert fingerprint(stores["synthetic"]) != known
    assert fingerprint(drawn(enough, "one way"), 0) == fingerprint(stores["synthetic"], 0)


@pytest.mark.parametrize(("ratio", "problem"), [(0.01, "less than one synthetic pair"), (11.0, "holds 100")])
def test_a_ratio_that_no_number_of_pairs_gives_is_refused(ratio: float, problem: str) -> None:
    with pytest.raises(SatSynthError, match=problem):
        synthetic_rows(Cell("small", Arm(ratio), 0), real=10, available=100)
