from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner, Result

from made_data import make_data
from satsynth.commands import project_commands


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return make_data(tmp_path / "data" / "raw").raw


def run(*arguments: str) -> Result:
    project = SimpleNamespace(project_path=Path.cwd())
    return CliRunner().invoke(project_commands, ["describe", *arguments], obj=project)


def test_a_description_is_written_once_and_only_over_by_force(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "conf/base/parameters_dataset_mine.yml"
    done = run("data/raw", "--name=mine")
    assert done.exit_code == 0, done.output
    assert str(target) in done.output and "--params=dataset=mine" in done.output
    assert yaml.safe_load(target.read_text())["datasets"]["mine"]["raw"] == "data/raw"
    target.write_text("edited")
    again = run("data/raw", "--name=mine")
    assert again.exit_code == 1 and "already exists" in again.output and "--force" in again.output
    assert target.read_text() == "edited"
    assert run("data/raw", "--name=mine", "--force").exit_code == 0
    assert target.read_text() != "edited"


def test_what_is_not_certain_is_shown_on_the_terminal_and_in_the_file(folder: Path, tmp_path: Path) -> None:
    output = run(str(folder), "--name=mine", "--masks=2").output
    text = (tmp_path / "conf/base/parameters_dataset_mine.yml").read_text()
    for said in ("placeholders", "2 of 6 masks were read"):
        assert said in " ".join(output.split()) and said in " ".join(text.replace("#", "").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data/raw", "--name=my-data"], "is not a valid name"),
        (["conf", "--name=mine"], "No image with a mask"),
        (["data/none", "--name=mine"], "does not exist"),
        (["data/raw"], "Missing option '--name'"),
    ],
)
def test_a_wrong_call_says_why_and_writes_nothing(
    folder: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run(*arguments)
    assert done.exit_code != 0 and said in done.output and "Traceback" not in done.output
    assert list((tmp_path / "conf" / "base").iterdir()) == []
