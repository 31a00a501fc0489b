import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream
from satsynth.training.checkpoint import load_checkpoint, save_checkpoint
from satsynth.training.loop import MOST_BAD_STEPS, Training, look_points, train, warm_cosine
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError

CPU = torch.device("cpu")
OFTEN = ComputeSettings(device="cpu", checkpoint_seconds=1e-9)
BATCH, STEPS = 3, 10
BAD = (4, 5)


def plain_loss(network, images, masks):
    return nn.functional.cross_entropy(network(images), masks)


def made(optimizer=lambda p: torch.optim.SGD(p, 0.1), stop=None, loss_at=None, network=None, **settings):
    """Return a training of a tiny network, which stops before step ``stop``."""
    torch.manual_seed(1)
    network = network or nn.Conv2d(3, 2, 3, padding=1)

    def step_loss(images, masks, seen):
        step = seen // BATCH
        if stop is not None and step == stop:
            raise KeyboardInterrupt
        loss = plain_loss(network, images, masks)
        if loss_at is not None:
            loss = loss_at(step, loss)
        yield loss, {"twice": 2 * loss.detach()}

    built = optimizer(network.parameters())
    defaults = {
        "title": "Made",
        "network": network,
        "optimizer": built,
        "step_loss": step_loss,
        "steps": STEPS,
        "batch_size": BATCH,
        "rate_at": warm_cosine(0.2, STEPS, 2),
        "clip": 1e9,
        "parts": {"network": network, "optimizer": built},
        "log_every": 4,
    }
    return Training(**{**defaults, **settings})


def run(training, stream, path, on_metrics=lambda step, metrics: None, compute=OFTEN):
    return train(training, stream, path, CPU, compute, on_metrics)


def by_hand(stream, skip=(), optimizer=torch.optim.SGD):
    """The same training as a plain loop."""
    torch.manual_seed(1)
    network = nn.Conv2d(3, 2, 3, padding=1)
    built = optimizer(network.parameters(), 0.1)
    rate_at = warm_cosine(0.2, STEPS, 2)
    for step in range(STEPS):
        if step in skip:
            continue
        pairs = [stream[step * BATCH + i] for i in range(BATCH)]
        loss = plain_loss(network, torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs]))
        built.param_groups[0]["lr"] = rate_at(step)
        built.zero_grad()
        loss.backward()
        built.step()
    return network


