from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from satsynth import tracking
from satsynth.work.files import read_json
from satsynth.work.folder import Step, WorkFolder


def folder(root: Path, name: str) -> WorkFolder:
    made = WorkFolder(root, Step(name, 1, {}, {}))
    made.result.mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def track(uri: str, root: Path, work: WorkFolder) -> str:
    """Do a run with one child in a work folder and return the parent's identifier."""
    tracker = tracking.Tracker(uri, "tests", root / "artifacts")
    tracker.start("parent", {"a.b": "1"}, {"dataset": "made"})
    with tracker.child("fpn R=1 seed=0", {"seed": "0"}, work) as child:
        for step in range(1500):
            child.metrics(step, {"loss": 1 / (step + 1)})
    tracker.reused("judge", {}, work, {"test_miou": 0.5})
    tracker.tag("digest.tiles", "abc")
    tracker.close("FINISHED")
    return tracker._parent


def test_a_continued_child_keeps_its_run_and_reused_work_is_tagged(uri: str, tmp_path: Path) -> None:
    work, client = folder(tmp_path, "diffusion"), MlflowClient(uri)
    first = track(uri, tmp_path, work)
    run = read_json(work.path / tracking.RUN_FILE)["run_id"]
    assert client.get_run(run).data.tags["mlflow.parentRunId"] == first
    assert len(client.get_metric_history(run, "loss")) == 1500
    second = track(uri, tmp_path, work)
    assert read_json(work.path / tracking.RUN_FILE)["run_id"] == run
    assert client.get_run(second).data.tags["continued.fpn R_1 seed_0"] == run
    experiment = client.get_run(first).info.experiment_id
    reused = client.search_runs([experiment], f"tags.reused_from = '{run}'")
    assert len(reused) == 2 and reused[0].data.metrics == {"test_miou": 0.5}
    parent = client.get_run(second)
    assert parent.info.status == "FINISHED" and parent.data.tags["digest.tiles"] == "abc"
    assert parent.data.params == {"a.b": "1"}


def test_a_dead_server_costs_one_warning_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING, "satsynth.tracking"):
        track("http://127.0.0.1:9", tmp_path, folder(tmp_path, "diffusion"))
    assert len([record for record in caplog.records if "has stopped" in record.message]) == 1


def test_parameters_are_flattened_by_dots() -> None:
    assert tracking.flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": "1", "a.c.d": "[2]", "e": "None"}


def test_a_folder_outside_of_git_has_no_git_tags(tmp_path: Path) -> None:
    assert tracking.git_tags(tmp_path) == {}


def test_nested_metrics_become_numbers_by_dots() -> None:
    values = {"a": {"b": 1, "c": "text", "d": {"e": 0.5}}, "f": True, "g": None, "h": float("nan")}
    found = tracking.numbers(values, "fidelity.")
    assert math.isnan(found.pop("fidelity.h"))
    assert found == {"fidelity.a.b": 1.0, "fidelity.a.d.e": 0.5}
