import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from satsynth.diffusion.settings import DiffusionDrawing
from satsynth.diffusion.watching import DRAWN, LEVELS, Watch, denoising_errors
from satsynth.pairs.cache import DecodedPairs
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
DRAWING = DiffusionDrawing(steps=6)


class Fixed(torch.nn.Module):
    """A denoiser that gives a multiple of the noisy pair."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, noisy, sigma):
        return self.factor * noisy


def test_an_estimate_of_zero_has_an_error_of_one(random_generator, training_pairs):
    generator = random_generator.with_denoiser(Fixed(0.0))
    for level in LEVELS:
        found = denoising_errors(generator, training_pairs, level, CPU, COMPUTE)
        assert found == {"image": pytest.approx(1), "label": pytest.approx(1)}


def test_the_noisy_pair_itself_has_the_error_of_its_noise(random_generator, training_pairs):
    generator = random_generator.with_denoiser(Fixed(1.0))
    image = torch.from_numpy(np.array(training_pairs.images)).float() / 127.5 - 1
    found = denoising_errors(generator, training_pairs, 0.4, CPU, COMPUTE)
    assert found["image"] == pytest.approx(0.16 / image.square().mean().item(), rel=0.02)
    # All labelled channels are +-scale.
    assert found["label"] == pytest.approx(0.16 / generator.code.scale**2, rel=0.02)


def test_without_labels_there_is_no_label_error(random_generator, training_pairs):
    empty = DecodedPairs(training_pairs.images, np.full_like(training_pairs.masks, IGNORE_INDEX))
    found = denoising_errors(random_generator, empty, 0.4, CPU, COMPUTE)
    assert set(found) == {"image"}
    assert found["image"] > 0
    watch = Watch(empty, empty, DRAWING, CPU, COMPUTE, lambda *look: None)
    assert watch.look(random_generator, 1)["val_error"] > 0


def test_looks_are_repeatable_and_leave_no_trace(random_generator, training_pairs):
    shown = []
    held_out = training_pairs.take(np.arange(4))
    watch = Watch(training_pairs, held_out, DRAWING, CPU, COMPUTE, lambda *look: shown.append(look))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = watch.look(random_generator, 3), watch.look(random_generator, 5)
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)
    assert len(first) == 2 * 2 * len(LEVELS) + 1
    held_out = [v for name, v in first.items() if name.startswith("val_") and name != "val_error"]
    assert first["val_error"] == pytest.approx(np.mean(held_out))
    assert [step for step, _, _ in shown] == [3, 5]
    for _, images, masks in shown:
        assert (images.shape, images.dtype) == ((DRAWN, 32, 32, 3), np.uint8)
        assert (masks.shape, masks.dtype) == ((DRAWN, 32, 32), np.uint8)
        assert masks.max() < 4
        assert np.array_equal(images, shown[0][1])


def test_over_fitting_shows(train_tiny, tmp_path):
    """Two pairs learned by heart: the error on them falls below that on others."""
    told = {}
    train_tiny(
        tmp_path,
        images=1200,
        on_metrics=lambda step, metrics: told.update(metrics),
        checkpoint_seconds=60,
        only=2,
        looks=1,
    )

    assert told["train_label_error.sigma_1.5"] < 0.8 * told["val_label_error.sigma_1.5"]


@pytest.mark.parametrize(("best_at", "keep"), [(1, "best"), (2, "best"), (1, "last")])
def test_which_weights_are_kept(train_tiny, tmp_path, monkeypatch, best_at, keep):
    seen = []

    def look(self, generator, step):
        seen.append({key: value.clone() for key, value in generator.denoiser.state_dict().items()})
        return {"val_error": 0.0 if len(seen) == best_at else 1.0}

    monkeypatch.setattr(Watch, "look", look)
    saved = train_tiny(tmp_path, keep=keep, looks=3)
    kept = load_file(saved.path / "ema.safetensors")
    expected = best_at - 1 if keep == "best" else 2
    assert all(torch.equal(kept[key], value) for key, value in seen[expected].items())
    assert not all(torch.equal(kept[key], value) for key, value in seen[0 if expected else 1].items())
    assert saved.manifest["averaged_at_step"] == (8 * best_at if keep == "best" else 24)
