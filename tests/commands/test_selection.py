"""Names that do not exist are refused by name, before anything begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from satsynth.cli import cli
from satsynth.commands.selection import check_selection
from satsynth.work.errors import SatSynthError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    bootstrap_project(ROOT)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pipeline": "tilling"}, ["no pipeline 'tilling'", "Did you mean 'tiling'?", "augment", "download"]),
        ({"pipelines": ["tiling", "nothing"]}, ["no pipeline 'nothing'", "segmentation"]),
        ({"node_names": ["draw_pair"]}, ["no node 'draw_pair'", "Did you mean"]),
        ({"pipeline": "tiling", "from_nodes": ["train_judge"]}, ["no node 'train_judge'", "nodes of tiling"]),
        ({"to_nodes": ["?"]}, ["no node '?'"]),
        ({"tags": ["gpus"]}, ["no tag 'gpus'", "Did you mean 'gpu'?"]),
        ({"from_inputs": ["tile"]}, ["no catalog entry 'tile'", "Did you mean 'tiles'?"]),
        ({"to_outputs": ["reports"]}, ["no catalog entry 'reports'", "Did you mean 'report'?"]),
        ({"load_versions": {"tile": "2026"}}, ["no catalog entry 'tile'"]),
        ({"runner": "SequentialRuner"}, ["no runner 'SequentialRuner'", "Did you mean 'SequentialRunner'?"]),
        ({"runner": "nowhere.at.All"}, ["no runner 'nowhere.at.All'", "ThreadRunner"]),
        ({"runner": "os.path.join"}, ["no runner 'os.path.join'"]),
        ({"runner": "."}, ["no runner '.'"]),
        ({"runner": "ThreadRunner", "runner_params": {"workers": 2}}, ["no parameter of ThreadRunner", "max_workers"]),
        ({"pipeline": "tiling", "tags": ["tiling"], "to_nodes": []}, []),
        ({"tags": ["tiling"], "node_names": ["diffusion.train_generator"]}, ["Nothing is left to run"]),
        ({}, []),
    ],
)
def test_a_selection(given: dict[str, Any], words: list[str]) -> None:
    if not words:
        check_selection(given)
        return
    with pytest.raises(SatSynthError) as caught:
        check_selection(given)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "option", ["--pipeline=no", "--nodes=no", "--tags=no", "--runner=no", "--to-outputs=no", "--from-nodes=no"]
)
def test_the_command_says_it_in_one_message(option: str) -> None:
    done = CliRunner().invoke(cli, ["run", option])
    assert done.exit_code == 1 and "'no'" in done.output and done.output.count("What to do:") == 1


def test_an_unknown_environment_is_refused_in_one_message() -> None:
    """By the command of this project, and by those of plugins."""
    for arguments in (["run", "--env=smok"], ["catalog", "describe-datasets", "--env=smok"]):
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "no environment 'smok'" in done.stderr and "Did you mean 'smoke'?" in done.stderr
        assert done.stderr.count("What to do:") == 1
