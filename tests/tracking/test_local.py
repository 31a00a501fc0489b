"""MLflow's file in the project: first runs at once, locks, copies, odd paths, damaged notes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

from satsynth import tracking
from satsynth.tracking.deadline import LateError, Punctual, in_time
from satsynth.tracking.local import file_of, file_uri, follow
from satsynth.tracking.store import RUN_FILE, Store
from satsynth.work.folder import WorkFolder

TRACK = """
import sys
from pathlib import Path
from satsynth import tracking
from satsynth.tracking.local import file_uri
project = Path.cwd()
tracker = tracking.Tracker(file_uri(project / "mlflow.db"), "tests", project / "mlartifacts")
tracker.start("parent", {"a": "1"}, {})
(project / f"{sys.argv[1]}.txt").write_text("made")
tracker.artifact(project / f"{sys.argv[1]}.txt", "files")
tracker.close("FINISHED")
"""


def start(project: Path, name: str) -> subprocess.Popen[str]:
    project.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", TRACK, name], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "cannot be used" not in output and "has stopped" not in output and "left without" not in output, output
    return output


def artifacts_of(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "mlartifacts").rglob("*.txt"))


def test_two_first_runs_at_once_are_both_tracked(tmp_path: Path) -> None:
    for process in [start(tmp_path / "new", name) for name in ("one", "two")]:
        finish(process)
    client = MlflowClient(file_uri(tmp_path / "new" / "mlflow.db"))
    experiment = client.get_experiment_by_name("tests")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert artifacts_of(tmp_path / "new") == ["one.txt", "two.txt"]


def test_the_file_is_there_with_all_its_tables_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that is killed while MLflow makes tables would leave some of them, which nobody can open."""
    uri, artifacts = file_uri(tmp_path / "mlflow.db"), tmp_path / "mlartifacts"

    def killed(self: object, address: str, *more: object) -> None:
        with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as database, database:
            database.execute("CREATE TABLE datasets (name TEXT)")
        raise KeyboardInterrupt

    with monkeypatch.context() as changed, pytest.raises(KeyboardInterrupt):
        changed.setattr(SqlAlchemyStore, "__init__", killed)
        Store(uri, "tests", artifacts)
    assert not (tmp_path / "mlflow.db").exists() and len(list(tmp_path.glob("mlflow.db.*.new"))) == 1
    assert Store(uri, "tests", artifacts).experiment
    assert sorted(file.name for file in tmp_path.glob("mlflow.db*")) == ["mlflow.db", "mlflow.db.lock"]


