"""Processes of a training: what each is dealt, what is heard from them, and why a training ended."""

from __future__ import annotations

import logging
import pickle
import signal
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from satsynth.pairs.stream import batches
from satsynth.training import device, launching
from satsynth.training.ranks import ALONE, LostRankError, Ranks
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError, SatSynthError
from satsynth.work.messages import End


class Numbers(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A stream of positions."""

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(position), torch.tensor(-position)


class Heard:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append((step, values))

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        self.calls.append((step, images.shape, masks.shape))


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_batches_are_dealt_out_in_rows(count: int) -> None:
    dealt = [
        [images for images, _ in batches(Numbers(), 12, 30, 6, 0, False, Ranks(number, count).rows(6))]
        for number in range(count)
    ]
    whole = [images for images, _ in batches(Numbers(), 12, 30, 6, 0, False)]
    assert [torch.cat(parts).tolist() for parts in zip(*dealt, strict=True)] == [batch.tolist() for batch in whole]
    assert torch.cat(whole).tolist() == list(range(12, 30))


def test_one_process_has_nobody_to_wait_for() -> None:
    given = torch.ones(3)
    ALONE.add([given])
    with ALONE.first_in_turn():
        assert given.tolist() == [1, 1, 1] and ALONE.leads


def test_one_process_is_this_one() -> None:
    found: list[Any] = []
    report, compute = Heard(), ComputeSettings(device="cpu")
    launching.in_ranks(lambda *given: found.append(given), (1, 2), compute, report)
    assert found == [(1, 2, compute, report, ALONE)]


def test_what_processes_say_is_heard_to_the_last_word(caplog: pytest.LogCaptureFixture) -> None:
    report = Heard()
    listener = launching._Listener(report, 2)
    sent = launching._Sent(listener.senders[0].send)
    sent.metrics(3, {"loss": 0.5})
    sent.pictures(4, np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.uint8))
    record = logging.LogRecord("satsynth.somewhere", logging.WARNING, "", 1, "a word", None, None)
    listener.senders[0].send(record)
    listener.senders[1].send(End(SatSynthError("Found.", "Do."), "where"))
    listener.close()
    assert report.calls == [(3, {"loss": 0.5}), (4, (2, 8, 8, 3), (2, 8, 8))]
    assert listener.failure is None and str(listener.ends[0].error) == "Found.\n  What to do: Do."
    assert "a word" in caplog.text


def test_an_error_of_the_report_ends_the_training() -> None:
    class Broken(Heard):
        def metrics(self, step: int, values: Mapping[str, float]) -> None:
            raise KeyboardInterrupt

    listener = launching._Listener(Broken(), 1)
    sent = launching._Sent(listener.senders[0].send)
    with pytest.raises(OSError):
        for step in range(100_000):
            sent.metrics(step, {})
    listener.close()
    assert isinstance(listener.failure, KeyboardInterrupt)


def test_the_cause_is_an_error_of_its_own_before_a_process_that_is_lost() -> None:
    lost, own = End(LostRankError(), ""), End(ResourceError("No memory.", "Get some."), "line 7")
    found = launching._cause([lost, own], [1])
    assert found is own.error and "line 7" in found.__notes__[0]
    killed = launching._cause([lost], [-int(signal.SIGKILL)])
    assert str(killed).startswith("A process of the training was killed (SIGKILL)")
    assert "compute.processes" in str(killed)
    assert "ended without a message" in str(launching._cause([], [1]))
    copy = pickle.loads(pickle.dumps(killed))
    assert type(copy) is LostRankError and str(copy) == str(killed)


@pytest.mark.parametrize(("processes", "gpus"), [(3, 2), (2, 1), (2, 2), (1, 1)])
def test_each_process_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, processes: int, gpus: int) -> None:
    monkeypatch.setattr(device, "choose_device", lambda compute: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    compute = ComputeSettings(processes=processes)
    if processes <= gpus:
        device.require_gpus(compute)
        return
    with pytest.raises(ResourceError, match=f"`compute.processes` is {processes}, but PyTorch finds {gpus} CUDA"):
        device.require_gpus(compute)


def test_processes_on_cpus_need_no_gpu() -> None:
    device.require_gpus(ComputeSettings(device="cpu", processes=64))
