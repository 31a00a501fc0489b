"""Tracking from a thread of its own: a slow, full or absent server costs a warning and a local file, never the run."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.tracking.child import Child
from satsynth.tracking.model import ModelToLog
from satsynth.tracking.provenance import DataInput, data_inputs
from satsynth.tracking.store import RUN_FILE, RunRecord, values_at
from satsynth.tracking.writer import Action, Writer
from satsynth.work.folder import WorkFolder

log = logging.getLogger(__name__)
FLUSH_SECONDS = 4.0
CLOSE_SECONDS = 60.0
UPLOAD_SECONDS = 600.0


class Tracker:
    """One MLflow run for a `kedro run`, with child runs. All calls but `close` return at once.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder of artifacts, used if the experiment is new and the store is a local file.
        local: URI of the local file that takes over where the server fails; empty for none.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path, local: str = "") -> None:
        self._queue: queue.Queue[tuple[float, Action] | None] = queue.Queue()
        # Apart from the parts that it declares safe, only the tracker's own thread uses it.
        self._writer = Writer(uri, experiment, artifacts, local)
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    @property
    def where(self) -> str:
        """The server or file that is written to now."""
        return self._writer.where

    def start(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        more_tags: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Begin the parent run; ``more_tags`` is called on the tracker's thread."""
        self._put(lambda: self._writer.start(name, params, {**tags, **more_tags()}))

    @contextmanager
    def child(
        self, name: str, params: Mapping[str, str], folder: WorkFolder, inputs: Sequence[DataInput] = ()
    ) -> Iterator[Child]:
        """Begin a child run, or continue the one whose identifier lies in the work folder."""
        record = RunRecord(name, params, inputs=list(inputs), file=folder.path / RUN_FILE)
        self._put(lambda: self._writer.begin(record))
        status = "FAILED"
        try:
            yield Child(self, name)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            final = status
            self._put(lambda: self._writer.end(name, final))

    def reused(
        self,
        name: str,
        params: Mapping[str, str],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Sequence[DataInput] = (),
    ) -> None:
        """Show work that was done before as a finished child tagged `reused_from`, unless the run has that child."""
        record = RunRecord(name, params, inputs=list(inputs))
        self._put(lambda: self._writer.reuse(record, folder.path / RUN_FILE, values))

    def metrics(self, key: str, step: int, values: Mapping[str, float | None]) -> None:
        """Log metrics of the run known as ``key`` (empty: the parent)."""
        found = values_at(step, values)
        self._put(lambda: self._writer.metrics(key, found))

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 of the run known as ``key``."""
        self._put(
            lambda: self._writer.spare(
                f"image {name}", key, lambda run: self._writer.client.log_image(run, picture, key=name, step=step)
            )
        )

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._put(lambda: self._writer.tag(key, value))

    def inputs(self, **stores: PairStore) -> None:
        """Log the pair stores that the parent run saw, by name; each once."""
        found = data_inputs(**stores)
        self._put(lambda: self._writer.inputs(found))

    def artifact(self, path: Path, folder: str) -> None:
        """Log a file of the parent run."""
        self._put(lambda: self._writer.spare(path.name, "", lambda run: self._writer.artifact(run, path, folder)))

    def figure(self, figure: Any, name: str) -> None:
        """Log a plotly figure of the parent run as a page that needs no network."""

        def write(run: str) -> None:
            self._writer.client.log_figure(run, figure, name, save_kwargs={"include_plotlyjs": True})

        self._put(lambda: self._writer.spare(name, "", write))

    def model(self, model: ModelToLog) -> None:
        """Log a generator as a registered model, if it is not there yet."""
        self._put(lambda: self._writer.spare(f"model {model.name}", "", lambda run: self._writer.model(run, model)))

    def close(self, status: str, patience: float = CLOSE_SECONDS) -> None:
        """End the parent run and wait for what is still queued, but not forever."""
        self._put(lambda: self._writer.end("", status))
        self._queue.put(None)
        self._thread.join(patience)
        end = time.monotonic() + UPLOAD_SECONDS
        if self._thread.is_alive() and self._writer.uploading.is_set() and status == "FINISHED":
            log.info("Files are still being copied to MLflow at %s ...", self.where)
            while self._thread.is_alive() and self._writer.uploading.is_set() and time.monotonic() < end:
                self._thread.join(1.0)
        self._writer.hurry.set()
        self._thread.join(patience)
        if self._thread.is_alive():
            log.warning("MLflow at %s is too slow: its last entries are left out.", self.where)

    def _put(self, action: Action) -> None:
        self._queue.put((time.monotonic(), action))

    def _work(self) -> None:
        while True:
            try:
                task = self._queue.get(timeout=FLUSH_SECONDS)
            except queue.Empty:
                self._writer.do(self._writer.flush)
                continue
            if task is None:
                return
            asked, action = task
            self._writer.leave_if_late(asked)
            self._writer.do(action)
            if time.monotonic() - self._writer.flushed > FLUSH_SECONDS:
                self._writer.do(self._writer.flush)
