"""Tracking from a thread of its own: a slow, full or absent server costs a warning and a local file, never the run."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.tracking.child import Child
from satsynth.tracking.model import ModelToLog
from satsynth.tracking.provenance import DataInput, data_inputs
from satsynth.tracking.store import RUN_FILE, RunRecord, values_at
from satsynth.tracking.writer import Writer
from satsynth.work.folder import WorkFolder

log = logging.getLogger(__name__)
FLUSH_SECONDS = 4.0
CLOSE_SECONDS = 60.0
UPLOAD_SECONDS = 600.0
# What a call asks for: picklable, since it may be asked for in another process.
Action = Callable[[Writer], None]


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
        self._process = os.getpid()
        self._relay: Any = None
        self._relaying: threading.Thread | None = None

    def share(self) -> None:
        """Let processes that are forked from this one, as by Kedro's ParallelRunner, use the tracker too.

        They hold copies of it, without its thread: what is asked of these is sent to this one.
        """
        # While this thread imports MLflow, a forked process would inherit locks that nobody releases.
        begun = threading.Event()
        self._put(lambda writer: begun.set())
        begun.wait(CLOSE_SECONDS)
        self._relay = multiprocessing.get_context("fork").SimpleQueue()
        self._relaying = threading.Thread(target=self._receive, name="tracking of other processes", daemon=True)
        self._relaying.start()

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
        self._put(lambda writer: writer.start(name, params, {**tags, **more_tags()}))

    @contextmanager
    def child(
        self, name: str, params: Mapping[str, str], folder: WorkFolder, inputs: Sequence[DataInput] = ()
    ) -> Iterator[Child]:
        """Begin a child run, or continue the one whose identifier lies in the work folder."""
        record = RunRecord(name, params, inputs=list(inputs), file=folder.path / RUN_FILE)
        self._put(methodcaller("begin", record))
        status = "FAILED"
        try:
            yield Child(self, name)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self._put(methodcaller("end", name, status))

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
        self._put(methodcaller("reuse", record, folder.path / RUN_FILE, values))

    def finished(self, name: str, params: Mapping[str, str], values: Mapping[str, float | None]) -> None:
        """Show a result as a finished child."""
        self._put(methodcaller("result", RunRecord(name, params), values))

    def metrics(self, key: str, step: int, values: Mapping[str, float | None]) -> None:
        """Log metrics of the run known as ``key`` (empty: the parent)."""
        self._put(methodcaller("metrics", key, values_at(step, values)))

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 of the run known as ``key``."""
        self._put(partial(_image, key=key, step=step, name=name, picture=picture))

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._put(methodcaller("tag", key, value))

    def inputs(self, **stores: PairStore) -> None:
        """Log the pair stores that the parent run saw, by name; each once."""
        self._put(methodcaller("inputs", data_inputs(**stores)))

    def artifact(self, path: Path, folder: str) -> None:
        """Log a file of the parent run."""
        self._put(partial(_artifact, path=path, folder=folder))

    def figure(self, figure: Any, name: str) -> None:
        """Log a plotly figure of the parent run as a page that needs no network."""
        self._put(partial(_figure, figure=figure, name=name))

    def model(self, model: ModelToLog) -> None:
        """Log a generator as a registered model, if it is not there yet."""
        self._put(partial(_model, model=model))

    def close(self, status: str, patience: float = CLOSE_SECONDS) -> None:
        """End the parent run and wait for what is still queued, but not forever."""
        if self._relaying is not None:
            # Behind all that other processes have sent.
            self._relay.put(None)
            self._relaying.join(patience)
        self._put(methodcaller("end", "", status))
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
        asked = time.monotonic(), action
        if os.getpid() == self._process:
            self._queue.put(asked)
        elif self._relay is not None:
            self._relay.put(asked)

    def _receive(self) -> None:
        while (asked := self._relay.get()) is not None:
            self._queue.put(asked)

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
            self._writer.do(partial(action, self._writer))
            if time.monotonic() - self._writer.flushed > FLUSH_SECONDS:
                self._writer.do(self._writer.flush)


def _image(writer: Writer, key: str, step: int, name: str, picture: np.ndarray) -> None:
    writer.spare(f"image {name}", key, lambda run: writer.client.log_image(run, picture, key=name, step=step))


def _artifact(writer: Writer, path: Path, folder: str) -> None:
    writer.spare(path.name, "", lambda run: writer.artifact(run, path, folder))


def _figure(writer: Writer, figure: Any, name: str) -> None:
    options = {"include_plotlyjs": True}
    writer.spare(name, "", lambda run: writer.client.log_figure(run, figure, name, save_kwargs=options))


def _model(writer: Writer, model: ModelToLog) -> None:
    writer.spare(f"model {model.name}", "", lambda run: writer.model(run, model))
