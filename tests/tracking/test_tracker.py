from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from mlflow.tracking import MlflowClient
from requests import ReadTimeout
from servers import wait_until

from made_data import made_pairs, write_store
from satsynth import tracking
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.tracking.store import RUN_FILE
from satsynth.work.files import digest_of, read_json, write_json
from satsynth.work.folder import Step, WorkFolder


def track(uri: str, root: Path, work: WorkFolder) -> str:
    """Do a run with one child in a work folder and return the parent's identifier."""
    tracker = tracking.Tracker(uri, "tests", root / "artifacts")
    tracker.start("parent", {"a.b": "1"}, {"dataset": "made"}, lambda: {"more": "told"})
    with tracker.child("fpn R=1 seed=0", {"seed": "0"}, work) as child:
        for step in range(1500):
            child.metrics(step, {"loss": 1 / (step + 1)})
    # What the run has done itself, or shown before, is not shown again.
    for name in ("fpn R=1 seed=0", "judge", "judge"):
        tracker.reused(name, {}, work, {"test_miou": 0.5, "boundary_f1": None})
    tracker.tag("digest.tiles", "abc")
    tracker.metrics("", 100, {"miou.fpn R=1 50%": 0.25})
    tracker.close("FINISHED")
    return tracker._writer.ids[""]


def test_a_result_is_a_child_that_is_finished_at_once(local: str, tmp_path: Path) -> None:
    client, tracker = MlflowClient(local), tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.finished("pairs of gan", {"family": "gan"}, {"fid": 12.5, "sfid": float("nan"), "miou": None})
    tracker.close("FINISHED")
    parent = client.get_run(tracker._writer.ids[""])
    (child,) = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert child.info.status == "FINISHED" and child.info.run_name == "pairs of gan"
    assert child.data.params == {"family": "gan"} and "reused_from" not in child.data.tags
    assert child.data.metrics["fid"] == 12.5 and "miou" not in child.data.metrics


def test_a_continued_child_keeps_its_run_and_reused_work_is_tagged(
    local: str, tmp_path: Path, work: WorkFolder
) -> None:
    client = MlflowClient(local)
    first = track(local, tmp_path, work)
    run = read_json(work.path / RUN_FILE)["run_id"]
    assert client.get_run(run).data.tags["mlflow.parentRunId"] == first
    assert len(client.get_metric_history(run, "loss")) == 1500
    second = track(local, tmp_path, work)
    assert read_json(work.path / RUN_FILE)["run_id"] == run
    assert client.get_run(second).data.tags["continued.fpn R_1 seed_0"] == run
    experiment = client.get_run(first).info.experiment_id
    reused = client.search_runs([experiment], f"tags.reused_from = '{run}'")
    assert len(reused) == 2 and reused[0].data.metrics == {"test_miou": 0.5}
    parent = client.get_run(second)
    assert parent.info.status == "FINISHED" and parent.data.tags["digest.tiles"] == "abc"
    assert parent.data.tags["more"] == "told" and parent.data.params == {"a.b": "1"}
    assert parent.data.metrics == {"miou.fpn R_1 50 percent": 0.25}


def test_a_run_deleted_by_its_user_is_not_continued(local: str, tmp_path: Path, work: WorkFolder) -> None:
    track(local, tmp_path, work)
    run = read_json(work.path / RUN_FILE)["run_id"]
    MlflowClient(local).delete_run(run)
    track(local, tmp_path, work)
    again = read_json(work.path / RUN_FILE)["run_id"]
    assert again != run and MlflowClient(local).get_run(again).info.status == "FINISHED"


