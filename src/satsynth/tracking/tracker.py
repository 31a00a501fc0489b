"""Tracking from a thread of its own: a slow, full or absent server costs a warning and a local file, never the run."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.tracking.child import Child
from satsynth.tracking.facts import DataInput, as_key, data_inputs, without_password
from satsynth.tracking.model import ModelToLog, log_model
from satsynth.tracking.store import METRICS, RUN_FILE, Store, Told, Value, uploading
from satsynth.work.folder import WorkFolder

log = logging.getLogger(__name__)
FLUSH_SECONDS = 4.0
CLOSE_SECONDS = 60.0
# A server whose entries wait longer than this is left.
LATE_SECONDS = 60.0
UPLOAD_SECONDS = 600.0
# What the server understood and did not want: no reason to leave it.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST", "ENDPOINT_NOT_FOUND")

Action = Callable[[], None]


class Tracker:
    """One MLflow run for a `kedro run`, with child runs. All calls but `close` return at once.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder of artifacts, used if the experiment is new and the store is a local file.
        local: URI of the local file that takes over where the server fails; empty for none.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path, local: str = "") -> None:
        self._uri, self._experiment, self._artifacts = uri, experiment, artifacts
        self._local = local if local != uri else ""
        self._queue: queue.Queue[tuple[float, Action] | None] = queue.Queue()
        self._hurry = threading.Event()
        self._uploading = threading.Event()
        # What is below belongs to the tracker's own thread.
        self._store: Store | None = None
        self._told: dict[str, Told] = {}
        self._ids: dict[str, str] = {}
        self._buffer: dict[str, list[Value]] = {}
        self._left: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._flushed = self._excused = time.monotonic()
        self._stopped = False
        self._refused = False
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    @property
    def where(self) -> str:
        """The server or file that is written to now."""
        return without_password(self._uri)

    # What is below runs on the caller's thread and only queues.

    def start(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        more_tags: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Begin the parent run; ``more_tags`` is called on the tracker's thread."""
        self._put(lambda: self._start(name, params, {**tags, **more_tags()}))

    @contextmanager
    def child(
        self, name: str, params: Mapping[str, str], folder: WorkFolder, inputs: Sequence[DataInput] = ()
    ) -> Iterator[Child]:
        """Begin a child run, or continue the one whose identifier lies in the work folder."""
        told = Told(name, params, inputs=list(inputs), file=folder.path / RUN_FILE)
        self._put(lambda: self._begin(told))
        status = "FAILED"
        try:
            yield Child(self, name)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            final = status
            self._put(lambda: self._end(name, final))

    def reused(
        self,
        name: str,
        params: Mapping[str, str],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Sequence[DataInput] = (),
    ) -> None:
        """Show work that was done before as a finished child tagged `reused_from`, unless the run has that child."""
        told = Told(name, params, inputs=list(inputs))
        self._put(lambda: self._reuse(told, folder.path / RUN_FILE, values))

    def metrics(self, key: str, step: int, values: Mapping[str, float | None]) -> None:
        """Log metrics of the run known as ``key`` (empty: the parent)."""
        now = int(time.time() * 1000)
        found = [Value(name, float(value), now, step) for name, value in values.items() if value is not None]
        self._put(lambda: self._buffer.setdefault(key, []).extend(found))

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 of the run known as ``key``."""
        self._put(
            lambda: self._spare(
                f"image {name}", key, lambda run: self._client.log_image(run, picture, key=name, step=step)
            )
        )

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._put(lambda: self._tag(key, value))

    def inputs(self, **stores: PairStore) -> None:
        """Log the pair stores that the parent run saw, by name; each once."""
        found = data_inputs(**stores)
        self._put(lambda: self._inputs(found))

    def artifact(self, path: Path, folder: str) -> None:
        """Log a file of the parent run."""
        self._put(lambda: self._spare(path.name, "", lambda run: self._artifact(run, path, folder)))

    def figure(self, figure: Any, name: str) -> None:
        """Log a plotly figure of the parent run as a page that needs no network."""
        whole = {"include_plotlyjs": True}
        self._put(
            lambda: self._spare(name, "", lambda run: self._client.log_figure(run, figure, name, save_kwargs=whole))
        )

    def model(self, model: ModelToLog) -> None:
        """Log a generator as a registered model, if it is not there yet."""
        self._put(lambda: self._spare(f"model {model.name}", "", lambda run: self._model(run, model)))

    def close(self, status: str, patience: float = CLOSE_SECONDS) -> None:
        """End the parent run and wait for what is still queued, but not for ever."""
        self._put(lambda: self._end("", status))
        self._queue.put(None)
        self._thread.join(patience)
        end = time.monotonic() + UPLOAD_SECONDS
        if self._thread.is_alive() and self._uploading.is_set() and status == "FINISHED":
            log.info("Files are still being copied to MLflow at %s ...", self.where)
            while self._thread.is_alive() and self._uploading.is_set() and time.monotonic() < end:
                self._thread.join(1.0)
        self._hurry.set()
        self._thread.join(patience)
        if self._thread.is_alive():
            log.warning("MLflow at %s is too slow: its last entries are left out.", self.where)

    def _put(self, action: Action) -> None:
        self._queue.put((time.monotonic(), action))

    # What is below runs on the tracker's own thread.

    @property
    def _client(self) -> Any:
        return self._open().client

    def _work(self) -> None:
        while True:
            try:
                task = self._queue.get(timeout=FLUSH_SECONDS)
            except queue.Empty:
                self._do(self._flush)
                continue
            if task is None:
                return
            asked, action = task
            self._leave_if_late(asked)
            self._do(action)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._do(self._flush)

    def _do(self, action: Action) -> None:
        if self._stopped:
            return
        try:
            action()
        except Exception as error:  # whatever the server does, the run goes on
            if not self._is_refusal(error):
                self._leave(_reason(error))
                self._do(action)

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether the server understood and did not want an entry, which is told once."""
        if "" not in self._ids or getattr(error, "error_code", "") not in _REFUSALS:
            return False
        if not self._refused:
            log.warning("MLflow at %s refused an entry: %s", self.where, _reason(error))
        self._refused = True
        return True

    def _leave_if_late(self, asked: float) -> None:
        """Leave a server that lags behind the run, or that is to be finished with."""
        if self._local and not self._stopped:
            waited = time.monotonic() - max(asked, self._excused)
            if self._hurry.is_set() or waited > LATE_SECONDS:
                self._leave(f"too slow: entries wait {waited:.0f} s")

    def _leave(self, reason: str) -> None:
        """Go on in the local file, or without tracking where that is what failed."""
        uri, shown = self._local, self.where
        if not uri:
            self._stopped = True
            log.warning("Tracking in MLflow at %s has stopped (%s); the run goes on without it.", shown, reason)
            return
        log.warning("MLflow at %s cannot be used (%s). From now on this run is tracked in %s.", shown, reason, uri)
        self._left = {"left": shown, **({"left_run": self._ids[""]} if "" in self._ids else {})}
        self._uri, self._local, self._store, self._ids = uri, "", None, {}

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._uri, self._experiment, self._artifacts)
            self._store.mark_dead()
            self._excused = time.monotonic()
        return self._store

    def _run(self, key: str) -> str:
        """Return a run's identifier, beginning it where it is not known, as after a change of the store."""
        if key not in self._ids:
            store, told, joined = self._open(), self._told[key], os.environ.get("MLFLOW_RUN_ID")
            if key:
                self._ids[key] = store.begin(told, self._run(""))
            elif joined and not self._left:
                self._ids[key] = store.joined(joined, told)
            else:
                self._ids[key] = store.begin(replace(told, tags={**told.tags, **self._left}))
        return self._ids[key]

    def _start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._told[""] = Told(name, params, dict(tags))
        self._run("")

    def _begin(self, told: Told) -> None:
        self._told[told.name] = told
        self._ids.pop(told.name, None)
        self._run(told.name)

    def _reuse(self, told: Told, file: Path, values: Mapping[str, float | None]) -> None:
        # The parent has it already, as a training that the judge shares with the grid.
        if told.name in self._ids:
            return
        told.tags.update(self._open().origin(file))
        self._begin(told)
        now = int(time.time() * 1000)
        self._buffer[told.name] = [Value(name, float(v), now, 0) for name, v in values.items() if v is not None]
        self._end(told.name, "FINISHED")

    def _tag(self, key: str, value: str) -> None:
        self._told[""].tags[key] = value
        self._open().tags(self._run(""), {as_key(key): value})

    def _inputs(self, inputs: Sequence[DataInput]) -> None:
        new = [data for data in inputs if data not in self._told[""].inputs]
        if new:
            self._open().inputs(self._run(""), new)
            self._told[""].inputs.extend(new)

    def _spare(self, name: str, key: str, action: Callable[[str], None]) -> None:
        """Do what a run can do without: where it fails although the server is well, it alone is left out."""
        run = self._run(key)
        try:
            action(run)
        except Exception as error:
            if self._is_refusal(error):
                return
            reason = _reason(error)
            # A server that does not take this is not well, which is what is raised then.
            self._open().tags(run, {f"left_out.{name}": reason})
            if name not in self._left_out:
                log.warning("MLflow at %s is left without %s: %s", self.where, name, reason)
            self._left_out.add(name)

    def _artifact(self, run: str, path: Path, folder: str) -> None:
        # A silent server is to be found out before the long wait for an upload.
        self._client.get_run(run)
        with self._long(), uploading():
            self._client.log_artifact(run, str(path), folder)

    def _model(self, run: str, model: ModelToLog) -> None:
        with self._long():
            store = self._open()
            # The training's own run, where it is known; the parent after a change of the store.
            log_model(store.client, store.experiment, self._ids.get(model.run, run), model)

    @contextmanager
    def _long(self) -> Iterator[None]:
        """Mark what may take long, for `close` to wait for and for what is queued behind it not to be late by."""
        self._uploading.set()
        try:
            yield
        finally:
            self._uploading.clear()
            self._excused = time.monotonic()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        for key in list(self._buffer):
            entries = self._buffer.pop(key)
            while entries:
                try:
                    self._open().metrics(self._run(key), entries[:METRICS])
                except Exception as error:
                    # What was refused, as for a run that its user has deleted, would be refused for ever.
                    if not self._is_refusal(error):
                        self._buffer[key] = entries
                        raise
                del entries[:METRICS]

    def _end(self, key: str, status: str) -> None:
        self._flush()
        run = self._run(key)
        if run != os.environ.get("MLFLOW_RUN_ID"):
            self._open().end(run, status)


def _reason(error: BaseException) -> str:
    """Return what was at the bottom of an error in one line, without names and passwords in addresses."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return without_password(" ".join(str(error).split()))[:200] or type(error).__name__
