from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from servers import Served, wait_until

from made_data import made_pairs, write_store
from satsynth import tracking
from satsynth.tracking.store import RUN_FILE
from satsynth.work.files import read_json
from satsynth.work.folder import WorkFolder

MANNERS = ["refuse", "hang", "drip", "later", "500 Internal Server Error", "507 Insufficient Storage"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("satsynth.tracking")]


@pytest.mark.parametrize("manner", MANNERS)
def test_a_server_that_fails_from_the_start_is_left_for_the_local_file(
    manner: str, served: Served, local: str, tmp_path: Path, work: WorkFolder, caplog: pytest.LogCaptureFixture
) -> None:
    served.misbehave(manner)
    began = time.monotonic()
    tracker = tracking.Tracker(served.uri, "tests", tmp_path / "artifacts", local)
    tracker.start("parent", {"a": "1"}, {"dataset": "made"})
    with tracker.child("diffusion", {"seed": "0"}, work) as child:
        child.metrics(1, {"loss": 0.5})
    assert time.monotonic() - began < 2, "the run waited for the server"
    tracker.close("FINISHED")
    (warning,) = warnings(caplog)
    assert served.uri in warning and local in warning
    client = MlflowClient(local)
    parent = client.get_run(tracker._writer.ids[""])
    assert parent.info.status == "FINISHED" and parent.data.params == {"a": "1"}
    assert parent.data.tags["dataset"] == "made" and parent.data.tags["left"] == served.uri
    child_run = client.get_run(read_json(work.path / RUN_FILE)["run_id"])
    assert child_run.info.status == "FINISHED" and child_run.data.metrics == {"loss": 0.5}
    assert child_run.data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_no_part_of_a_password_with_a_slash_is_shown_or_stored(
    served: Served, local: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = served.uri.replace("://", "://ada:fir5t/sec0nd@")
    tracker = tracking.Tracker(uri, "tests", tmp_path / "artifacts", local)
    tracker.start("parent", {}, {})
    tracker.close("FINISHED")
    run = MlflowClient(local).get_run(tracker._writer.ids[""])
    (warning,) = warnings(caplog)
    assert "%2F" in warning and run.data.tags["left"] == served.uri
    shown = " ".join([caplog.text, *capfd.readouterr(), *run.data.tags.values()])
    assert not any(part in shown for part in ("ada", "fir5t", "sec0nd"))


@pytest.mark.parametrize("manner", MANNERS)
def test_a_server_that_fails_half_way_keeps_what_it_has_and_the_rest_goes_to_the_local_file(
    manner: str,
    served: Served,
    local: str,
    tmp_path: Path,
    work: WorkFolder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("satsynth.tracking.tracker.FLUSH_SECONDS", 0.1)
    store = write_store(tmp_path / "store", made_pairs(3))
    tracker = tracking.Tracker(served.uri, "tests", tmp_path / "artifacts", local)
    tracker.start("parent", {"a": "1"}, {"dataset": "made"})
    tracker.tag("digest.tiles", "abc")
    tracker.inputs(tiles=store)
    with tracker.child("diffusion", {"seed": "0"}, work) as child:
        child.metrics(1, {"loss": 0.5})
        wait_until((work.path / RUN_FILE).exists)
        there = read_json(work.path / RUN_FILE)
        behind = MlflowClient(served.backend)
        wait_until(lambda: behind.get_run(there["run_id"]).data.metrics == {"loss": 0.5})
        monkeypatch.setattr("satsynth.tracking.tracker.FLUSH_SECONDS", 3600)
        child.metrics(2, {"loss": 0.25})
        served.misbehave(manner)
        child.image(3, "drawn", np.zeros((4, 4, 3), np.uint8))
        child.metrics(3, {"loss": 0.125})
    tracker.close("FINISHED")
    assert len(warnings(caplog)) == 1
    client = MlflowClient(local)
    here = read_json(work.path / RUN_FILE)
    assert there["uri"] == served.uri and here["uri"] == local
    values = client.get_metric_history(here["run_id"], "loss")
    assert [(metric.step, metric.value) for metric in values] == [(2, 0.25), (3, 0.125)]
    run = client.get_run(here["run_id"])
    assert run.info.run_name == "diffusion" and run.data.params == {"seed": "0"} and run.info.status == "FINISHED"
    assert client.list_artifacts(here["run_id"], "images")
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.info.run_name == "parent" and parent.info.status == "FINISHED"
    assert parent.data.tags["digest.tiles"] == "abc"
    assert [given.dataset.name for given in parent.inputs.dataset_inputs] == ["tiles"]
    assert parent.data.tags["left_run"] == behind.get_run(there["run_id"]).data.tags["mlflow.parentRunId"]


def test_a_server_that_lags_behind_the_run_is_left(
    served: Served,
    local: str,
    tmp_path: Path,
    work: WorkFolder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("satsynth.tracking.writer.LATE_SECONDS", 0.5)
    well, slow = served.app.app, threading.Event()

    def answer(environ, start_response):
        if slow.is_set():
            time.sleep(1)
        return well(environ, start_response)

    served.app.app = answer
    tracker = tracking.Tracker(served.uri, "tests", tmp_path / "artifacts", local)
    tracker.start("parent", {}, {})
    with tracker.child("diffusion", {}, work):
        wait_until((work.path / RUN_FILE).exists)
        slow.set()
        for number in range(8):
            tracker.tag(f"tag {number}", "told")
    tracker.close("FINISHED")
    (warning,) = warnings(caplog)
    assert "too slow" in warning
    parent = MlflowClient(local).get_run(tracker._writer.ids[""])
    assert parent.data.tags["tag 7"] == "told" and parent.info.status == "FINISHED"


def test_where_the_local_file_fails_too_the_run_goes_on_without_tracking(
    tmp_path: Path, work: WorkFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    local = f"sqlite:///{tmp_path / 'broken.db'}"
    tracker = tracking.Tracker("http://ada:s3cret@127.0.0.1:9", "tests", tmp_path / "artifacts", local)
    tracker.start("parent", {}, {})
    with tracker.child("diffusion", {}, work) as child:
        child.metrics(1, {"loss": 0.5})
    tracker.close("FINISHED")
    left, stopped = warnings(caplog)
    assert "From now on" in left and "has stopped" in stopped
    assert "s3cret" not in left + stopped


def test_runs_of_dead_processes_are_marked_as_killed(local: str, tmp_path: Path, work: WorkFolder) -> None:
    from satsynth.tracking.provenance import HOST, PROCESS, STARTED

    client = MlflowClient(local)
    experiment = client.create_experiment("tests", (tmp_path / "artifacts").as_uri())
    own = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    own.start("own", {}, {})
    wait_until(lambda: "" in own._writer.ids)
    tags = client.get_run(own._writer.ids[""]).data.tags
    dead = client.create_run(experiment, tags={**{k: tags[k] for k in (HOST, PROCESS)}, STARTED: "1.0"})
    elsewhere = client.create_run(experiment, tags={HOST: "elsewhere", PROCESS: "1", STARTED: "1.0"})
    unknown = client.create_run(experiment)
    other = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    other.start("other", {}, {})
    other.close("FINISHED")
    statuses = {run.info.run_id: run.info.status for run in client.search_runs([experiment])}
    assert statuses[dead.info.run_id] == "KILLED"
    assert statuses[own._writer.ids[""]] == "RUNNING"
    assert statuses[elsewhere.info.run_id] == "RUNNING" and statuses[unknown.info.run_id] == "RUNNING"
    own.close("FINISHED")
