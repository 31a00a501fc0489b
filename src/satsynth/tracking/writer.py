"""What the tracker's thread writes, and where: to a server, and from its first failure on to the local file."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from satsynth.tracking.deadline import LateError, in_time
from satsynth.tracking.model import ModelToLog, log_model
from satsynth.tracking.provenance import DataInput, as_key, has_broken_password, without_password
from satsynth.tracking.store import METRICS, RunRecord, Store, Value, uploading, values_at

log = logging.getLogger(__name__)
# A server whose entries wait longer than this is left.
LATE_SECONDS = 60.0
# A file that another process holds is tried again, this often. Making a new one takes a slow machine a while.
LOCKED_SECONDS, RETRY_SECONDS, OPEN_SECONDS = 30.0, 0.5, 90.0
# Entries that the server understood and refused: no reason to leave it.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST", "ENDPOINT_NOT_FOUND")

Action = Callable[[], None]


class Writer:
    """Writes runs and what belongs to them; used by one thread, but for `where`, ``hurry`` and ``uploading``.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder of artifacts, used if the experiment is new and the store is a local file.
        local: URI of the local file that takes over where the server fails; empty for none.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path, local: str = "") -> None:
        self._uri, self._experiment, self._artifacts = uri, experiment, artifacts
        self._local = local if local != uri else ""
        self.hurry = threading.Event()
        self.uploading = threading.Event()
        self.ids: dict[str, str] = {}
        self.flushed = self._excused = time.monotonic()
        self._store: Store | None = None
        self._records: dict[str, RunRecord] = {}
        self._buffer: dict[str, list[Value]] = {}
        self._left: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._stopped = False
        self._refused = False

    @property
    def where(self) -> str:
        """The server or file that is written to now."""
        return without_password(self._uri)

    @property
    def client(self) -> Any:
        """MLflow's client."""
        return self._open().client

    def do(self, action: Action) -> None:
        """Write something, to where it still can be written."""
        if self._stopped:
            return
        end = time.monotonic() + LOCKED_SECONDS
        while True:
            try:
                action()
            except Exception as error:  # whatever the server does, the run goes on
                if self._is_refusal(error):
                    return
                if self._is_locked(error) and time.monotonic() < end and not self.hurry.is_set():
                    time.sleep(RETRY_SECONDS)
                    continue
                self._leave(_reason(error))
                self.do(action)
            return

    def _is_locked(self, error: Exception) -> bool:
        """Return whether another process holds the local file just now."""
        return self._uri.startswith("sqlite:") and "database is locked" in _reason(error)

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether the server understood and refused an entry; a warning is logged once."""
        if "" not in self.ids or getattr(error, "error_code", "") not in _REFUSALS:
            return False
        if not self._refused:
            log.warning("MLflow at %s refused an entry: %s", self.where, _reason(error))
        self._refused = True
        return True

    def leave_if_late(self, asked: float) -> None:
        """Leave a server that lags behind the run, or that is to be finished with."""
        if self._local and not self._stopped:
            waited = time.monotonic() - max(asked, self._excused)
            if self.hurry.is_set() or waited > LATE_SECONDS:
                self._leave(f"too slow: entries wait {waited:.0f} s")

    def _leave(self, reason: str) -> None:
        """Go on in the local file, or without tracking where that is what failed."""
        uri, shown = self._local, self.where
        if not uri:
            self._stopped = True
            log.warning("Tracking in MLflow at %s has stopped (%s); the run goes on without it.", shown, reason)
            return
        log.warning("MLflow at %s cannot be used (%s). From now on this run is tracked in %s.", shown, reason, uri)
        self._left = {"left": shown, **({"left_run": self.ids[""]} if "" in self.ids else {})}
        self._uri, self._local, self._store, self.ids = uri, "", None, {}

    def _open(self) -> Store:
        if self._store is None:
            if has_broken_password(self._uri):
                raise ValueError("a password in its address holds / ? or #; write them as %2F, %3F and %23")
            uri = self._uri
            self._store = in_time(lambda: Store(uri, self._experiment, self._artifacts), OPEN_SECONDS, "the first call")
            self._store.mark_dead()
            self._excused = time.monotonic()
        return self._store

    def _run(self, key: str) -> str:
        """Return a run's identifier, beginning it where it is not known, as after a change of the store."""
        if key not in self.ids:
            store, record, joined = self._open(), self._records[key], os.environ.get("MLFLOW_RUN_ID")
            if key:
                self.ids[key] = store.begin(record, self._run(""))
            elif joined and not self._left:
                self.ids[key] = store.joined(joined, record)
            else:
                self.ids[key] = store.begin(replace(record, tags={**record.tags, **self._left}))
        return self.ids[key]

    def start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Begin the parent run."""
        self._records[""] = RunRecord(name, params, dict(tags))
        self._run("")

    def begin(self, record: RunRecord) -> None:
        """Begin a child run, or continue it."""
        self._records[record.name] = record
        self.ids.pop(record.name, None)
        self._run(record.name)

    def reuse(self, record: RunRecord, file: Path, values: Mapping[str, float | None]) -> None:
        """Write a child of work that was done before."""
        # The parent has it already, as a training that the judge shares with the grid.
        if record.name in self.ids:
            return
        record.tags.update(self._open().origin(file))
        self.result(record, values)

    def result(self, record: RunRecord, values: Mapping[str, float | None]) -> None:
        """Write a child that is finished at once."""
        self.begin(record)
        self._buffer[record.name] = values_at(0, values)
        self.end(record.name, "FINISHED")

    def metrics(self, key: str, values: Sequence[Value]) -> None:
        """Take metrics of a run, to be written with others."""
        self._buffer.setdefault(key, []).extend(values)

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._records[""].tags[key] = value
        self._open().tags(self._run(""), {as_key(key): value})

    def inputs(self, inputs: Sequence[DataInput]) -> None:
        """Write what the parent run saw; each once."""
        new = [data for data in inputs if data not in self._records[""].inputs]
        if new:
            self._open().inputs(self._run(""), new)
            self._records[""].inputs.extend(new)

    def spare(self, name: str, key: str, action: Callable[[str], None]) -> None:
        """Do something optional for a run: if it fails although the server works, only it is left out."""
        run = self._run(key)
        try:
            action(run)
        except Exception as error:
            if self._is_refusal(error):
                return
            if isinstance(error, LateError):
                raise
            reason = _reason(error)
            # A server that does not take this is not well, which is what is raised then.
            self._open().tags(run, {f"left_out.{name}": reason})
            if name not in self._left_out:
                log.warning("MLflow at %s is left without %s: %s", self.where, name, reason)
            self._left_out.add(name)

    def artifact(self, run: str, path: Path, folder: str) -> None:
        """Copy a file."""
        # A server that does not answer should be detected before the long wait for an upload.
        self.client.get_run(run)
        with self._long(), uploading():
            self.client.log_artifact(run, str(path), folder)

    def model(self, run: str, model: ModelToLog) -> None:
        """Package and register a generator."""
        with self._long():
            store = self._open()
            # The training's own run, where it is known; the parent after a change of the store.
            log_model(store.client, store.experiment, self.ids.get(model.run, run), model)

    @contextmanager
    def _long(self) -> Iterator[None]:
        """Mark what may take long: `close` waits for it, and what is queued behind it does not count as late."""
        self.uploading.set()
        try:
            yield
        finally:
            self.uploading.clear()
            self._excused = time.monotonic()

    def flush(self) -> None:
        """Write the metrics that wait."""
        self.flushed = time.monotonic()
        for key in list(self._buffer):
            entries = self._buffer.pop(key)
            while entries:
                try:
                    self._open().metrics(self._run(key), entries[:METRICS])
                except Exception as error:
                    # What was refused, for example for a deleted run, would be refused forever.
                    if not self._is_refusal(error):
                        self._buffer[key] = entries
                        raise
                del entries[:METRICS]

    def end(self, key: str, status: str) -> None:
        """End a run, its metrics first."""
        self.flush()
        run = self._run(key)
        if run != os.environ.get("MLFLOW_RUN_ID"):
            self._open().end(run, status)


def _reason(error: BaseException) -> str:
    """Return what was at the bottom of an error in one line, without names and passwords in addresses."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return without_password(" ".join(str(error).split()))[:200] or type(error).__name__
