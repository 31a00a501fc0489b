"""Which runs, parameters, inputs and numbers trainings show; what is trained is left out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from made_data import made_pairs, write_store
from satsynth import tracking
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.families import Report
from satsynth.generation.settings import GenerationSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.judge.nodes import train_judge
from satsynth.pipelines.segmentation.nodes import train_networks
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import write_timing
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.workspace import Workspace

SCORES = {"miou": 0.5, "mf1": 0.6, "accuracy": 0.7, "boundary_f1": None}
SEGMENTATION = SegmentationSettings.model_validate(
    {
        "networks": {"small": {"architecture": "unet", "encoder": "resnet18"}},
        "judge": {"network": "small"},
        "ratios": [0, 0.5],
        "seeds": [0],
        "training": {"images": 32},
    }
)


class Recorder(tracking.NoTracker):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, dict[str, str], list[str]]] = []
        self.reuses: list[tuple[str, dict[str, Any], list[str]]] = []
        self.values: list[tuple[str, int, dict[str, float]]] = []

    @contextmanager
    def child(self, name: str, params: Any, folder: Any, inputs: Any = ()) -> Iterator[tracking.Child]:
        self.begun.append((name, dict(params), [given.name for given in inputs]))
        yield tracking.Child(self, name)

    def reused(self, name: str, params: Any, folder: Any, values: Any, inputs: Any = ()) -> None:
        self.reuses.append((name, dict(values), [given.name for given in inputs]))

    def metrics(self, key: str, step: int, values: Any) -> None:
        self.values.append((key, step, dict(values)))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(tracking, "active_tracker", lambda: recorder)
    return recorder


@pytest.fixture
def tiles(tmp_path: Path) -> PairStore:
    pairs = [pair for split in ("train", "val", "test") for pair in made_pairs(4, split=split)]
    return write_store(tmp_path / "tiles", pairs)


def test_a_segmentation_training_shows_what_a_plot_of_miou_by_ratio_needs(
    recorder: Recorder, tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(folder: Any, task: Any, held_out: Any, compute: Any, report: Any) -> None:
        report.metrics(2, {"val_miou": 0.4})
        write_timing(folder.result, 1)
        folder.finish({"kind": "segmentation", "row": {**task.columns, **SCORES}, "confusion": {}})

    monkeypatch.setattr("satsynth.segmentation.training.train_network", train)
    monkeypatch.setattr("satsynth.segmentation.training.seconds_an_image", lambda *_: 1.0)
    synthetic = write_store(tmp_path / "synthetic", made_pairs(8, split="synthetic"), parents={"tiles": tiles.digest})
    for _ in range(2):
        train_networks(tiles, synthetic, SEGMENTATION, ComputeSettings(), Workspace(project=str(tmp_path)))
    (_, real_params, real_inputs), (name, params, inputs) = recorder.begun
    assert name == "small R=0.5 seed=0" and inputs == ["tiles", "synthetic_pairs"]
    assert real_inputs == ["tiles"], "real pairs alone saw no synthetic ones"
    assert set(params) - set(real_params) == {"synthetic.rows"}
    assert {"ratio": "0.5", "network": "small", "seed": "0", "augmentation": "flips"}.items() <= params.items()
    assert {"training.images": "32", "model.encoder": "resnet18", "precision": "fp32"}.items() <= params.items()
    logged = [values for values in recorder.values if values[0] == name]
    assert logged == [(name, 0, {"ratio": 0.5}), (name, 2, {"val_miou": 0.4})]
    final = {f"test_{score}": value for score, value in SCORES.items()}
    assert recorder.reuses[1] == (name, {**final, "ratio": 0.5}, ["tiles", "synthetic_pairs"])


def test_trainings_on_the_pairs_of_several_families_are_told_apart(recorder: Recorder, tiles: PairStore) -> None:
    trainings, folder = TrackedTrainings("gan"), WorkFolder(tiles.path, Step("made", 1, {}, {}))
    for inputs in ({"tiles": tiles}, {"tiles": tiles, "synthetic_pairs": tiles}):
        with trainings.training("small R=1 seed=0", {}, folder, inputs):
            pass
        trainings.reused("small R=1 seed=0", {}, folder, {}, inputs)
    # On real pairs only, all families share one training.
    wanted = ["small R=1 seed=0", "gan: small R=1 seed=0"]
    assert [name for name, *_ in recorder.begun] == wanted == [name for name, *_ in recorder.reuses]


def test_a_generators_training_shows_its_settings_and_tiles(
    recorder: Recorder, tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(
        folder: Any, pairs: Any, val: Any, origin: Any, settings: Any, compute: Any, report: Report, unlabelled: Any
    ) -> None:
        report.metrics(20, {"loss": 0.5})
        folder.finish({"kind": "generator"})

    monkeypatch.setattr("satsynth.diffusion.training.train_denoiser", train)
    settings, workspace = DiffusionSettings(images=8), Workspace(project=str(tmp_path))
    for _ in range(2):
        make_generator(tiles, GenerationSettings(), ComputeSettings(device="cpu"), workspace, diffusion=settings)
    ((name, params, inputs),) = recorder.begun
    assert name == "diffusion" and params["images"] == "8" and inputs == ["tiles"]
    assert recorder.values == [("diffusion", 20, {"loss": 0.5})]
    assert recorder.reuses == [("diffusion", {}, ["tiles"])]


class BegunError(Exception):
    """Stops a training before its first step."""


def test_only_a_new_training_of_the_generator_is_estimated(
    tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from satsynth.diffusion import training

    def begin(training_: Any, stream: Any, checkpoint: Path, *_: Any) -> None:
        checkpoint.touch()
        raise BegunError

    monkeypatch.setattr(training, "seconds_an_image", lambda *_, **__: 1.5)
    monkeypatch.setattr(training, "train", begin)
    monkeypatch.setattr(training, "check_size", lambda *_: None)
    run, lines = Workspace(project=str(tmp_path)), []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO), pytest.raises(BegunError):
            compute, settings = ComputeSettings(device="cpu"), DiffusionSettings(images=80, start_from="")
            make_generator(tiles, GenerationSettings(), compute, run, diffusion=settings)
        lines += caplog.messages
    assert len(lines) == 2 and all("80 images of 4 real pairs" in line and "CPU" in line for line in lines)
    assert re.search(r", about 2\.0 minutes, \d+\.\d of \d+\.\d GiB of memory$", lines[0]) and "minutes" not in lines[1]


def test_the_judge_is_announced_before_it_is_trained(
    tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from satsynth.segmentation import training

    def begin(*_: Any, **named: Any) -> None:
        raise BegunError

    monkeypatch.setattr(training, "train_network", begin)
    with caplog.at_level(logging.INFO), pytest.raises(BegunError):
        train_judge(tiles, SEGMENTATION, ComputeSettings(device="cpu"), Workspace(project=str(tmp_path)))
    (line,) = caplog.messages
    assert line.startswith("Judge: small, trained on 32 images = 8.0 epochs of 4 real pairs, on CPU")
