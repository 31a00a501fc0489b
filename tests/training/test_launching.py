"""Processes of a training: what each is dealt, what is heard from them, and why a training ended."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rank_training import HISTORY, HOLD, LOOK, WEIGHTS, train_small
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


def run_small(folder: Path, processes: int, report: Any, bad: tuple[int, ...] = ()) -> None:
    compute = ComputeSettings(device="cpu", checkpoint_seconds=1e-9, processes=processes)
    folder.mkdir(exist_ok=True)
    launching.in_ranks(train_small, (folder, bad), compute, report)


def test_a_killed_process_ends_the_training_with_one_message_and_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """By Muon, with a step that one of two processes leaves out; the rest is done by one."""

    class Killer(Heard):
        def metrics(self, step: int, values: Mapping[str, float]) -> None:
            super().metrics(step, values)
            if step == LOOK:
                victim = max(process.pid or 0 for process in multiprocessing.active_children())
                os.kill(victim, signal.SIGKILL)

    whole, killer, rest = Heard(), Killer(), Heard()
    run_small(tmp_path / "one", 1, whole, (1,))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    capfd.readouterr()
    caplog.clear()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / HOLD).touch()
    with caplog.at_level(logging.INFO), pytest.raises(LostRankError) as caught:
        run_small(tmp_path / "two", 2, killer, (1,))
    assert caught.value.problem.startswith("A process of the training ") and "continues" in caught.value.remedy
    assert "Small: left out one step or more before step 4" in caplog.text, "what the first process logs is heard"
    assert len([record for record in caplog.records if record.levelno > logging.INFO]) == 1
    assert not capfd.readouterr().err.strip()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert not multiprocessing.active_children() and not (tmp_path / "two" / WEIGHTS).exists()
    assert [step for step, _ in killer.calls] == [3, LOOK]

    (tmp_path / "two" / HOLD).unlink()
    run_small(tmp_path / "two", 1, rest, (1,))
    assert [step for step, _ in rest.calls] == [6, 9]
    ours, theirs = (json.loads((tmp_path / name / HISTORY).read_text()) for name in ("two", "one"))
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-4, nan_ok=True)
    learned, expected = (torch.load(tmp_path / name / WEIGHTS) for name in ("two", "one"))
    for name, value in expected.items():
        torch.testing.assert_close(learned[name], value, rtol=1e-3, atol=1e-5)


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
