"""Whole projects in temporary folders, run by the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from warm import Started

ROOT = Path(__file__).parents[2]
COLORS = {"water": (30, 80, 160), "land": (150, 120, 70), "house": (200, 40, 40)}


@dataclass
class Project:
    """A copy of the project's code and configuration, with data of its own."""

    path: Path
    params: dict[str, str] = field(default_factory=dict)

    def arguments(self, pipeline: str, env: str, **params: str) -> list[str]:
        """Return those of `kedro` for a run of one pipeline, or of several whose names are joined by commas."""
        given = ",".join(f"{key}={value}" for key, value in {**self.params, **params}.items())
        option = "--pipelines" if "," in pipeline else "--pipeline"
        return ["run", f"{option}={pipeline}", f"--env={env}", *([f"--params={given}"] if given else [])]

    def command(self, pipeline: str, env: str, **params: str) -> list[str]:
        return [sys.executable, "-m", "kedro", *self.arguments(pipeline, env, **params)]

    def start(self, pipeline: str, env: str, **params: str) -> subprocess.Popen[str]:
        """Start a run in an interpreter of its own, as a user does."""
        output = subprocess.PIPE
        return subprocess.Popen(
            self.command(pipeline, env, **params),
            cwd=self.path,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def fork(self, pipeline: str, env: str, **params: str) -> Started:
        """Start a run that has the heavy libraries imported already."""
        return Started(self.arguments(pipeline, env, **params), self.path, clean_environment())

    def kedro(self, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
        """Run `kedro ARGUMENTS`, with more in its environment if any is given; return exit status and output."""
        return Started(list(arguments), self.path, clean_environment() | (environment or {})).ended(900)

    def run(self, pipeline: str = "augment", env: str = "smoke", **params: str) -> str:
        status, output = self._ended(pipeline, env, **params)
        assert status == 0, output[-6000:]
        return output

    def fail(self, pipeline: str = "augment", env: str = "smoke", **params: str) -> str:
        status, output = self._ended(pipeline, env, **params)
        assert status != 0, output[-6000:]
        assert "Traceback" not in output, output[-6000:]
        return output

    def _ended(self, pipeline: str, env: str, **params: str) -> tuple[int, str]:
        environment = clean_environment()
        if _read_at_start(environment) != _AT_START:
            process = self.start(pipeline, env, **params)
            output, _ = process.communicate(timeout=900)
            return process.returncode, output
        return self.fork(pipeline, env, **params).ended(900)


def clean_environment() -> dict[str, str]:
    hidden = ("MLFLOW_", "KEDRO_", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if not key.startswith(hidden)}


def _read_at_start(environment: dict[str, str]) -> dict[str, str]:
    """Return what an interpreter reads when it starts, so that a forked run would not heed it."""
    return {key: value for key, value in environment.items() if key.startswith(("LANG", "LC_", "PYTHON"))}


_AT_START = _read_at_start(clean_environment())


def make_project(folder: Path) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("src", "conf", "notebooks"):
        # What is compiled already goes along: it is valid where a file's size and time are the same.
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info"))
    return Project(folder)


def made_scene(seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and a colour mask of blobs of water and houses on land."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    classes = np.ones((side, side), np.uint8)
    cy, cx, radius = random.uniform(0.2, 0.8, 3) * side
    classes[(y - cy) ** 2 + (x - cx) ** 2 < (radius / 3) ** 2] = 0
    for _ in range(12):
        top, left = random.integers(0, side - 8, 2)
        classes[top : top + 7, left : left + 7] = 2
    colors = np.array(list(COLORS.values()), np.uint8)
    noise = random.integers(-15, 16, (side, side, 3))
    return np.clip(colors[classes].astype(int) + noise, 0, 255).astype(np.uint8), colors[classes]


def add_made_data(project: Project, side: int = 96) -> Project:
    """Give a project a small data set of its own, `made`, and an environment `micro` in which it runs in seconds."""
    raw = project.path / "data" / "01_raw" / "made"
    for area in range(5):
        for number in range(2):
            image, mask = made_scene(10 * area + number, side)
            for kind, array in (("images", image), ("masks", mask)):
                file = raw / f"area {area}" / kind / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(file)
    description = {
        "name": "made",
        "title": "Made scenes",
        "licence": "none",
        "obtain": "It is made by the tests.",
        "raw": "data/01_raw/made",
        "layout": {
            "kind": "files",
            "pattern": r"(?P<area>area \d)/images/(?P<name>\d+)\.png",
            "mask": "{area}/masks/{name}.png",
            "scene": "{area}/{name}",
            "group": "{area}",
        },
        "masks": {"encoding": "color"},
        "classes": [{"name": name, "raw": list(color), "color": list(color)} for name, color in COLORS.items()],
        "splits": {"val": ["area 3"], "test": ["area 4"]},
    }
    (project.path / "conf/base/parameters_dataset_made.yml").write_text(
        yaml.safe_dump({"datasets": {"made": description}})
    )
    micro = {
        "tiling": {"tile_size": 32, "stride": 32, "shard_tiles": 8},
        "diffusion": {
            "model": {"network": {"stem": 4, "widths": [8, 16]}},
            "images": 80,
            "batch_size": 4,
            "drawing": {"steps": 3},
        },
        "sampling": {"shard_pairs": 8, "batch_size": 4},
        "comparison": {"gallery_pairs": 4},
        "compute": {"checkpoint_seconds": 0.001},
        "segmentation": {
            "networks": {
                "fpn_lite0": None,
                "fpn_mobilenetv3": {
                    "architecture": "fpn",
                    "encoder": "tu-mobilenetv3_small_050",
                    "options": {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32},
                },
            },
            "judge": {"network": "fpn_mobilenetv3"},
            "ratios": [0, 1],
            "seeds": [0],
            "training": {"images": 32, "batch_size": 4, "evaluations": 1},
        },
        "tracking": {"enabled": False},
    }
    folder = project.path / "conf" / "micro"
    folder.mkdir()
    (folder / "parameters.yml").write_text(yaml.safe_dump(micro))
    (folder / "globals.yml").write_text("dataset: made\nspace: micro\n")
    return project
