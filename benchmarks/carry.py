"""All that a GPU machine without a package index needs for `benchmarks/gpu.py`, in one folder of less than 60 MiB.

    python benchmarks/carry.py --packed <what packed.py wrote> --to <folder>

It writes `satsynth.tar.gz` (code, benchmarks and configuration as Git tracks them), `packed/`, and `wheels/` of what
such a machine lacks beside PyTorch, torchvision, timm, safetensors, scikit-learn, pandas, pyarrow and OpenCV. There:

    tar xf satsynth.tar.gz
    pip install --no-index --no-deps --target site wheels/*
    PYTHONPATH=site:src python benchmarks/gpu.py day --data packed --to results --train 8m
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "benchmarks", "conf")
# Without their dependencies, which are these or there.
WHEELS = (
    "diffusers",
    "segmentation-models-pytorch",
    "albumentations",
    "albucore",
    "stringzilla",
    "simsimd",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "importlib-metadata",
    "zipp",
    "filelock",
)
LARGEST = 60 * 2**20


def pack_code(to: Path) -> None:
    """Write the tracked files of the code."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *FOLDERS], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    with tarfile.open(to / "satsynth.tar.gz", "w:gz") as archive:
        for name in filter(None, listed.split("\0")):
            archive.add(PROJECT / name, name)


def pack_wheels(to: Path) -> None:
    """Download the wheels, in the versions that are installed here."""
    wanted = [f"{name}=={version(name)}" for name in WHEELS]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*download, "--dest", str(to / "wheels"), *wanted], check=True)


def main() -> None:
    """Pack, and refuse what is too large."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--packed", type=Path, required=True)
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    pack_code(given.to)
    shutil.copytree(given.packed, given.to / "packed", dirs_exist_ok=True)
    pack_wheels(given.to)
    size = sum(file.stat().st_size for file in given.to.rglob("*") if file.is_file())
    print(f"{size / 2**20:.1f} MiB in {given.to}")
    if size > LARGEST:
        sys.exit(f"That is more than {LARGEST / 2**20:.0f} MiB: pack a data set with fewer or smaller scenes.")


if __name__ == "__main__":
    main()
