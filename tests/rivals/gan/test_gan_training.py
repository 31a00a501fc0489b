from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from satsynth.generation.drawers import Request
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.rivals.gan.family import AVERAGED, FAMILY
from satsynth.rivals.gan.settings import GanDrawing, GanSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from stopping import stopped_at
from tiny_gan import SETTINGS, Metrics

COMPUTE = ComputeSettings(device="cpu")
RESULTS = (AVERAGED, "history.json", "manifest.json")
Train = Callable[..., SavedGenerator]


def contents(saved: SavedGenerator) -> dict[str, bytes]:
    return {name: (saved.path / name).read_bytes() for name in RESULTS}


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_continued_equals_uninterrupted(
    train_tiny: Train, trained: SavedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Stopped before, at and after steps with penalties."""
    with stopped_at(stop):
        train_tiny(tmp_path)
    assert not list(tmp_path.rglob("manifest.json"))
    # Whatever a process drew before must not matter.
    torch.manual_seed(123)
    assert contents(train_tiny(tmp_path)) == contents(trained)
    assert not list(tmp_path.rglob("*.pt"))


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    train_tiny: Train, trained: SavedGenerator, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, report=Metrics(stop=10))
    (last,) = tmp_path.rglob("checkpoint.pt")
    last.write_bytes(last.read_bytes()[:1000])
    assert contents(train_tiny(tmp_path)) == contents(trained)


def test_a_trained_gan_says_what_it_is_and_holds_no_pickle(train_tiny: Train, trained: SavedGenerator) -> None:
    assert {path.name for path in trained.path.iterdir()} == {*RESULTS, "timing.json"}
    assert trained.family == "gan" and trained.manifest["images"] == 40
    assert trained.manifest["model"] == SETTINGS.network.model_dump(mode="json")
    assert load_file(trained.path / AVERAGED).keys() >= {"start", "mapping.layers.0.weight"}
    history = json.loads((trained.path / "history.json").read_text())
    assert [row["step"] for row in history if "val_score" in row] == [5, 10]
    assert {"image_discriminator", "pair_discriminator", "loss"} <= history[-1].keys()


def test_looks_draw_pairs(train_tiny: Train, tmp_path: Path) -> None:
    report = Metrics()
    train_tiny(tmp_path, report=report)
    assert [step for step, _, _ in report.drawn] == [5, 10]
    assert report.drawn[0][1].shape == (8, 8, 8, 3) and report.drawn[0][2].max() <= 1
    assert not np.array_equal(report.drawn[0][1], report.drawn[1][1])


def test_tiles_that_do_not_fit_are_refused_before_training(train_tiny: Train, tmp_path: Path) -> None:
    network = SETTINGS.network.model_copy(update={"pair_layers": 4})
    with pytest.raises(SatSynthError, match=r"`tiling.tile_size` is 8"):
        train_tiny(tmp_path, SETTINGS.model_copy(update={"network": network}))


def test_truncated_pairs_vary_less(trained: SavedGenerator) -> None:
    def drawn(truncation: float) -> np.ndarray:
        settings = SETTINGS.model_copy(update={"drawing": GanDrawing(truncation=truncation)})
        return FAMILY.load(trained, settings, COMPUTE).draw(range(16), Request(0))[0].astype(float)

    spreads = [drawn(truncation).std(0).mean() for truncation in (1.0, 0.5, 0.0)]
    assert spreads[0] > spreads[1] > spreads[2]


def distance(real: DecodedPairs, images: np.ndarray, masks: np.ndarray) -> float:
    """Return the energy distance of two sets of pairs, as vectors of colours and classes."""
    sets = [
        torch.from_numpy(np.concatenate([i.reshape(len(i), -1) / 255, (m == 1).reshape(len(m), -1)], 1)).float()
        for i, m in ((real.images[4:], real.masks[4:]), (images, masks))
    ]
    across = torch.cdist(*sets).mean()
    return float(2 * across - sum(torch.cdist(one, one).mean() for one in sets))


def test_a_short_training_comes_closer_to_the_data(
    train_tiny: Train, two_colours: DecodedPairs, tmp_path: Path
) -> None:
    network = SETTINGS.network.model_copy(update={"width": 16, "widest": 32, "mapping": 1})
    learning = {"learning_rate": 4e-3, "gradient_weight": 0.5, "path_weight": 0.0, "feature_weight": 10.0, "ema": 0.9}

    def drawn(steps: int) -> float:
        settings = GanSettings(network=network, images=16 * steps, batch_size=16, looks=1, **learning)
        saved = train_tiny(tmp_path / str(steps), settings, often=False)
        return distance(two_colours, *FAMILY.load(saved, settings, COMPUTE).draw(range(64), Request(0)))

    begun, trained = drawn(1), drawn(150)
    assert trained < 0.9 * begun
