"""Generators that are trained at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tiny
from made_data import made_pairs, write_store
from other_machine import OtherMachine
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.families import Report, family_of
from satsynth.generation.together import train_together
from satsynth.generation.training import train_generator, training_step
from satsynth.rivals.replay import ReplaySettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import TIMING
from satsynth.work.folder import Step, WorkFolder, work_folder
from satsynth.work.workspace import Workspace

SETTINGS = {
    "diffusion": DiffusionSettings(model=tiny.MODEL, images=16, batch_size=4, looks=1, drawing={"steps": 2}),
    "replay": ReplaySettings(),
}
RAY = ComputeSettings(device="cpu", engine="ray", ray={"cores": 2}, processes=1)


class Seen:
    """What trainings reported."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.metrics_of: dict[str, list[int]] = {}
        self.drawn: list[tuple[int, ...]] = []

    @contextmanager
    def __call__(self, family: str, step: Step, folder: WorkFolder) -> Iterator[Report]:
        assert folder.step == step and family not in self.opened
        self.opened.append(family)
        seen = self

        class Told:
            def metrics(self, step: int, values: object) -> None:
                seen.metrics_of.setdefault(family, []).append(step)

            def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
                seen.drawn.append(images.shape)

        try:
            yield Told()
        finally:
            self.closed.append(family)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != TIMING}


def test_they_are_those_of_one_after_another_and_report_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, seen = OtherMachine(), Seen()
    monkeypatch.setattr("satsynth.work.ray_engine.by_ray", there)
    pairs = [pair for split in ("train", "val") for pair in made_pairs(6, split=split)]
    tiles = write_store(tmp_path / "tiles", pairs)
    workspace = Workspace(project=str(tmp_path / "together"))
    done = train_together(SETTINGS, tiles, RAY, workspace, seen)
    assert list(done) == list(SETTINGS) and seen.opened == seen.closed == list(SETTINGS)
    assert seen.metrics_of["diffusion"][-1] == 4 and seen.drawn
    assert [(name, len(units)) for name, units, _ in there.asked] == [("train_unit", 2)]
    for name, settings in SETTINGS.items():
        family = family_of(name)
        with work_folder(tmp_path / "alone", training_step(family, settings, tiles, RAY)) as folder:
            train_generator(folder, family, settings, tiles, RAY, tmp_path / "alone")
        assert content(done[name].result) == content(folder.result)

    assert not train_together(SETTINGS, tiles, RAY, workspace, seen), "they are found"
    assert len(there.asked) == 1


def test_a_training_of_several_processes_declares_what_all_of_them_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = OtherMachine()
    monkeypatch.setattr("satsynth.work.ray_engine.by_ray", there)
    tiles = write_store(tmp_path / "tiles", [*made_pairs(4), *made_pairs(2, split="val")])
    three = RAY.model_copy(update={"processes": 3})
    replay = {"replay": SETTINGS["replay"]}
    train_together(replay, tiles, three, Workspace(project=str(tmp_path)), Seen())
    ((_, _, placement),) = there.asked
    assert placement.resources.cores == 6
