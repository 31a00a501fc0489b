"""The script for a day with a GPU works, in small, on a CPU and where neither Kedro nor MLflow is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import segmentation_models_pytorch as smp
from safetensors.torch import load_file, save_file

from satsynth.diffusion.settings import DiffusionSettings
from satsynth.training.imagenet import ENCODER
from satsynth.training.settings import ComputeSettings

PROJECT = Path(__file__).resolve().parents[2]
ABSENT = ("kedro", "mlflow", "omegaconf", "rasterio", "pyogrio", "plotly", "psutil", "hypothesis", "ray")
SIDE = 128


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of links to the installed packages, without some of them and without satsynth."""
    site = tmp_path_factory.mktemp("site")
    spec = find_spec("torch")
    assert spec is not None and spec.origin is not None
    for package in Path(spec.origin).parents[1].iterdir():
        if not package.name.startswith((*ABSENT, "satsynth", "__editable__")) and package.suffix != ".pth":
            (site / package.name).symlink_to(package)
    return site


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a packed data set of made scenes, and an encoder with random weights."""
    folder, random = tmp_path_factory.mktemp("packed"), np.random.default_rng(0)
    scenes, tiles = [], []
    for number, split in enumerate(("train", "train", "val", "test")):
        mask = np.kron(random.integers(0, 2, (8, 8)), np.ones((32, 32))).astype(np.uint8)
        image = np.where(mask[..., None] == 1, 180, 60) + random.integers(-20, 21, (256, 256, 3))
        cv2.imwrite(str(folder / f"{number:04d}.webp"), image.astype(np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])
        cv2.imwrite(str(folder / f"{number:04d}.png"), mask)
        scenes.append({"id": str(number), "split": split, "height": 256, "width": 256})
        tiles += [[number, top, left, 0, 0] for top in (0, SIDE) for left in (0, SIDE)]
    classes = [{"name": "land", "color": [0, 255, 0]}, {"name": "house", "color": [255, 0, 0]}]
    (folder / "index.json").write_text(json.dumps({"scenes": scenes, "tiles": tiles, "classes": classes}))
    state = smp.encoders.get_encoder(ENCODER, weights=None).state_dict()
    save_file(
        {name: v.half() if v.is_floating_point() else v for name, v in state.items()}, folder / "encoder.safetensors"
    )
    return folder


def run(site: Path, packed: Path, to: Path, *arguments: str) -> str:
    command = [sys.executable, "-S", str(PROJECT / "benchmarks" / "gpu.py"), *arguments, "--tiny"]
    paths = os.pathsep.join([str(site), str(PROJECT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--data", str(packed), "--to", str(to)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_day_leaves_figures_gallery_and_weights(bare_site: Path, packed: Path, tmp_path: Path) -> None:
    changes = json.dumps({"drawing": {"steps": 2}, "looks": 1})
    output = run(
        bare_site, packed, tmp_path, "day", "--train", "4", "--pairs", "4", "--minutes", "0.05", "--changes", changes
    )
    lines = json.loads((tmp_path / "speed.json").read_text())
    assert lines[0]["device"] == "CPU" and lines[0]["convolution_fp32"] > 0
    measured = [line for line in lines if "images_per_second" in line]
    assert measured and all(line["images_per_second"] > 0 for line in measured)
    assert 0 < measured[0]["share_of_convolutions"] < 10
    # Beyond the time, the rest is named but not measured.
    assert all("left_out" in line or "error" not in line or line.get("graphs") for line in lines)
    fidelity = json.loads((tmp_path / "fidelity.json").read_text())
    assert {"val", "test", "drawn, joint", "drawn, model", "drawn, painted"} <= set(fidelity)
    assert (tmp_path / "painted.png").stat().st_size and "pairs/s" in output
    weights = load_file(tmp_path / "ema.safetensors")
    assert all(str(value.dtype) in ("torch.float16", "torch.int64") for value in weights.values())
    assert json.loads((tmp_path / "generator-manifest.json").read_text())["images"] == 4


def test_minutes_become_images_once(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    gpu, speed, packing = (import_module(name) for name in ("gpu", "gpu_speed", "packed"))
    rates = iter([0.5, 0.1])
    monkeypatch.setattr(gpu, "seconds_an_image", lambda *_: next(rates))
    data, settings = packing.Packed(packed, tmp_path), DiffusionSettings(**speed.configuration("base", {})[0])
    for _ in range(2):
        assert gpu.images_in("8m", data, settings, ComputeSettings()) == 960
    assert gpu.images_in("4m", data, settings, ComputeSettings()) == 2400
    assert gpu.images_in("77", data, settings, ComputeSettings()) == 77


def test_what_is_left_out_is_absent_indeed(bare_site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(bare_site)}
    for name in (*ABSENT, "satsynth"):
        done = subprocess.run([sys.executable, "-S", "-c", f"import {name}"], env=environment, capture_output=True)
        assert done.returncode != 0
