import json

import numpy as np
import pytest
import torch

import satsynth.segmentation.training as training
from satsynth.pairs.cache import DecodedPairs
from satsynth.segmentation.alignment import agreement
from satsynth.segmentation.evaluation import HeldOut, evaluate
from satsynth.segmentation.features import load_network
from satsynth.segmentation.metrics import scores
from satsynth.segmentation.saved import SavedNetwork, training_row
from satsynth.segmentation.settings import TrainingSettings
from satsynth.segmentation.training import seconds_an_image
from satsynth.training.loop import look_points
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX
from stopping import stopped_at

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")


class Brightness(torch.nn.Module):
    """Tells classes of `striped_pairs` by brightness, and the darkest wrongly."""

    def forward(self, images):
        self.mode = self.training
        grey = ((images.mean(1) + 1) * 127.5 / 80).long().clamp(0, 2)
        grey[grey == 0] = 1
        return torch.nn.functional.one_hot(grey, 3).movedim(-1, 1).float()


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_evaluate_against_loops(striped_pairs, batch_size):
    pairs, scenes = striped_pairs(5, 3), ["a", "b", "a", "c", "b"]
    network = Brightness().train()
    found = evaluate(network, HeldOut(pairs, scenes), 3, CPU, COMPUTE, batch_size)
    expected = {scene: np.zeros((3, 3), int) for scene in "abc"}
    for scene, (image, mask) in zip(scenes, (pairs[i] for i in range(5)), strict=True):
        guess = np.clip(image.mean(2) // 80, 1, 2).astype(int)
        for y, x in np.argwhere(mask != IGNORE_INDEX):
            expected[scene][mask[y, x], guess[y, x]] += 1
    assert list(found) == ["a", "b", "c"]
    for scene in "abc":
        assert np.array_equal(found[scene], expected[scene])
    assert network.mode is False
    assert network.training is True


def test_row_and_files(trained_small):
    folder, row = trained_small
    assert row == training_row(folder)
    assert {path.name for path in folder.result.iterdir()} == {"manifest.json", "model.safetensors", "timing.json"}
    assert (row["network"], row["ratio"], row["seed"], row["steps"]) == ("small", 0.5, 0, 10)
    assert row["best_step"] in look_points(5, 10, 3)
    assert row["seconds"] > 0
    assert 0 <= row["boundary_f1"] <= 1
    manifest = folder.manifest()
    assert sorted(manifest["confusion"]) == ["a", "b", "c"]
    found = scores(np.sum(list(manifest["confusion"].values()), axis=0))
    assert (row["miou"], row["mf1"], row["accuracy"]) == (found.miou, found.mf1, found.accuracy)
    assert [row[f"iou_{name}"] for name in ("one", "two", "three")] == pytest.approx(found.iou)


def test_stored_weights_are_the_chosen_ones(trained_small, striped_pairs):
    folder, row = trained_small
    network = load_network(SavedNetwork(folder.result), CPU)
    for split, pairs, miou in (("val", striped_pairs(4, 2), "val_miou"), ("test", striped_pairs(5, 3), "miou")):
        matrices = evaluate(network, HeldOut(pairs, [split] * len(pairs)), 3, CPU, COMPUTE)
        assert scores(matrices[split]).miou == pytest.approx(row[miou], abs=1e-3)


@pytest.mark.parametrize(("quality", "best"), [((1, 2, 3), 2), ((3, 2, 1), 0), ((1, 3, 2), 1), ((2, 2, 1), 0)])
def test_the_best_look_is_chosen_and_the_first_of_equals(train_small, tmp_path, monkeypatch, metrics, quality, best):
    states = []

    def evaluated(network, held_out, *rest, **more):
        states.append({key: value.clone() for key, value in network.state_dict().items()})
        hits = [*quality, 4][len(states) - 1]
        return {"a": np.diag([hits] * 3) + 1}

    monkeypatch.setattr(training, "evaluate", evaluated)
    _, row = train_small(tmp_path, report=metrics)
    logged = {(step, name): value for step, values in metrics.logged for name, value in values.items()}
    looks = sorted(look_points(5, 10, 3))
    assert [step for step, name in logged if name == "val_miou"] == looks
    assert row["best_step"] == looks[best]
    assert row["val_miou"] == logged[looks[best], "val_miou"]
    assert row["miou"] == logged[10, "test_miou"] == pytest.approx(5 / 9)
    # Steps 7, 8 and 10: the first is as near to three quarters as the second.
    assert row["val_rise"] == logged[10, "val_miou"] - logged[7, "val_miou"]
    # The test split is scored once, with the weights of the best look.
    assert len(states) == len(looks) + 1
    assert all(torch.equal(states[-1][key], value) for key, value in states[best].items())


@pytest.mark.parametrize(
    ("looks", "rise"),
    [
        ({100: 0.4}, None),
        ({75: 0.3, 100: 0.4}, 0.1),
        # Ten looks in the second half: the last but one is not what is compared.
        ({55 + 5 * i: 0.3 + 0.01 * i for i in range(10)}, 0.05),
        ({75: 0.4, 100: 0.38}, -0.02),
    ],
)
def test_the_rise_of_val_over_the_last_quarter(looks, rise):
    assert training.val_rise(looks) == (rise if rise is None else pytest.approx(rise))


def test_another_seed_gives_another_row(train_small, trained_small, tmp_path):
    assert train_small(tmp_path, seed=1)[1]["miou"] != trained_small[1]["miou"]


@pytest.mark.parametrize("stop", [2, 8])
def test_continued_equals_uninterrupted(train_small, trained_small, tmp_path, stop):
    with stopped_at(stop):
        train_small(tmp_path)
    # Whatever a process drew before must not matter.
    torch.manual_seed(123)
    folder, _ = train_small(tmp_path)
    for name in ("manifest.json", "model.safetensors"):
        assert (folder.result / name).read_bytes() == (trained_small[0].result / name).read_bytes()
    assert not list(tmp_path.rglob("*.pt"))


def test_an_absent_class_has_no_score(train_small, tmp_path, striped_pairs):
    pairs = striped_pairs(4, 3)
    masks = np.where(pairs.masks == 2, IGNORE_INDEX, pairs.masks)
    folder, row = train_small(
        tmp_path,
        keep_weights=False,
        settings=TrainingSettings(images=8, batch_size=4, evaluations=1),
        test=HeldOut(DecodedPairs(pairs.images, masks), ["a"] * 4),
    )
    assert row["iou_three"] is None
    assert row["miou"] == pytest.approx((row["iou_one"] + row["iou_two"]) / 2)
    assert not (folder.result / "model.safetensors").exists()
    assert json.loads((folder.result / "manifest.json").read_text())["row"]["iou_three"] is None


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_labels_is_refused_before_training(train_small, tmp_path, striped_pairs, metrics, split):
    pairs = striped_pairs(3, 0)
    empty = HeldOut(DecodedPairs(pairs.images, np.full_like(pairs.masks, IGNORE_INDEX)), ["a"] * 3)
    with pytest.raises(DataError, match=f"3 pairs of the {split} split") as caught:
        train_small(tmp_path, report=metrics, **{split: empty})
    assert f"splits.{split}" in caught.value.remedy
    assert not metrics.logged


def test_ignored_pixels_teach_nothing(train_small, tmp_path, striped_pairs, metrics):
    """A training whose pairs are ignored entirely has no gradient, and does not fail."""
    pairs = striped_pairs(4, 0)
    empty = DecodedPairs(pairs.images, np.full_like(pairs.masks, IGNORE_INDEX))
    settings = TrainingSettings(images=8, batch_size=4, evaluations=1)
    train_small(tmp_path, keep_weights=False, sources=[empty], settings=settings, report=metrics)
    losses = [values for _, values in metrics.logged if "loss" in values]
    assert [m["loss"] for m in losses] == [0]
    assert [m["gradient_norm"] for m in losses] == [0]


def test_an_estimate_of_time_grows_with_the_tiles(small_network):
    small, large = (min(seconds_an_image(small_network, 3, side, 4, COMPUTE) for _ in range(3)) for side in (32, 256))
    assert 0 < small < large


def test_agreement_is_the_score_on_the_pairs(trained_small, striped_pairs):
    folder, row = trained_small
    found = agreement(SavedNetwork(folder.result), striped_pairs(5, 3), ("one", "two", "three"), COMPUTE)
    assert found["miou"] == pytest.approx(row["miou"], abs=1e-3)
    assert found["iou"]["two"] == pytest.approx(row["iou_two"], abs=1e-3)
    masks = np.full_like(striped_pairs(2, 0).masks, 1)
    alone = DecodedPairs(striped_pairs(2, 0).images, masks)
    assert agreement(SavedNetwork(folder.result), alone, ("one", "two", "three"), COMPUTE)["iou"]["one"] is None
