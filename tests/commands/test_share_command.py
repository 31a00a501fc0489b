from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from satsynth.commands import project_commands
from satsynth.diffusion.starting_points import SHIPPED, shipped


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(project_commands, ["share", *map(str, arguments)])


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / shipped()[0], tmp_path / "generator"))


def test_a_generator_is_shared_with_what_is_said_of_it(generator: Path, tmp_path: Path) -> None:
    done = call(generator, tmp_path / "small", "--about", "licence=CC0", "--about", "command=a=b")
    assert done.exit_code == 0, done.output
    assert f"--params=diffusion.start_from={tmp_path / 'small'}" in done.output
    manifest = json.loads((tmp_path / "small/manifest.json").read_text())
    assert manifest["about"] == {"licence": "CC0", "command": "a=b"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "small"], ["nowhere holds no finished generator"]),
        (["GENERATOR", "small", "--about", "CC0"], ["--about=CC0 is no KEY=TEXT", "licence=CC0"]),
    ],
)
def test_mistakes_end_with_one_message(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*(str(generator) if argument == "GENERATOR" else argument for argument in arguments))
    assert done.exit_code == 1 and all(word in done.output for word in words), done.output
    assert not (tmp_path / "small").exists()
