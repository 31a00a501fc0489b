"""`fresh=true` means anew for every step, and for every part that a step keeps by itself."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_data import made_pairs, write_store
from satsynth.measuring import FeatureSet
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import DigestCache
from satsynth.work.folder import Step
from satsynth.work.remembered import is_remembered, remembered, remembered_table
from satsynth.work.workspace import Workspace

SOURCE = Path(__file__).parents[2] / "src/satsynth"
STEP = Step("training", 1, {}, {"seed": 0})


def runs(tmp_path: Path) -> tuple[Workspace, Workspace, Workspace]:
    """Return a usual run and two that do everything anew."""
    first, second = (Workspace(project=str(tmp_path), fresh=True) for _ in range(2))
    return Workspace(project=str(tmp_path)), first, second


def test_remembered_work_is_done_once_in_each_run_that_begins_anew(tmp_path: Path) -> None:
    usual, first, second = runs(tmp_path)
    done: list[str] = []
    for run in (usual, usual, first, first, second, usual):
        remembered(run, STEP, lambda folder: (done.append("done"), folder.finish({})))
    assert len(done) == 3
    assert is_remembered(usual, STEP) and not is_remembered(first, STEP)


def test_features_are_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(judge: object, images: np.ndarray, compute: ComputeSettings) -> np.ndarray:
        seen.append(len(images))
        return images.mean((1, 2))

    monkeypatch.setattr("satsynth.segmentation.features.image_features", counted)
    pairs = write_store(tmp_path / "store", made_pairs(4, split="synthetic"))
    usual, first, _ = runs(tmp_path)
    # In place of a judge anything with a digest will do, since its features are made here.
    judge: Any = pairs
    for run in (usual, usual, first, first):
        FeatureSet(pairs, "synthetic_pairs", "synthetic", judge).load(ComputeSettings(device="cpu"), run)
    assert seen == [4, 4]


def test_raw_files_are_read_anew(tmp_path: Path) -> None:
    file, kept = tmp_path / "scene.png", tmp_path / "digests.json"
    file.write_bytes(b"one")
    cache = DigestCache(kept)
    before = cache.digest(file)
    cache.save()
    # Size and time are those of before.
    stat = file.stat()
    file.write_bytes(b"two")

    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert DigestCache(kept).digest(file) == before
    assert DigestCache(kept, forget=True).digest(file) != before


def test_nothing_opens_a_work_folder_past_the_run(tmp_path: Path) -> None:
    """Every step goes through `remembered`, or says which run does it."""
    allowed = {"work/folder.py", "work/remembered.py"}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "work_folder" and name not in allowed:
                assert len(call.args) == 3, f"{name}:{call.lineno}"
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DigestCache":
                assert "forget" in {keyword.arg for keyword in call.keywords}, f"{name}:{call.lineno}"


def test_tables_are_computed_anew(tmp_path: Path) -> None:

    usual, first, _ = runs(tmp_path)
    numbers = iter(range(10))
    found = [
        remembered_table(run, STEP, lambda: (pd.DataFrame({"value": [next(numbers)]}), {}))[0]["value"][0]
        for run in (usual, usual, first, first, usual)
    ]
    assert found == [0, 0, 1, 1, 1]
