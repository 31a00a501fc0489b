"""The container is not built here: its steps are checked against what they name."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile in order, each on one line."""
    lines = [line for line in (PROJECT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, rest in (line.split(maxsplit=1) for line in whole.splitlines() if line.strip())]


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def make_targets(commands: str) -> list[str]:
    words = shlex.split(commands)
    return [after for word, after in pairwise(words) if word == "make" and after.isalpha()]


def test_it_runs_as_a_user_without_rights_from_before_the_project_is_copied() -> None:
    names = [name for name, _ in instructions()]
    (user,) = of("USER")
    assert user != "root" and names.index("USER") < names.index("COPY")
    assert any(f"useradd --create-home --uid ${{UID}} {user}" in run for run in of("RUN"))
    assert all(f"--chown={user}:{user}" in copied for copied in of("COPY"))


def test_its_commands_are_those_of_the_makefile() -> None:
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"make (\w+)", listed))
    (command,) = of("CMD")
    wanted = [target for run in of("RUN") for target in make_targets(run)]
    assert wanted == ["install"] and make_targets(shlex.join(json.loads(command))) == ["augment"]
    assert {"install", "augment", "test"} <= known
    # What make would install lies where it looks for it.
    assert "VENV := .venv" in (PROJECT / "Makefile").read_text() and "python -m venv .venv" in " ".join(of("RUN"))


def test_the_kind_of_pytorch_is_an_argument_and_comes_before_all_else() -> None:
    arguments = dict(argument.split("=", 1) for argument in of("ARG"))
    assert arguments["TORCH_INDEX"].endswith("/cpu")
    order = [name + rest for name, rest in instructions()]
    torch = next(i for i, text in enumerate(order) if "pip install" in text and "${TORCH_INDEX}" in text)
    assert torch < next(i for i, text in enumerate(order) if text.startswith("COPY"))
    required = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert required == ">=3.11" and tuple(map(int, arguments["PYTHON"].split("."))) >= (3, 11)


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
def test_it_is_part_of_the_project(name: str) -> None:
    assert (PROJECT / name).is_file()


def test_what_is_left_out_is_what_git_leaves_out_and_nothing_that_is_needed() -> None:
    patterns = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    left_out, kept = ([p.removeprefix("!") for p in patterns if p.startswith("!") == there] for there in (False, True))

    def ignored(path: str) -> bool:
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        return path not in kept and any(
            fnmatch.fnmatch(part, p.removeprefix("**/")) for part in parts for p in left_out
        )

    for path in ("data/.work/x", "data/02_intermediate/base", ".venv/bin/python", "mlflow.db", "conf/local/a.yml"):
        assert ignored(path), path
    needed = [
        "Makefile",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "src/satsynth/cli.py",
        "conf/base/catalog_tiling.yml",
    ]
    for path in (*needed, "tests/conftest.py", "data/.gitkeep", "conf/local/.gitkeep"):
        assert not ignored(path), path
