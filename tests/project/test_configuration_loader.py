"""Configuration that is broken: it concerns its own data set only, and the file is named."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from satsynth.configuration import ProjectConfigLoader, dataset_names
from satsynth.settings import CONFIG_LOADER_ARGS
from satsynth.work.errors import SatSynthError

ROOT = Path(__file__).parents[2]
DATASETS = dataset_names(ROOT / "conf/base")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf", dirs_exist_ok=True)
    return tmp_path / "conf"


def load(conf: Path, env: str = "smoke", kind: type[OmegaConfigLoader] = ProjectConfigLoader, **params: Any) -> Any:
    return kind(str(conf), env=env, runtime_params=params, **CONFIG_LOADER_ARGS)["parameters"]


@cache
def whole(dataset: str) -> Any:
    """Return the parameters where nothing is broken."""
    return load(ROOT / "conf", dataset=dataset)


def write(conf: Path, name: str, content: str | bytes) -> Path:
    file = conf / f"base/parameters_dataset_{name}.yml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def described(name: str, **changes: Any) -> str:
    content = yaml.safe_load((ROOT / "conf/base/parameters_dataset_dubai.yml").read_text())["datasets"]["dubai"]
    return yaml.safe_dump({"datasets": {name: {**content, "name": name, **changes}}}, allow_unicode=True)


# Each data set in one environment, and each environment with one data set: an environment holds no descriptions.
@pytest.mark.parametrize(
    ("env", "dataset"),
    [*(("smoke", dataset) for dataset in DATASETS), *((env, "dubai") for env in ("base", "gpu", "paper", "local"))],
)
def test_what_is_whole_is_read_as_by_kedro(env: str, dataset: str) -> None:
    """Apart from the descriptions of other data sets."""
    usual = load(ROOT / "conf", env, OmegaConfigLoader, dataset=dataset)
    usual["datasets"] = {dataset: usual["datasets"][dataset]}
    assert load(ROOT / "conf", env, dataset=dataset) == usual


BROKEN = {
    "unknown resolver": (described("broken", title="${oc.env:HOME}"), ["`datasets.broken.title`", "oc.env"]),
    "unknown place": (described("broken", licence="${nowhere.at.all}"), ["`datasets.broken.licence`", "nowhere"]),
    "in a list": (described("broken", splits={"test": ["${x}"], "val": ["a"]}), ["datasets.broken.splits.test[0]"]),
    "unclosed": (described("broken", title="${"), ["cannot be read"]),
    "syntax": ("datasets:\n  broken: {a: [1, 2\n", ["not valid YAML, line"]),
    "tab": ("datasets:\n\tbroken: 1\n", ["not valid YAML, line 2, column 1"]),
    "twice": ("datasets: {broken: {a: 1, a: 2}}\n", ["not valid YAML, line 1", "duplicate key"]),
    "alias": ("datasets: {broken: *nothing}\n", ["is not read"]),
    "python": ("datasets: {broken: !!python/object/apply:os.system [exit]}\n", ["not valid YAML, line 1"]),
    "list": ("- datasets\n", ["holds a list"]),
    "text": ("datasets\n", ["does not describe the data set 'broken': it describes none"]),
    "other name": ("datasets: {other: {}}\n", ["does not describe the data set 'broken': it describes other"]),
    "encoding": ("datasets: {broken: {title: \xe4}}".encode("latin-1"), ["is not UTF-8"]),
    "zero": (b"datasets: \x00\n", ["cannot be read"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_description_is_named_and_concerns_itself_only(conf: Path, name: str) -> None:
    content, words = BROKEN[name]
    file = write(conf, "broken", content)
    for dataset in ("bluemarble", "dubai"):
        assert load(conf, dataset=dataset) == whole(dataset)
    with pytest.raises(SatSynthError) as caught:
        load(conf, dataset="broken")
    for word in [str(file), *words]:
        assert word in caught.value.problem
    assert caught.value.remedy and len(str(caught.value).splitlines()) <= 3


def test_other_files_of_the_configuration_are_named_too(conf: Path) -> None:
    (conf / "smoke/parameters.yml").write_text("diffusion: {images: [}\n")
    with pytest.raises(SatSynthError, match=r"smoke/parameters\.yml is not valid YAML, line 1, column"):
        load(conf)
    (conf / "smoke/parameters.yml").write_text("diffusion: {images: '${globals:none}'}\n")
    with pytest.raises(SatSynthError, match=r"smoke/parameters.yml: `diffusion.images` cannot be resolved"):
        load(conf)
    (conf / "smoke/parameters.yml").write_text("diffusion: {images: 8}\n")
    (conf / "smoke/parameters_more.yml").write_text("diffusion: {images: 9}\n")
    with pytest.raises(SatSynthError, match=r"Duplicate keys found in .*smoke.*diffusion.images"):
        load(conf)


def test_globals_are_named_too(conf: Path) -> None:
    (conf / "base/globals.yml").write_text("dataset: [\n")
    with pytest.raises(SatSynthError, match=r"base/globals\.yml is not valid YAML"):
        load(conf)


def test_an_unknown_environment_is_refused_with_the_known_ones(conf: Path) -> None:
    for env in ("smok", "../conf/smoke", "globals.yml", "."):
        with pytest.raises(SatSynthError, match=r"no environment.*There are: base, gpu, local, paper, smoke"):
            load(conf, env)
    with pytest.raises(SatSynthError, match="Did you mean 'smoke'"):
        load(conf, "smok")


@pytest.mark.parametrize("title", ["${oc.env:HOME}", "${", "}${a", r"C:\${x}", r"\d{2}$", "$x {y}", "???"])
def test_escaped_text_is_read_as_it_was_meant(conf: Path, title: str) -> None:
    from satsynth.describing.text import _value

    text = described("odd").replace("title:", f"title: {_value(title)}\n    was:")
    write(conf, "odd", text)
    assert load(conf, dataset="odd")["description"]["title"] == title
