"""Nodes that Kedro's ParallelRunner runs in processes of their own use the tracker of the run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from kedro.io import SharedMemoryDataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import ParallelRunner
from mlflow import MlflowClient

from satsynth import tracking
from satsynth.work.folder import Step, WorkFolder


def train(root: Path, name: str) -> int:
    """Track a training as a node does."""
    folder = WorkFolder(root, Step(name, 1, {}, {}))
    folder.result.mkdir(parents=True)
    with tracking.active_tracker().child(name, {"name": name}, folder) as child:
        for step in range(3):
            child.metrics(step, {"loss": 0.5 - step / 8})
        child.image(2, "drawn", np.zeros((4, 4, 3), np.uint8))
    return 1


def test_trainings_in_processes_of_their_own_are_children_of_the_run(local: str, tmp_path: Path) -> None:
    tracker = tracking.Tracker(local, "tests", tmp_path / "artifacts")
    tracker.start("parent", {}, {})
    tracker.share()
    tracking.use(tracker)
    names = ["diffusion", "judge"]
    nodes = [node(partial(train, tmp_path, name), None, f"done_{name}", name=name) for name in names]
    try:
        ParallelRunner(max_workers=2).run(Pipeline(nodes), SharedMemoryDataCatalog())
    finally:
        tracking.use(None)
        tracker.close("FINISHED")
    client, ids = MlflowClient(local), tracker._writer.ids
    assert sorted(ids) == ["", *names]
    for name in names:
        run = client.get_run(ids[name])
        assert run.info.status == "FINISHED" and run.data.params == {"name": name}
        assert run.data.tags["mlflow.parentRunId"] == ids[""]
        assert [point.value for point in client.get_metric_history(ids[name], "loss")] == [0.5, 0.375, 0.25]
        assert client.list_artifacts(ids[name], "images")