def test_metrics_are_there_while_the_training_runs(
    local: str, tmp_path: Path, work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satsynth.tracking.tracker.FLUSH_SECONDS", 0.1)
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    with tracker.child("diffusion", {}, work) as child:
        child.metrics(20, {"loss": 0.5})
        wait_until((work.path / RUN_FILE).exists)
        run = read_json(work.path / RUN_FILE)["run_id"]
        wait_until(lambda: MlflowClient(local).get_run(run).data.metrics == {"loss": 0.5})
        assert MlflowClient(local).get_run(run).info.status == "RUNNING"
    tracker.close("FINISHED")


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_child_ends_as_its_training_does(
    error: type[BaseException] | None, status: str, local: str, tmp_path: Path, work: WorkFolder
) -> None:
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    try:
        with tracker.child("diffusion", {}, work):
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    tracker.close(status)
    run = read_json(work.path / RUN_FILE)["run_id"]
    assert MlflowClient(local).get_run(run).info.status == status


def test_stores_are_inputs_by_name_and_digest_of_runs_that_saw_them(
    local: str, tmp_path: Path, work: WorkFolder
) -> None:
    store = write_store(tmp_path / "store", made_pairs(5))
    seen = tracking.data_inputs(tiles=store, synthetic_pairs=None)
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.inputs(tiles=store)
    tracker.inputs(tiles=store)
    with tracker.child("diffusion", {}, work, seen):
        pass
    tracker.close("FINISHED")
    for run in (tracker._writer.ids[""], read_json(work.path / RUN_FILE)["run_id"]):
        found = MlflowClient(local).get_run(run).inputs.dataset_inputs
        assert [(given.dataset.name, given.dataset.digest) for given in found] == [("tiles", store.digest[:36])]
        assert json.loads(found[0].dataset.profile) == {"digest": store.digest, "pairs": {"train": 5}}


def test_what_mlflow_does_not_take_costs_a_warning_and_that_entry(
    local: str, tmp_path: Path, work: WorkFolder, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts", "sqlite:///nowhere")
    tracker.start("parent", {"a": "1"}, {})
    with tracker.child("diffusion", {"seed": "0"}, work) as child:
        # A parameter cannot change its value.
        tracker._put(lambda writer: writer._open().params(writer.ids[""], {"a": "2"}))
        child.metrics(1, {"loss": 0.5})
    tracker.close("FINISHED")
    assert len([record for record in caplog.records if "refused an entry" in record.message]) == 1
    parent = MlflowClient(local).get_run(tracker._writer.ids[""])
    assert parent.info.status == "FINISHED" and parent.data.params == {"a": "1"}
    assert MlflowClient(local).get_run(tracker._writer.ids["diffusion"]).data.metrics == {"loss": 0.5}


def test_a_child_deleted_while_it_runs_costs_its_own_metrics_alone(
    local: str, tmp_path: Path, work: WorkFolder, caplog: pytest.LogCaptureFixture
) -> None:
    client = MlflowClient(local)
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    elsewhere = WorkFolder(tmp_path / "elsewhere", Step("segmentation", 1, {}, {}))
    elsewhere.result.mkdir(parents=True)
    with tracker.child("deleted", {}, work) as deleted:
        wait_until((work.path / RUN_FILE).exists)
        client.delete_run(read_json(work.path / RUN_FILE)["run_id"])
        deleted.metrics(1, {"loss": 0.5})
        with tracker.child("kept", {}, elsewhere) as kept:
            kept.metrics(1, {"loss": 0.25})
    tracker.metrics("", 1, {"miou": 0.125})
    tracker.close("FINISHED")
    for key, metrics in {"kept": {"loss": 0.25}, "": {"miou": 0.125}}.items():
        run = client.get_run(tracker._writer.ids[key])
        assert run.info.status == "FINISHED" and run.data.metrics == metrics
    assert len([record for record in caplog.records if record.name.startswith("satsynth")]) == 1


def test_what_cannot_be_made_is_left_out_and_tracking_goes_on(
    local: str, tmp_path: Path, work: WorkFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("satsynth.tracking.model.write_model", full)
    for name in ("log_image", "log_artifact", "log_figure"):
        monkeypatch.setattr(MlflowClient, name, full)
    write_json(tmp_path / "manifest.json", {"digest": digest_of({"parents": {}}), "parents": {}})
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.model(
        tracking.ModelToLog(
            "made-generator", "diffusion", SavedGenerator(tmp_path), DiffusionSettings(), SamplingSettings(), "fp32"
        )
    )
    tracker.figure(None, "figures/made.html")
    tracker.artifact(tmp_path / "report.html", "report")
    with tracker.child("fpn R=0 seed=0", {}, work) as child:
        for step in range(2):
            child.image(step, "drawn", np.zeros((4, 4, 3), np.uint8))
        child.metrics(1, {"loss": 0.5})
    tracker.close("FINISHED")
    warnings = [record.message for record in caplog.records if record.name.startswith("satsynth")]
    names = ["model made-generator", "figures/made.html", "report.html", "image drawn"]
    assert [name for name, warning in zip(names, warnings, strict=True) if f"without {name}: " in warning] == names
    client = MlflowClient(local)
    parent, child_run = (client.get_run(tracker._writer.ids[key]) for key in ("", "fpn R=0 seed=0"))
    assert {f"left_out.{name}" for name in names[:3]} <= set(parent.data.tags)
    assert parent.info.status == child_run.info.status == "FINISHED" and child_run.data.metrics == {"loss": 0.5}


@pytest.mark.parametrize(("own", "uploads"), [(None, "120"), ("7", "7")])
def test_only_uploads_may_take_long(
    own: str | None,
    uploads: str,
    local: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable, seen = "MLFLOW_HTTP_REQUEST_TIMEOUT", []
    if own is None:
        # What is set by the tracker is taken back.
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, own)

    def timeout(*_: Any, **__: Any) -> None:
        seen.append(os.environ[variable])
        raise ReadTimeout("no answer")

    monkeypatch.setattr("satsynth.tracking.model.write_model", lambda *_: None)
    for name in ("log_artifact", "log_model_artifacts", "log_image"):
        monkeypatch.setattr(MlflowClient, name, timeout)
    write_json(tmp_path / "manifest.json", {"digest": digest_of({"parents": {}}), "parents": {}})
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.artifact(tmp_path / "report.html", "report")
    tracker.model(
        tracking.ModelToLog(
            "made-generator", "diffusion", SavedGenerator(tmp_path), DiffusionSettings(), SamplingSettings(), "fp32"
        )
    )
    tracker.image("", 0, "drawn", np.zeros((4, 4, 3), np.uint8))
    tracker.close("FINISHED")
    usual = own or "10"
    assert seen == [uploads, uploads, usual] and os.environ[variable] == usual
    assert MlflowClient(local).get_run(tracker._writer.ids[""]).info.status == "FINISHED"
    warnings = [record.message for record in caplog.records if record.name.startswith("satsynth")]
    assert len(warnings) == 3 and all("is left without" in warning for warning in warnings)


class Addresses(HTMLParser):
    """Collects what a page asks for beside itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep each address that a tag names."""
        self.found += [value for name, value in attrs if value and name in ("src", "href", "data", "srcset")]


def test_a_figure_is_a_page_that_asks_nobody(local: str, tmp_path: Path) -> None:
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.figure(go.Figure(go.Bar(y=[3])), "figures/made.html")
    tracker.close("FINISHED")
    (page,) = (tmp_path / "artifacts").rglob("*.html")
    text, addresses = page.read_text(), Addresses()
    addresses.feed(text)
    assert addresses.found == [] and "Plotly.newPlot" in text and len(text) > 1_000_000
