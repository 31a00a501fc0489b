import json
import logging
import math

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy import stats

from satsynth.diffusion.generator import Generator, load_generator
from satsynth.diffusion.losses import draw_sigmas, joint_loss
from satsynth.diffusion.network import StemUNet
from satsynth.diffusion.settings import DiffusionSettings, NoiseSettings
from satsynth.diffusion.training import seconds_an_image, train_denoiser
from satsynth.generation.families import Silence
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX
from stopping import stopped_at
from tiny import MODEL

RESULTS = ("model.safetensors", "ema.safetensors", "history.json", "manifest.json")


class Given:
    """A denoiser that gives what it was told to give."""

    def __init__(self, generator, estimate):
        self.preconditioning = generator.denoiser.preconditioning
        self.estimate = estimate

    def __call__(self, noisy, sigma):
        self.noisy, self.sigma = noisy, sigma
        return self.estimate


@pytest.fixture
def loss_case():
    """A generator and the arguments of its loss, with some ignored pixels."""
    random = torch.Generator().manual_seed(0)
    generator = Generator(
        MODEL,
        5,
    )
    images = torch.rand(2, 3, 8, 8, generator=random) * 2 - 1
    masks = torch.randint(0, 5, (2, 8, 8), generator=random)
    masks[0, :3] = IGNORE_INDEX
    sigma = torch.tensor([0.05, 2.0])
    noise = torch.randn(2, generator.channels, 8, 8, generator=random)
    estimate = torch.randn(2, generator.channels, 8, 8, generator=random)
    return generator, images, masks, sigma, noise, estimate


def loss_of(generator, images, masks, sigma, noise, estimate):
    generator.denoiser = Given(generator, estimate)
    total, parts = joint_loss(generator, images, masks, sigma, noise)
    return total.item(), parts["loss_image"].item(), parts["loss_label"].item()


def test_loss_against_loops(loss_case):
    generator, images, masks, sigma, noise, estimate = loss_case
    clean = generator.join(images, masks)
    weights = generator.denoiser.preconditioning.weight(sigma)
    channels = generator.channels
    found = {True: [], False: []}
    for b in range(2):
        for c in range(channels):
            for y in range(8):
                for x in range(8):
                    error = weights[b] * (estimate[b, c, y, x] - clean[b, c, y, x]) ** 2
                    counts = c < 3 or masks[b, y, x] != IGNORE_INDEX
                    found[c < 3].append(error.item() if counts else 0.0)
    image, label = np.mean(found[True]), np.mean(found[False])
    total = (3 * image + (channels - 3) * label) / channels
    assert loss_of(*loss_case) == pytest.approx((total, image, label), rel=1e-5)
    torch.testing.assert_close(generator.denoiser.noisy, clean + sigma[:, None, None, None] * noise)
    assert torch.equal(generator.denoiser.sigma, sigma[:, None].expand(-1, 2))


def test_label_estimates_of_ignored_pixels_do_not_count(loss_case):
    *case, estimate = loss_case
    masks = case[2]
    before = loss_of(*case, estimate)
    ignored = (masks == IGNORE_INDEX)[:, None]
    changed = estimate.clone()
    changed[:, 3:] += 100 * ignored
    assert loss_of(*case, changed) == before
    changed[:, :3] += 100 * ignored
    assert loss_of(*case, changed)[1] > before[1]
    changed = estimate.clone()
    changed[:, 3:] += 100 * ~ignored
    assert loss_of(*case, changed)[2] > before[2]


def test_no_loss_for_the_clean_pair_itself(loss_case):
    generator, images, masks, sigma, noise, _ = loss_case
    assert loss_of(generator, images, masks, sigma, noise, generator.join(images, masks)) == (0, 0, 0)


def test_loss_of_masks_that_are_ignored_entirely(loss_case):
    generator, images, masks, sigma, noise, estimate = loss_case
    total, image, label = loss_of(generator, images, torch.full_like(masks, IGNORE_INDEX), sigma, noise, estimate)
    assert label == 0
    assert total == pytest.approx(3 / generator.channels * image)


def test_logarithm_of_noise_levels_is_normal():
    noise = NoiseSettings(mean=-0.4, std=1.2)
    log = torch.cat([draw_sigmas(noise, 16, seeded(0, i)).log() for i in range(2000)]).numpy()
    assert log.mean() == pytest.approx(-0.4, abs=0.01)
    assert log.std() == pytest.approx(1.2, rel=0.01)
    assert stats.kstest(log, "norm", (-0.4, 1.2)).statistic < 0.01


@given(size=st.integers(1, 64), seed=st.integers(0, 1000))
def test_every_batch_covers_all_noise_levels(size, seed):
    noise = NoiseSettings(mean=0.5, std=0.8)
    levels = draw_sigmas(noise, size, seeded(seed))
    assert torch.isfinite(levels).all()
    strata = stats.norm.cdf((levels.double().log().numpy() - 0.5) / 0.8) * size
    assert np.all(strata > np.arange(size) - 1e-2)
    assert np.all(strata < np.arange(size) + 1 + 1e-2)


def contents(saved):
    return {name: (saved.path / name).read_bytes() for name in RESULTS}


