"""One MLflow server or file. Every call waits for it and may raise whatever MLflow raises."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satsynth.tracking.deadline import LateError, Punctual
from satsynth.tracking.local import opening
from satsynth.tracking.provenance import HOST, DataInput, as_key, host_name, is_dead, process_tags, without_password
from satsynth.work.errors import SatSynthError
from satsynth.work.files import read_json, write_json

log = logging.getLogger(__name__)
RUN_FILE = "run.json"
# Below MLflow's own limits, which count bytes too.
METRICS, PARAMS, PARAM_LENGTH = 900, 90, 5900
DIGEST_LENGTH = 36
# A dead server is given up soon, and MLflow draws no bars of its own; a user's own setting wins.
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_MANNERS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    _TIMEOUT: "10",
    # It may name an hour.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# A server that passes files on to a bucket answers when all of a file is there.
_UPLOAD_SECONDS = "120"
# After which a call is given up, whatever arrives meanwhile; one that uploads has the larger one.
CALL_SECONDS, LONG_CALL_SECONDS = 30.0, 600.0
_uploads = threading.Event()


def call_seconds() -> float:
    """Return how long a call may take; at least as long as the user's own timeout."""
    if _uploads.is_set():
        return LONG_CALL_SECONDS
    try:
        return max(CALL_SECONDS, float(os.environ.get(_TIMEOUT, "0")))
    except ValueError:
        return CALL_SECONDS


@contextmanager
def uploading() -> Iterator[None]:
    """Wait longer for a server's answers, but only to uploads; a user's own setting wins."""
    usual = os.environ.get(_TIMEOUT)
    _uploads.set()
    if usual == _MANNERS[_TIMEOUT]:
        os.environ[_TIMEOUT] = _UPLOAD_SECONDS
    try:
        yield
    finally:
        _uploads.clear()
        if usual == _MANNERS[_TIMEOUT]:
            os.environ[_TIMEOUT] = usual


