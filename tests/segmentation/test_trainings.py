from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_data import write_store
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore
from satsynth.segmentation import training
from satsynth.segmentation.arms import Arm, arms
from satsynth.segmentation.cells import POOL, Cell, shared_ratios, synthetic_rows
from satsynth.segmentation.settings import Protocol, SegmentationSettings
from satsynth.segmentation.trainings import PlannedTraining, budget_in_words, plan_trainings
from satsynth.segmentation.units import Stores, train_all
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


CPU = ComputeSettings(device="cpu")
MATCHED: list[tuple[float, Protocol]] = [(0.0, "step_matched"), (3.0, "step_matched"), (3.0, "epoch_matched")]


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


def plan(cell: Cell, tiles: PairStore, synthetic: PairStore | None) -> PlannedTraining:
    (planned,) = plan_trainings([cell], tiles, synthetic, SETTINGS, CPU)
    return planned


class BegunError(Exception):
    """Stops a training before its first step, holding what it was given."""


@pytest.mark.parametrize("arm", list(arms(SETTINGS)), ids=lambda arm: arm.title)
def test_no_arm_is_trained_on_a_pair_that_it_is_chosen_or_measured_by(
    arm: Arm, stores: dict[str, PairStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(folder: object, task: Any, held_out: Any, *_: object) -> None:
        raise BegunError(task.stream, task.images, held_out.val, held_out.test)

    monkeypatch.setattr(training, "train_network", begin)
    tiles, synthetic = stores["tiles"], stores["synthetic"]
    planned = plan(Cell("small", arm, 0), tiles, synthetic)
    with pytest.raises(BegunError) as begun:
        train_all([planned], Stores(tiles, synthetic), CPU, Workspace(project=str(tmp_path)))
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


@pytest.fixture
def fingerprint(stores: dict[str, PairStore], tmp_path: Path) -> Callable[..., str]:
    """Return a function that gives the fingerprint of a training on synthetic pairs of some contents."""

    def of(contents: Sequence[int], ratio: float = 1.0, name: str = "store", parents: Any = None, **extra: Any) -> str:
        drawn = [replace(pair("synthetic", k), pair_id=f"synthetic-{i:06d}") for i, k in enumerate(contents)]
        names = stores["tiles"].class_names
        store = write_store(
            tmp_path / f"{name} {len(contents)} {contents[0]}", drawn, names=names, parents=parents, extra=extra
        )
        return plan(Cell("small", Arm(ratio), 0), stores["tiles"], store).step.fingerprint

    return of


SYNTHETIC = list(SPLITS["synthetic"])


def test_equal_pairs_are_equal_trainings_from_whatever_store_they_come(fingerprint: Callable[..., str]) -> None:
    known = fingerprint(SYNTHETIC, family="diffusion", parents={"generator": "g", "tiles": "t"})
    assert fingerprint(SYNTHETIC, name="copied", family="folder", parents={"generator": "h"}) == known
    assert fingerprint(SYNTHETIC, name="plain") == known


def test_pairs_that_are_drawn_later_leave_trainings_as_they_are(fingerprint: Callable[..., str]) -> None:
    enough = SYNTHETIC[: POOL * len(SPLITS["train"])]
    known = fingerprint(enough)
    assert fingerprint(SYNTHETIC) == known
    assert fingerprint(enough[:-1]) != known, "other pairs are chosen"


def test_a_store_that_copies_a_manifest_but_holds_other_pixels_is_another_training(
    fingerprint: Callable[..., str],
) -> None:
    """As a stage behind the generator would write it that enlarges or filters pairs and copies all that it knows."""
    manifest = {"family": "diffusion", "drawn": "one way", "parents": {"generator": "g", "tiles": "t"}}
    known = fingerprint(SYNTHETIC, **manifest)
    changed = SYNTHETIC[::-1]
    assert fingerprint(changed, name="changed", **manifest) != known
    # R = 0 sees none of them.
    assert fingerprint(changed, 0, name="zero", **manifest) == fingerprint(SYNTHETIC, 0, name="zero", **manifest)


def test_seeds_share_pairs_where_there_are_fewer_than_twice_as_many() -> None:
    assert shared_ratios(SETTINGS, real=10, available=60) == []
    assert shared_ratios(SETTINGS, real=10, available=59) == [3]
    assert shared_ratios(SETTINGS, real=10, available=9) == [0.5, 3]


def test_a_planned_training_can_be_sent_to_another_process(stores: dict[str, PairStore]) -> None:
    planned = plan(Cell("small", Arm(1.0), 0), stores["tiles"], stores["synthetic"])
    sent = pickle.dumps(planned)
    assert pickle.loads(sent) == planned and len(sent) < 5000


@pytest.mark.parametrize(("ratio", "problem"), [(0.01, "less than one synthetic pair"), (11.0, "holds 100")])
def test_a_ratio_that_no_number_of_pairs_gives_is_refused(ratio: float, problem: str) -> None:
    with pytest.raises(SatSynthError, match=problem):
        synthetic_rows(Cell("small", Arm(ratio), 0), real=10, available=100)


def test_a_training_is_identified_by_how_it_is_trained_whoever_says_so(stores: dict[str, PairStore]) -> None:
    """By the network or by the grid; without values of its own a network's trainings are those of before."""

    def planned(network: dict[str, Any], **training: Any) -> PlannedTraining:
        grid = SETTINGS.model_dump()
        grid["networks"]["small"] |= network
        grid["training"] |= training
        settings = SegmentationSettings.model_validate(grid)
        (found,) = plan_trainings([Cell("small", Arm(0.0), 0)], stores["tiles"], None, settings, CPU)
        return found

    own, of_all = planned({"images": 8, "learning_rate": 1e-4}), planned({}, images=8, learning_rate=1e-4)
    assert own.settings == of_all.settings and own.images == 8
    assert own.step.settings["training"] == of_all.step.settings["training"]
    known = {"architecture": "fpn", "encoder": "resnet18", "weights": None, "options": {}}
    assert planned({}).step.settings["network"] == of_all.step.settings["network"] == known
    steps = {one.step.fingerprint for one in (own, planned({}), planned({"ema": 0.9}), planned({"batch_size": 8}))}
    assert len(steps) == 4


def test_a_budget_in_epochs_is_the_same_at_every_ratio(stores: dict[str, PairStore]) -> None:
    training = SETTINGS.training.model_copy(update={"images": None, "epochs": 8.0, "least_steps": 1})
    settings = SETTINGS.model_copy(update={"training": training})
    cells = [Cell("small", Arm(ratio, protocol=protocol), 0) for ratio, protocol in MATCHED]
    tiles, synthetic = stores["tiles"], stores["synthetic"]
    # Eight epochs of six pairs are the 48 images of the settings, and the same trainings.
    found, known = (plan_trainings(cells, tiles, synthetic, of, CPU) for of in (settings, SETTINGS))
    assert [(one.images, one.step) for one in found] == [(one.images, one.step) for one in known]
    floor = settings.model_copy(update={"training": training.model_copy(update={"least_steps": 20})})
    assert [one.images for one in plan_trainings(cells, tiles, synthetic, floor, CPU)] == [80, 80, 320]
    assert budget_in_words(1600, 398) == "1,600 images = 4.0 epochs of 398 real pairs"


def test_other_weights_are_another_training(stores: dict[str, PairStore], tmp_path: Path) -> None:
    file = tmp_path / "encoder.pt"
    network = SETTINGS.networks["small"].model_copy(update={"weights": str(file)})
    settings = SETTINGS.model_copy(update={"networks": {"small": network}})
    found = []
    for content in (b"one", b"two", b"one"):
        file.write_bytes(content)
        (planned,) = plan_trainings([Cell("small", Arm(0.0), 0)], stores["tiles"], None, settings, CPU)
        found.append(planned.step.fingerprint)
    assert found[0] == found[2] != found[1]


def test_what_evaluations_cost_is_known_before(stores: dict[str, PairStore]) -> None:
    (usual,) = plan_trainings([Cell("small", Arm(0.0), 0)], stores["tiles"], None, SETTINGS, CPU)
    assert usual.images_in_evaluation(6, 9) == pytest.approx((2 * 6 + 9) / 3)
    voting = {"architecture": "segdiff", "encoder": "rrdb", "options": {"steps": 5, "votes": 9, "val_votes": 2}}
    grid = SETTINGS.model_dump()
    grid["networks"]["voting"] = voting
    settings = SegmentationSettings.model_validate(grid)
    (found,) = plan_trainings([Cell("voting", Arm(0.0), 0)], stores["tiles"], None, settings, CPU)
    assert found.images_in_evaluation(6, 9) == pytest.approx((2 * 6 * 10 + 9 * 45) / 3)
