"""What kedro-airflow makes of the project: a task for each stage."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project


class Task:
    """In place of a task of Airflow, which is no dependency: knows what comes after it."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name, self.work, self.after = name, work, set[str]()

    def __rshift__(self, later: Task) -> Task:
        later.after.add(self.name)
        return later


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """The tasks that a DAG makes when its file is run."""
    made: dict[str, Task] = {}

    def task(task_id: str) -> Callable[[Callable[[], object]], Callable[[], Task]]:
        return lambda work: lambda: made.setdefault(task_id, Task(task_id, work))

    sdk: Any = ModuleType("airflow.sdk")
    sdk.task, sdk.dag = task, lambda **_: lambda function: function
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    return made


def test_a_dag_has_a_task_for_each_stage(
    project: Path, tasks: dict[str, Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--pipelines=augment", "--group-by=namespace", "--env=smoke", f"--target-dir={tmp_path}"]
    command = [sys.executable, "-m", "kedro", "airflow", "create", *options]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEDRO_")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.rglob("*.py")
    dag = runpy.run_path(str(file))
    bootstrap_project(project)
    groups = pipelines["augment"].group_nodes_by("namespace")
    assert {name: made.after for name, made in tasks.items()} == {
        group.name: set(group.dependencies) for group in groups
    }
    assert len(tasks) == 8
    asked: list[dict[str, Any]] = []
    for made in tasks.values():
        monkeypatch.setitem(made.work.__globals__, "_run_kedro_node", lambda **what: asked.append(what))
        made.work()
    assert asked == [{"namespaces": [name]} for name in tasks]
    assert (dag["env"], dag["pipeline_name"], dag["package_name"]) == ("smoke", "augment", "satsynth")
