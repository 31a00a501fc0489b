"""MLflow for tests: a file made once, and its real server in this process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
from mlflow.tracking import MlflowClient
from servers import Quiet, Served, Server, Spoilt

from satsynth.work.folder import Step, WorkFolder


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow file; MLflow takes seconds to make one."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def local(made_database: Path, tmp_path: Path) -> str:
    """The URI of a file of one's own."""
    shutil.copy(made_database, tmp_path / "local.db")
    return f"sqlite:///{tmp_path / 'local.db'}"


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    """A work folder under way."""
    folder = WorkFolder(tmp_path / "work", Step("diffusion", 1, {}, {}))
    folder.result.mkdir(parents=True)
    return folder


@pytest.fixture
def served(made_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """MLflow's own server, in this process."""
    from mlflow.server import app, handlers
    from mlflow.tracking._model_registry import utils as registry_utils
    from mlflow.tracking._tracking_service import utils as tracking_utils

    shutil.copy(made_database, tmp_path / "server.db")
    backend = f"sqlite:///{tmp_path / 'server.db'}"
    monkeypatch.setattr(handlers, "_tracking_store", None)
    monkeypatch.setattr(handlers, "_model_registry_store", None)
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # The server makes its files those of the whole process.
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(tracking_utils, "_tracking_uri", None)
    monkeypatch.setattr(registry_utils, "_registry_uri", None)
    handlers.initialize_backend_stores(backend, backend, (tmp_path / "served").as_uri())
    spoilt = Spoilt(app)
    server = make_server("127.0.0.1", 0, spoilt, server_class=Server, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop() -> None:
        spoilt.hanging.set()
        server.shutdown()
        server.server_close()

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # Spoilt servers shorten it.
    monkeypatch.setattr("satsynth.tracking.store.CALL_SECONDS", 30.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    yield Served(f"http://127.0.0.1:{server.server_port}", spoilt, backend, stop)
    stop()