def test_a_copied_project_keeps_its_artifacts_to_itself(tmp_path: Path, made_database: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    shutil.copy(made_database, original / "mlflow.db")
    finish(start(original, "before"))
    shutil.copytree(original, copy)
    finish(start(copy, "after"))
    assert artifacts_of(original) == ["before.txt"]
    assert artifacts_of(copy) == ["after.txt", "before.txt"]
    client = MlflowClient(file_uri(copy / "mlflow.db"))
    for run in client.search_runs([client.get_experiment_by_name("tests").experiment_id]):
        assert run.info.artifact_uri.startswith((copy / "mlartifacts").as_uri())
        assert client.list_artifacts(run.info.run_id, "files")
    assert (
        original.as_uri()
        in MlflowClient(file_uri(original / "mlflow.db")).get_experiment_by_name("tests").artifact_location
    )


@pytest.mark.parametrize("address", ["s3://bucket/mlartifacts", "file:///disk/of-my-own", "/disk/mlartifacts"])
def test_a_place_of_the_users_own_choice_stays(tmp_path: Path, local: str, address: str) -> None:
    client = MlflowClient(local)
    experiment = client.create_experiment("own", address)
    before = client.get_experiment(experiment).artifact_location
    follow(tmp_path / "local.db", tmp_path / "mlartifacts")
    with closing(sqlite3.connect(tmp_path / "local.db")) as database:
        rows = database.execute("SELECT artifact_location FROM experiments WHERE name = 'own'").fetchall()
    expected = (tmp_path / "mlartifacts").as_uri() if before.startswith("file:") and "mlartifacts" in before else before
    assert rows == [(expected,)]


@pytest.mark.parametrize("content", [b"", b"this is no database" * 100])
def test_what_is_no_database_is_left_to_mlflow(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    follow(tmp_path / "mlflow.db", tmp_path / "mlartifacts")
    assert (tmp_path / "mlflow.db").read_bytes() == content


@pytest.mark.parametrize("name", ["what?", "100%41", "a#b", "ü b"])
def test_a_project_in_a_folder_with_an_odd_name_is_tracked(tmp_path: Path, made_database: Path, name: str) -> None:
    project = tmp_path / name
    project.mkdir()
    shutil.copy(made_database, project / "mlflow.db")
    before = (project / "mlflow.db").stat().st_size
    finish(start(project, "one"))
    assert artifacts_of(project) == ["one.txt"] and (project / "mlflow.db").stat().st_size >= before
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        assert database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]
    assert [path.name for path in tmp_path.iterdir()] == [name], "something was written beside the project"


def test_the_uri_of_a_usual_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file_uri(tmp_path / "mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert file_of(file_uri(tmp_path / "mlflow.db")) == tmp_path / "mlflow.db"
    (tmp_path / "a?").mkdir()
    monkeypatch.chdir(tmp_path / "a?")
    assert file_uri(tmp_path / "a?" / "mlflow.db") == "sqlite:///mlflow.db"
    assert file_of("http://server") is None


def test_a_file_that_another_process_holds_is_waited_for(local: str, tmp_path: Path) -> None:
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    with closing(sqlite3.connect(tmp_path / "local.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        tracker.start("parent", {"a": "1"}, {})
        time.sleep(7)
        holder.execute("COMMIT")
    tracker.close("FINISHED")
    client = MlflowClient(local)
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.status == "FINISHED" and run.data.params == {"a": "1"}


def test_a_file_that_stays_locked_costs_one_warning(
    local: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satsynth.tracking.writer.LOCKED_SECONDS", 1)
    with closing(sqlite3.connect(tmp_path / "local.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
        tracker.start("parent", {"a": "1"}, {})
        tracker.tag("b", "2")
        tracker.close("FINISHED")
    (warning,) = [record.message for record in caplog.records if record.name.startswith("satsynth.tracking")]
    assert "database is locked" in warning and "the run goes on without it" in warning


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"uri": "URI"}'])
def test_a_damaged_note_of_a_run_begins_a_new_one(local: str, work: WorkFolder, tmp_path: Path, content: str) -> None:
    (work.path / RUN_FILE).write_text(content.replace("URI", local))
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.reused("old", {}, work, {"loss": 0.5})
    with tracker.child("diffusion", {"seed": "0"}, work):
        pass
    tracker.close("FINISHED")
    client = MlflowClient(local)
    runs = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert sorted((run.info.run_name, run.info.status) for run in runs) == [
        ("diffusion", "FINISHED"),
        ("old", "FINISHED"),
        ("parent", "FINISHED"),
    ]


def test_a_run_that_could_not_be_begun_whole_is_not_left_behind(
    local: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, failed = Store.params, threading.Event()

    def params(self: Store, run: str, given: dict[str, str]) -> None:
        if not failed.is_set():
            failed.set()
            raise sqlite3.OperationalError("database is locked")
        usual(self, run, given)

    monkeypatch.setattr(Store, "params", params)
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {"a": "1"}, {})
    tracker.close("FINISHED")
    client = MlflowClient(local)
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.status == "FINISHED" and run.data.params == {"a": "1"}


def test_a_call_ends_in_time() -> None:
    never = threading.Event()
    with pytest.raises(LateError, match="no answer to wait within 0 s"):
        Punctual(never, lambda: 0.05).wait()
    assert in_time(lambda: 3, 60, "it") == 3
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 // 0, 60, "it")

    def late() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        in_time(late, 60, "it")
    never.set()
