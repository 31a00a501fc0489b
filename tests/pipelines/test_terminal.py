from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from projects import Project, add_made_data, clean_environment, make_project


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with enough to cut that there is time to interrupt it."""
    made = add_made_data(make_project(tmp_path_factory.mktemp("ingested") / "project"), side=320)
    made.run("ingestion", "micro")
    return made


@pytest.fixture
def project(ingested: Project, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    return Project(shutil.copytree(ingested.path, tmp_path / "project"))


def on_a_terminal(project: Project, pipeline: str, **environment: str) -> str:
    """Run a pipeline with a terminal of its own and return all that appeared there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    hidden = ("CI", "NO_COLOR", "TERM", "COLORTERM")
    kept = {key: value for key, value in clean_environment().items() if key not in hidden}
    process = subprocess.Popen(
        project.command(pipeline, "micro"),
        cwd=project.path,
        env=kept | {"TERM": "xterm-256color"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


BAR = re.compile(r"Tiling: +\d+%\|")


def test_a_terminal_shows_a_bar_without_colours_where_none_are_wanted(project: Project) -> None:
    shown = on_a_terminal(project, "tiling", NO_COLOR="1")
    assert BAR.search(shown) and "Tiles of 32 x 32" in shown
    assert not re.findall(r"\x1b\[[\d;]*m", shown)


def test_a_build_server_shows_no_bar(project: Project) -> None:
    shown = on_a_terminal(project, "tiling", CI="true")
    assert not BAR.search(shown) and "Tiles of 32 x 32" in shown
    # One line after another, none overwritten.
    assert "\r" not in shown.replace("\r\n", "")


def test_the_first_line_says_what_will_be_done_and_no_line_warns(project: Project) -> None:
    lines = project.run("tiling", "micro").splitlines()
    assert "tiling on made (Made scenes, 3 classes), environment micro: 1 step" in lines[0]
    assert not [line for line in lines if "warn" in line.lower() or "deprecat" in line.lower()]


def test_the_first_line_does_not_wait_for_heavy_libraries(project: Project) -> None:
    command = project.command("tiling", "micro", **{"tracking.enabled": "true"})
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        cwd=project.path,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    before, found, after = done.stderr.partition("tiling on made (Made scenes")
    assert found, done.stderr[-3000:]
    heavy = {"torch", "mlflow", "diffusers", "segmentation_models_pytorch", "albumentations", "torchmetrics"}
    imported = [set(re.findall(r"\| +(\w+)$", part, re.M)) for part in (before, after)]
    assert "kedro" in imported[0] and not heavy & imported[0]
    assert "mlflow" in imported[1], "what takes seconds is loaded behind that line"


def interrupt(process: subprocess.Popen[str], begun: Callable[[], bool]) -> None:
    """Press Ctrl-C as soon as the work has begun."""
    end = time.monotonic() + 120
    while not begun() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Stopped. Everything finished so far is kept" in output and "run the same command again" in output
    assert "Traceback" not in output and "Error" not in output


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(project: Project) -> None:
    shards = "data/.work/tiling/*/result/*.parquet"
    # Overlapping tiles are many: there must be time to interrupt on a fast machine.
    params = {"tiling.stride": "16"}
    interrupt(project.start("tiling", "micro", **params), lambda: bool(list(project.path.glob(shards))))
    done = {path: path.stat().st_mtime_ns for path in project.path.glob(shards)}
    assert "Tiles of 32 x 32" in project.run("tiling", "micro", **params)
    whole = {path: path.stat().st_mtime_ns for path in project.path.glob(shards)}
    assert done.items() <= whole.items() and 0 < len(done) < len(whole)


def test_ctrl_c_leaves_a_run_that_mlflow_calls_killed(project: Project) -> None:
    # MLflow takes seconds to make its file.
    MlflowClient(f"sqlite:///{project.path / 'mlflow.db'}").search_experiments()
    with sqlite3.connect(project.path / "mlflow.db") as database:

        def known() -> bool:
            return database.execute("select 1 from runs").fetchone() is not None

        # MLflow has the run seconds after the first step begins: a training of days is not over by then.
        process = project.start(
            "tiling,diffusion", "micro", **{"diffusion.images": "100000000", "tracking.enabled": "true"}
        )
        interrupt(process, known)
        assert database.execute("select status from runs").fetchall() == [("KILLED",)]


def test_a_second_ctrl_c_ends_at_once_without_a_traceback(project: Project) -> None:
    process = project.start("tiling", "micro", **{"tiling.stride": "8", "tracking.enabled": "true"})
    end = time.monotonic() + 120
    while not list(project.path.glob("data/.work/tiling/*/result")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output, output
    # Our own status, or the signal's where a later one ends the interpreter while it shuts down.
    assert process.returncode in (130, -signal.SIGINT), output
    assert "Tiles of 32 x 32" not in output
    assert not list(project.path.glob("data/.work/tiling/*/result/manifest.json"))