def test_equals_a_loop_by_hand(stream, tmp_path):
    training = made()
    run(training, stream, tmp_path / "c.pt")
    for ours, theirs in zip(training.network.parameters(), by_hand(stream).parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_continued_equals_uninterrupted(stream, tmp_path, stop):
    def adam(parameters):
        return torch.optim.AdamW(parameters, 0.1)

    whole, broken, continued = made(adam), made(adam, stop=stop), made(adam)
    run(whole, stream, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        run(broken, stream, tmp_path / "c.pt")
    run(continued, stream, tmp_path / "c.pt")
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, continued.network.state_dict()[key])
    assert whole.history == continued.history
    assert [point["step"] for point in whole.history] == [4, 8, 10]


def test_nothing_done_is_done_again(stream, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(made(stop=6), stream, tmp_path / "c.pt")
    seen = []
    continued = made(loss_at=lambda step, loss: seen.append(step) or loss)
    run(continued, stream, tmp_path / "c.pt")
    assert seen == [6, 7, 8, 9]


def test_seconds_before_an_interruption_count(stream, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(made(stop=6), stream, tmp_path / "c.pt")
    state = load_checkpoint(tmp_path / "c.pt")
    save_checkpoint(tmp_path / "c.pt", {**state, "seconds": 1e6})
    assert 1e6 <= run(made(), stream, tmp_path / "c.pt") < 1e6 + 100


def test_metrics_are_means_since_the_last_log_point(stream, tmp_path):
    losses, told = [], []
    training = made(loss_at=lambda step, loss: losses.append(loss.item()) or loss)
    run(training, stream, tmp_path / "c.pt", lambda step, metrics: told.append((step, dict(metrics))))
    assert [step for step, _ in told] == [4, 8, 10]
    expected = [np.mean(losses[a:b]) for a, b in ((0, 4), (4, 8), (8, 10))]
    assert [m["loss"] for _, m in told] == pytest.approx(expected, rel=1e-5)
    assert [m["twice"] for _, m in told] == pytest.approx([2 * x for x in expected], rel=1e-5)
    assert [m["learning_rate"] for _, m in told] == [training.rate_at(step - 1) for step in (4, 8, 10)]
    assert [point["loss"] for point in training.history] == [m["loss"] for _, m in told]


def test_gradient_is_clipped(stream, tmp_path):
    training = made(steps=1, clip=0.01, rate_at=lambda step: 1.0, loss_at=lambda step, loss: 100 * loss)
    before = nn.utils.parameters_to_vector(training.network.parameters()).detach()
    run(training, stream, tmp_path / "c.pt")
    change = nn.utils.parameters_to_vector(training.network.parameters()).detach() - before
    assert change.norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_step_that_is_not_finite_is_skipped(stream, tmp_path, value, optimizer, caplog):
    """Skipped, not taken with a gradient of zero: moments and weight decay would still move the weights."""
    training = made(
        optimizer=lambda p: optimizer(p, 0.1), loss_at=lambda step, loss: loss * value if step in BAD else loss
    )
    with caplog.at_level(logging.WARNING):
        run(training, stream, tmp_path / "c.pt")
    for ours, theirs in zip(
        training.network.parameters(), by_hand(stream, skip=BAD, optimizer=optimizer).parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert [record.message for record in caplog.records if "left out one step or more before step 9" in record.message]


def test_a_skipped_step_leaves_running_statistics_as_they_were(tmp_path):
    """A batch that overflows has changed the means of batch normalisation before its gradient is known."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (30, 16, 16, 3), np.uint8)
    pairs = [PairStream([DecodedPairs(images, random.integers(0, 2, (30, 16, 16), np.uint8))], 4)[i] for i in range(30)]

    def trained(bad):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
        shown = [(image * float("inf") if i // BATCH in bad else image, mask) for i, (image, mask) in enumerate(pairs)]
        run(made(network=network, rate_at=lambda step: 0.0), shown, tmp_path / f"{len(bad)}.pt")
        return network

    spoilt = trained(BAD)
    torch.manual_seed(1)
    wanted = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    for step in set(range(STEPS)) - set(BAD):
        wanted(torch.stack([pairs[step * BATCH + i][0] for i in range(BATCH)]))
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(spoilt[1], name), getattr(wanted[1], name))
    assert not torch.equal(trained(())[1].running_mean, spoilt[1].running_mean)


def test_many_steps_in_a_row_that_are_not_finite_stop(stream, tmp_path):
    training = made(steps=60, loss_at=lambda step, loss: loss * math.nan if step >= 5 else loss)
    with pytest.raises(SatSynthError, match="not finite in 11 steps in a row, up to step 16") as caught:
        run(training, stream, tmp_path / "c.pt")
    assert "learning rate" in caught.value.remedy
    assert all(torch.isfinite(p).all() for p in training.network.parameters())
    assert (tmp_path / "c.pt").exists()


def test_fewer_in_a_row_do_not_stop(stream, tmp_path):
    few = MOST_BAD_STEPS - 1
    training = made(steps=few + 3, loss_at=lambda step, loss: loss * math.nan if 2 <= step < 2 + few else loss)
    run(training, stream, tmp_path / "c.pt")
    assert training.history[-1]["step"] == few + 3


@pytest.mark.parametrize(("steps", "warmup"), [(100, 10), (7, 1), (1, 1), (5, 5)])
def test_warm_cosine(steps, warmup):
    rate_at = warm_cosine(0.3, steps, warmup)
    rates = [rate_at(step) for step in range(steps)]
    assert rates[0] == pytest.approx(0.3 / warmup)
    assert rates[warmup - 1] == pytest.approx(0.3)
    assert rate_at(steps) == pytest.approx(0 if steps > warmup else 0.3)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert all(0 < rate <= 0.3 for rate in rates)
    middle = rate_at(warmup + (steps - warmup) / 2)
    assert middle == pytest.approx(0.15 if steps > warmup else 0.3)


@given(first=st.integers(0, 250), length=st.integers(1, 250), number=st.integers(1, 20))
def test_look_points(first, length, number):
    looks = look_points(first, first + length, number)
    assert max(looks) == first + length
    assert min(looks) >= first
    assert len(looks) <= number
    if length >= 2 * number:
        assert len(looks) == number
        assert np.ptp(np.diff([first, *sorted(looks)])) <= 1