@pytest.mark.parametrize("stop", [1, 13, 20])
def test_continued_equals_uninterrupted_after_a_checkpoint(train_tiny, trained, tmp_path, stop):
    with stopped_at(stop):
        train_tiny(tmp_path)
    assert not list(tmp_path.rglob("manifest.json"))
    assert contents(train_tiny(tmp_path)) == contents(trained)


def test_continued_equals_uninterrupted_after_a_log_point(train_tiny, trained, tmp_path):
    def stop(step, metrics):
        if step == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, on_metrics=stop)
    told = []
    saved = train_tiny(tmp_path, on_metrics=lambda step, metrics: told.append(step))
    assert contents(saved) == contents(trained)
    assert told == [20, 24, 24]
    assert not list(tmp_path.rglob("*.pt"))


def test_trained_generator_says_what_it_is(trained):
    assert {path.name for path in trained.path.iterdir()} == {*RESULTS, "timing.json"}
    assert trained.seconds > 0
    assert trained.scenes == {"a", "b"}
    assert trained.tile_size == 32
    assert trained.manifest["images"] == 48
    assert trained.manifest["model"]["network"]["widths"] == [16, 32]
    assert trained.parents == {"tiles": "0"}
    history = json.loads((trained.path / "history.json").read_text())
    assert [point["step"] for point in history if "loss" in point] == [20, 24]
    assert [point["step"] for point in history if "val_error" in point] == [6, 12, 18, 24]
    assert all(math.isfinite(value) for point in history for value in point.values())


def test_another_seed_gives_another_generator(train_tiny, trained, tmp_path):
    other = load_file(train_tiny(tmp_path, images=4, seed=1).path / "model.safetensors")
    same = load_file(train_tiny(tmp_path, images=4, seed=0).path / "model.safetensors")
    assert not torch.equal(other["network.unet.conv_in.weight"], same["network.unet.conv_in.weight"])


def test_averaged_weights_differ_and_are_the_ones_that_are_loaded(trained):
    last, averaged = (load_file(trained.path / name) for name in RESULTS[:2])
    assert last.keys() == averaged.keys()
    assert not torch.equal(last["network.unet.conv_out.weight"], averaged["network.unet.conv_out.weight"])
    for flag, expected in ((True, averaged), (False, last)):
        found = load_generator(trained, torch.device("cpu"), flag).denoiser.state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_loss_falls(train_tiny, tmp_path):
    saved = train_tiny(tmp_path, images=240, checkpoint_seconds=60)
    history = json.loads((saved.path / "history.json").read_text())
    losses = [point["loss"] for point in history if "loss" in point]
    assert losses[-1] < 0.6 * losses[0]


def test_a_tile_size_that_does_not_fit_is_refused_before_training(training_pairs, tmp_path):
    settings = DiffusionSettings(
        model=MODEL,
        images=4,
    )
    origin = {"classes": [{"name": "a"}, {"name": "b"}], "tile_size": 40, "scenes": []}
    with work_folder(tmp_path, Step("diffusion", 1, {}, {})) as folder, pytest.raises(SatSynthError, match="40"):
        compute = ComputeSettings(device="cpu")
        train_denoiser(folder, training_pairs, training_pairs, origin, settings, compute, Silence())


def test_gradient_checkpointing_changes_no_bit(train_tiny, trained, tmp_path, monkeypatch):
    calls = []
    enable = UNet2DModel.enable_gradient_checkpointing
    monkeypatch.setattr(UNet2DModel, "enable_gradient_checkpointing", lambda self: calls.append(self) or enable(self))
    saved = train_tiny(tmp_path, gradient_checkpointing=True)
    assert len(calls) == 2, "for the training, and for the estimate of its time"
    ours, plain = (load_file(folder.path / "model.safetensors") for folder in (saved, trained))
    assert all(torch.equal(ours[name], value) for name, value in plain.items())


def test_the_trained_network_is_compiled_and_the_averaged_one_is_not(train_tiny, trained, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(StemUNet, "compile", lambda self: compiled.append(self))
    saved = train_tiny(tmp_path, compile=True)
    assert len(compiled) == 1
    # Names of weights are those of the plain network.
    assert set(load_file(saved.path / "model.safetensors")) == set(load_file(trained.path / "model.safetensors"))


def test_an_estimate_of_time_grows_with_the_tiles_and_refuses_those_that_do_not_fit():
    settings = DiffusionSettings(
        model=MODEL,
        images=4,
        batch_size=2,
    )
    compute = ComputeSettings(device="cpu")
    small, large = (min(seconds_an_image(settings, 3, side, compute) for _ in range(3)) for side in (32, 256))
    assert 0 < small < large
    with pytest.raises(SatSynthError, match="40"):
        seconds_an_image(settings, 3, 40, compute)


def test_the_last_line_says_how_much_was_seen_and_how_well_it_went(train_tiny, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        saved = train_tiny(tmp_path, looks=2)
    errors = {
        row["step"]: row["val_error"]
        for row in json.loads((saved.path / "history.json").read_text())
        if "val_error" in row
    }
    best = min(errors, key=errors.get)
    begun, line = (record.message for record in caplog.records if "minutes" in record.message)
    assert begun.startswith("Diffusion: training on 48 images of 10 real pairs (32 x 32, 4 classes), on CPU")
    assert line.startswith("Diffusion: 48 images in 0.")
    assert line.endswith(f"val error {errors[24]:.3f}, least {errors[best]:.3f} at step {best}")
