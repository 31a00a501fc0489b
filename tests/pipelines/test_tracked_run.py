from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from browsing import HOST, free_port
from interruptions import newest
from kedro.config import OmegaConfigLoader
from kedro.pipeline import Pipeline, node
from mlflow.tracking import MlflowClient
from projects import ROOT, Project

from satsynth import tracking
from satsynth.generation.saved import SavedGenerator
from satsynth.hooks import TrackingHooks
from satsynth.hooks.summary import viz_command
from satsynth.pairs.store import PairStore
from satsynth.settings import CONFIG_LOADER_ARGS
from satsynth.work.files import digest_of, write_json


def test_a_run_tells_where_it_ran_and_what_it_saw(made_project: Project) -> None:
    made_project.run("ingestion", "micro")
    made_project.run("tiling", "micro", **{"tracking.enabled": "true"})
    client = MlflowClient(f"sqlite:///{made_project.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("satsynth-made")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    tiles = PairStore(newest(made_project.path, "tiles"))
    assert run.info.status == "FINISHED"
    assert run.data.tags["digest.tiles"] == tiles.digest
    assert [(seen.dataset.name, seen.dataset.digest) for seen in run.inputs.dataset_inputs] == [
        ("tiles", tiles.digest[:36])
    ]
    told = {"pipelines": "tiling", "environment": "micro", "dataset": "made"}
    assert told.items() <= run.data.tags.items()
    assert {"cpu", "cpu_cores", "memory_gib", "gpu", "version.torch", "satsynth.pid"} <= set(run.data.tags)
    assert run.data.params["tiling.tile_size"] == "32"


class Full(BaseHTTPRequestHandler):
    """A server whose disk is full."""

    def do_GET(self) -> None:
        self.send_error(507, "Insufficient Storage")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def bad_server(manner: str) -> Iterator[str]:
    """Give the address of a server that is down, takes connections and never answers, or is full."""
    if manner == "down":
        yield f"http://{HOST}:{free_port()}"
    elif manner == "silent":
        with socket.create_server((HOST, 0)) as listener:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
    else:
        with ThreadingHTTPServer((HOST, 0), Full) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://{HOST}:{server.server_port}"
            server.shutdown()
            thread.join()


def test_a_run_whose_server_fails_ends_well_and_is_in_the_local_file(made_project: Project) -> None:
    quick = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    database = made_project.path / "mlflow.db"
    pipelines = {"down": "ingestion", "silent": "tiling", "full": "tiling"}
    for number, (manner, pipeline) in enumerate(pipelines.items(), 1):
        with bad_server(manner) as address:
            arguments = made_project.arguments(pipeline, "micro", **{"tracking.enabled": "true"})
            status, said = made_project.kedro(*arguments, environment={**quick, "MLFLOW_TRACKING_URI": address})
        assert status == 0 and "Traceback" not in said, said
        (warning,) = [line for line in said.splitlines() if "MLflow" in line]
        assert f"MLflow at {address} cannot be used (" in warning and str(database) in warning
        with sqlite3.connect(database) as connection:
            assert connection.execute("select status from runs").fetchall() == [("FINISHED",)] * number
            left = connection.execute("select value from tags where key = 'left'").fetchall()
        assert (address,) in left and len(left) == number
    assert newest(made_project.path, "tiles").exists()


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self, *where: object) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **named: self.calls.append((name, given or named))


class Parameters:
    """A catalog that holds parameters alone."""

    def __init__(self, env: str) -> None:
        self._loaded = OmegaConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)["parameters"]

    def load(self, name: str) -> Any:
        assert name == "parameters"
        return self._loaded


@pytest.mark.parametrize(
    ("env", "name"), [("base", "satsynth-bluemarble-generator"), ("smoke", "satsynth-bluemarble-smoke-generator")]
)
def test_a_saved_generator_becomes_a_model_named_by_data_set_and_environment(
    env: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "Tracker", Recorder)
    hooks, catalog = TrackingHooks(), Parameters(env)
    hooks.before_pipeline_run({"env": None if env == "base" else env}, Pipeline([]), catalog)
    tracker = hooks._tracker
    assert isinstance(tracker, Recorder)
    tracking.use(None)
    content: dict[str, Any] = {"family": "diffusion", "parents": {"start": "f00d" * 16}}
    write_json(tmp_path / "manifest.json", {**content, "digest": digest_of(content)})
    hooks.after_dataset_saved("generator", SavedGenerator(tmp_path))
    ((model,),) = [given for call, given in tracker.calls if call == "model"]
    assert model.name == name and model.generator.digest == digest_of(content)
    assert model.settings.drawing.steps == catalog.load("parameters")["diffusion"]["drawing"]["steps"]
    tags = dict(given for call, given in tracker.calls if call == "tag")
    assert tags == {"digest.generator": digest_of(content), "started_from": "f00df00df00d"}


@pytest.mark.parametrize("reports", [True, False])
def test_figures_are_logged_where_no_report_holds_them(reports: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "Tracker", Recorder)
    hooks = TrackingHooks()
    made = Pipeline([node(lambda: (), None, ["ratio_curve", *(["report"] if reports else [])], name="made")])
    hooks.before_pipeline_run({"env": None}, made, Parameters("base"))
    tracker = hooks._tracker
    assert isinstance(tracker, Recorder)
    tracking.use(None)
    figure = go.Figure()
    hooks.after_dataset_saved("ratio_curve", figure)
    assert [given[0] for call, given in tracker.calls if call == "figure"] == ([] if reports else [figure])


@pytest.mark.parametrize("environment", [None, "base", "local"])
def test_lineage_is_shown_by_a_command_that_opens_this_runs_results(environment: str | None) -> None:
    assert viz_command(environment, None) == "make viz"
    assert viz_command(environment, "dubai") == "kedro viz run --params=dataset=dubai"
    assert viz_command("gpu", None) == "kedro viz run --env=gpu"
    assert viz_command("gpu", "dubai") == "kedro viz run --env=gpu --params=dataset=dubai"