@dataclass
class RunRecord:
    """All that a run was started with, so that it can be started again elsewhere.

    Args:
        name: Its name.
        params: Parameters.
        tags: Tags.
        inputs: Data that it saw.
        file: Where its identifier is kept, beside the checkpoint that it belongs to.
    """

    name: str
    params: Mapping[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[DataInput] = field(default_factory=list)
    file: Path | None = None


@dataclass(frozen=True)
class Value:
    """A metric at a step.

    Args:
        name: Its name.
        value: The number.
        time: Unix time in milliseconds.
        step: The step.
    """

    name: str
    value: float
    time: int
    step: int


def values_at(step: int, values: Mapping[str, float | None]) -> list[Value]:
    """Return metrics of a step as they are now, without those that are not known."""
    now = int(time.time() * 1000)
    return [Value(name, float(value), now, step) for name, value in values.items() if value is not None]


class Store:
    """An experiment in a server or file, which is made there if it is new.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder of artifacts, used if the experiment is new and the store is a local file.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path) -> None:
        for name, value in _MANNERS.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        for noisy in ("alembic", "mlflow", "urllib3.connectionpool"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self.uri, self.shown_uri = uri, without_password(uri)
        registry = os.environ.get("MLFLOW_REGISTRY_URI") if uri == os.environ.get("MLFLOW_TRACKING_URI") else None
        where = artifacts.as_uri() if uri.startswith("sqlite:") else None
        with opening(uri, artifacts, CALL_SECONDS):
            self.client: Any = Punctual(MlflowClient(uri, registry or uri), call_seconds)
            self.experiment = self._experiment(experiment, where)

    def _experiment(self, name: str, artifacts: str | None) -> str:
        """Return the identifier of an experiment, which is made if it is new."""
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(name)
        if known is None:
            try:
                return str(self.client.create_experiment(name, artifacts))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # Another first run was faster.
            known = self.client.get_experiment_by_name(name)
        return str(known.experiment_id)

    def mark_dead(self) -> None:
        """Mark the running runs of this host whose process is gone as killed."""
        wanted, page = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{host_name()}'", None
        while True:
            found = self.client.search_runs([self.experiment], wanted, page_token=page)
            for run in found:
                if is_dead(run.data.tags):
                    self.client.set_terminated(run.info.run_id, "KILLED")
            page = found.token
            if not page:
                return

    def begin(self, record: RunRecord, parent: str | None = None) -> str:
        """Create a run, or continue the one whose identifier lies in its file, and return its identifier."""
        run = self._continued(record, parent)
        if run is None:
            tags = {as_key(key): value for key, value in {**record.tags, **process_tags()}.items()}
            if parent is not None:
                tags["mlflow.parentRunId"] = parent
            run = str(self.client.create_run(self.experiment, run_name=record.name, tags=tags).info.run_id)
            try:
                self.params(run, record.params)
                self.inputs(run, record.inputs)
            except LateError:
                raise
            except Exception:
                # It is begun again, here or elsewhere.
                with suppress(Exception):
                    self.client.delete_run(run)
                raise
            if record.file is not None:
                self._remember(record.file, run)
        return run

    def joined(self, run: str, record: RunRecord) -> str:
        """Tell a run that another program began what is known, and return its identifier."""
        self.tags(run, record.tags)
        self.params(run, record.params)
        return run

    def origin(self, file: Path) -> dict[str, str]:
        """Return as tags which run did the work that lies beside a file."""
        known = _kept(file)
        elsewhere = {"reused_from_uri": known["uri"]} if known.get("uri", self.shown_uri) != self.shown_uri else {}
        return {"reused_from": known.get("run_id", "unknown"), **elsewhere}

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self.client.log_batch(run, tags=[RunTag(as_key(key), value) for key, value in tags.items()])

    def params(self, run: str, params: Mapping[str, str]) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        entries = [Param(as_key(key), value[:PARAM_LENGTH]) for key, value in params.items()]
        for first in range(0, len(entries), PARAMS):
            self.client.log_batch(run, params=entries[first : first + PARAMS])

    def metrics(self, run: str, values: Sequence[Value]) -> None:
        """Log metrics, 900 at most."""
        from mlflow.entities import Metric

        self.client.log_batch(run, metrics=[Metric(as_key(v.name), v.value, v.time, v.step) for v in values])

    def inputs(self, run: str, inputs: Sequence[DataInput]) -> None:
        """Log data sets."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entries = [
            DatasetInput(
                Dataset(
                    data.name,
                    data.digest[:DIGEST_LENGTH],
                    "local",
                    json.dumps({"uri": data.path}),
                    profile=json.dumps({"digest": data.digest, "pairs": dict(data.counts)}),
                ),
                [InputTag("mlflow.data.context", "training")],
            )
            for data in inputs
        ]
        if entries:
            self.client.log_inputs(run, entries)

    def end(self, run: str, status: str) -> None:
        """End a run."""
        self.client.set_terminated(run, status)

    def _continued(self, record: RunRecord, parent: str | None) -> str | None:
        from mlflow.exceptions import MlflowException

        known = _kept(record.file)
        if known.get("uri") != self.shown_uri or "run_id" not in known:
            return None
        try:
            run = self.client.get_run(known["run_id"])
        except MlflowException as error:
            if error.get_http_status_code() == 404:
                return None
            raise
        # Deleted in the UI: nobody looks for it there.
        if run.info.lifecycle_stage != "active":
            return None
        self.client.update_run(run.info.run_id, status="RUNNING")
        self.tags(run.info.run_id, process_tags())
        if parent is not None:
            self.tags(parent, {f"continued.{record.name}": run.info.run_id})
        return str(run.info.run_id)

    def _remember(self, file: Path, run: str) -> None:
        try:
            write_json(file, {"uri": self.shown_uri, "run_id": run})
        except (OSError, SatSynthError) as error:
            log.debug("The run's identifier was not kept in %s: %s", file, error)


def _kept(file: Path | None) -> dict[str, Any]:
    """Return what is known of the run that a file belongs to; nothing where it is damaged: a new run begins then."""
    try:
        known = {} if file is None else read_json(file)
    except (OSError, ValueError, SatSynthError):
        return {}
    return known if isinstance(known, dict) else {}
