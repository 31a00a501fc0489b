"""Tracking in MLflow, from a thread of its own: a slow, full or absent server costs a warning, never the run."""

from __future__ import annotations

import logging
import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.work.files import read_json, write_json
from satsynth.work.folder import WorkFolder

log = logging.getLogger(__name__)
RUN_FILE = "run.json"
FLUSH_SECONDS = 2.0
CLOSE_SECONDS = 60.0
BATCH = 900


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested parameters to ``a.b.c: text``."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = str(value)
    return found


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics as one level: ``{"a": {"b": 1, "c": "text"}}`` becomes ``{"a.b": 1.0}``."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(numbers(value, f"{prefix}{key}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
    return found


class Child:
    """A child run under way.

    Args:
        tracker: Its tracker.
        key: What it is known by there.
    """

    def __init__(self, tracker: Tracker | NoTracker, key: str) -> None:
        self._tracker, self._key = tracker, key

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics at a step."""
        self._tracker.metrics(self._key, step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 at a step."""
        self._tracker.image(self._key, step, name, picture)


class Tracker:
    """One MLflow run for a `kedro run`, with child runs. All calls return at once.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder of artifacts, used if the experiment is new and the store is a local file.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path) -> None:
        self._uri, self._experiment, self._artifacts = uri, experiment, artifacts
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._runs: dict[str, str] = {}
        self._buffer: dict[str, list[Any]] = {}
        self._flushed = time.monotonic()
        self._client: Any = None
        self._broken = False
        self._parent = ""
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    # What is below runs on the caller's thread and only queues.

    def start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Begin the parent run."""
        self._queue.put(lambda: self._start(name, params, tags))

    @contextmanager
    def child(self, name: str, params: Mapping[str, str], folder: WorkFolder) -> Iterator[Child]:
        """Begin a child run, or continue the one whose identifier lies in the work folder."""
        self._queue.put(lambda: self._begin_child(name, params, folder.path / RUN_FILE))
        status = "FAILED"
        try:
            yield Child(self, name)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            final = status
            self._queue.put(lambda: self._end(name, final))

    def reused(self, name: str, params: Mapping[str, str], folder: WorkFolder, values: Mapping[str, float]) -> None:
        """Show work that was done before as a finished child tagged `reused_from`."""
        self._queue.put(lambda: self._reuse(name, params, folder.path / RUN_FILE, values))

    def metrics(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """Log metrics of the run known as ``key`` (empty: the parent)."""
        now = int(time.time() * 1000)
        self._queue.put(lambda: self._collect(key, step, values, now))

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 of the run known as ``key``."""
        self._queue.put(lambda: self._client.log_image(self._runs[key], picture, key=name, step=step))

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._queue.put(lambda: self._client.set_tag(self._parent, key, value))

    def artifact(self, path: Path, folder: str) -> None:
        """Log a file of the parent run."""
        self._queue.put(lambda: self._client.log_artifact(self._parent, str(path), folder))

    def figure(self, figure: Any, name: str) -> None:
        """Log a plotly figure of the parent run."""
        self._queue.put(lambda: self._client.log_figure(self._parent, figure, name))

    def close(self, status: str) -> None:
        """End the parent run and wait for what is still queued, but not for ever."""
        self._queue.put(lambda: self._end("", status))
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("MLflow at %s is too slow: its last entries are left out.", self._uri)

    # What is below runs on the tracker's own thread.

    def _work(self) -> None:
        while True:
            try:
                task = self._queue.get(timeout=FLUSH_SECONDS)
            except queue.Empty:
                self._guard(self._flush)
                continue
            if task is None:
                return
            self._guard(task)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._guard(self._flush)

    def _guard(self, task: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            task()
        except Exception as error:  # whatever the server does, the run goes on
            self._broken = True
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            log.warning("Tracking in MLflow at %s has stopped (%s); the run goes on without it.", self._uri, reason)

    def _start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.tracking import MlflowClient

        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._client = MlflowClient(self._uri)
        known = self._client.get_experiment_by_name(self._experiment)
        where = self._artifacts.as_uri() if self._uri.startswith("sqlite:") else None
        experiment = known.experiment_id if known else self._client.create_experiment(self._experiment, where)
        self._experiment_id = experiment
        joined = os.environ.get("MLFLOW_RUN_ID")
        self._parent = joined or self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id
        self._runs[""] = self._parent
        self._log_params(self._parent, params)

    def _log_params(self, run: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        entries = [Param(key[:250], value[:5900]) for key, value in params.items()]
        for first in range(0, len(entries), 90):
            self._client.log_batch(run, params=entries[first : first + 90])

    def _begin_child(self, name: str, params: Mapping[str, str], file: Path) -> None:
        from mlflow.exceptions import MlflowException

        run = None
        if file.exists() and (known := read_json(file)).get("uri") == self._uri:
            try:
                run = self._client.get_run(known["run_id"]).info.run_id
                self._client.update_run(run, status="RUNNING")
                # MLflow allows few characters in keys.
                self._client.set_tag(self._parent, "continued." + re.sub(r"[^\w.\- :/]", "_", name), run)
            except MlflowException:
                run = None
        if run is None:
            run = self._create_child(name, {})
            self._log_params(run, params)
            write_json(file, {"uri": self._uri, "run_id": run})
        self._runs[name] = run

    def _create_child(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self._experiment_id, run_name=name, tags={"mlflow.parentRunId": self._parent, **tags}
        )
        return str(run.info.run_id)

    def _reuse(self, name: str, params: Mapping[str, str], file: Path, values: Mapping[str, float]) -> None:
        origin = read_json(file).get("run_id", "unknown") if file.exists() else "unknown"
        run = self._create_child(name, {"reused_from": origin})
        self._log_params(run, params)
        self._runs[name] = run
        self._collect(name, 0, values, int(time.time() * 1000))
        self._end(name, "FINISHED")

    def _collect(self, key: str, step: int, values: Mapping[str, float], now: int) -> None:
        from mlflow.entities import Metric

        entries = self._buffer.setdefault(self._runs[key], [])
        entries += [Metric(name, float(value), now, step) for name, value in values.items() if value is not None]

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        buffer, self._buffer = self._buffer, {}
        for run, entries in buffer.items():
            for first in range(0, len(entries), BATCH):
                self._client.log_batch(run, metrics=entries[first : first + BATCH])

    def _end(self, key: str, status: str) -> None:
        self._flush()
        if not (key == "" and os.environ.get("MLFLOW_RUN_ID")):
            self._client.set_terminated(self._runs[key], status)


class NoTracker:
    """Stands in where nothing is tracked."""

    @contextmanager
    def child(self, name: str, params: Mapping[str, str], folder: WorkFolder) -> Iterator[Child]:
        """Track nothing."""
        yield Child(self, name)

    def reused(self, name: str, params: Mapping[str, str], folder: WorkFolder, values: Mapping[str, float]) -> None:
        """Track nothing."""

    def metrics(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """Track nothing."""

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Track nothing."""


_current: Tracker | None = None


def current() -> Tracker | NoTracker:
    """Return the tracker of the `kedro run` under way, or one that tracks nothing."""
    return _current or NoTracker()


def use(tracker: Tracker | None) -> None:
    """Make a tracker the current one."""
    global _current
    _current = tracker


def abort() -> None:
    """End the current parent run as killed, if there is one."""
    if _current is not None:
        _current.close("KILLED")
        use(None)


def git_tags(project: Path) -> dict[str, str]:
    """Return commit and dirty flag as tags, if the project is a git checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {
            "mlflow.source.git.commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.SubprocessError):
        return {}
