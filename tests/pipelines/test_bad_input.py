from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from projects import Project, clean_environment

RAW = "data/01_raw/made"


def _describe(project: Project, **changes: object) -> None:
    file = project.path / "conf/base/parameters_dataset_made.yml"
    content = yaml.safe_load(file.read_text())
    content["datasets"]["made"] |= changes
    file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"dataset": "maed"}, ["no data set 'maed'", "Did you mean 'made'", "bluemarble"]),
        ({"datset": "made"}, ["no parameter 'datset'", "Did you mean 'dataset'"]),
        ({"diffusion.model.network.widht": "3"}, ["`diffusion.model.network.widht`", "Did you mean 'widths'"]),
        ({"diffusion.drawing.steps": "1"}, ["`diffusion.drawing.steps`", "greater than or equal to 2"]),
        ({"generation.family": "difusion"}, ["`generation.family`", "no family of generators 'difusion'", "replay"]),
        ({"tiling.tile_size": "416"}, ["`tiling.tile_size` is 416", "96 x 96"]),
        ({"tiling.tile_size": "40"}, ["`tiling.tile_size` is 40", "`segmentation.networks`", "to 32 or 64"]),
        ({"compute.device": "cuda"}, ["`compute.device` is 'cuda'", "no CUDA GPU"]),
        ({"segmentation.training.epochs": "3"}, ["epochs` is given by --params", "images` is 32", "images=null"]),
        ({"segmentation": "null"}, ["`segmentation`", "valid dictionary"]),
        ({"raw": "nowhere"}, ["raw folder", "does not exist", "It is made by the tests"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_parameters_end_with_one_message(made_project: Project, params: dict[str, str], words: list[str]) -> None:
    if params.get("compute.device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA GPU here")
    output = made_project.fail("augment", "micro", **params)
    for word in words:
        assert word in output
    assert output.count("What to do:") == 1


def test_all_bad_files_are_named_at_once(made_project: Project) -> None:
    raw = made_project.path / RAW
    (raw / "area 0/masks/0.png").unlink()
    whole = (raw / "area 1/images/0.png").read_bytes()
    (raw / "area 1/images/0.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (50, 96)).save(raw / "area 2/masks/0.png")
    _paint(raw / "area 3/masks/0.png")
    output = made_project.fail("augment", "micro")
    assert "has 4 bad file(s)" in output
    assert "area 0/images/0.png  has no mask: area 0/masks/0.png does not exist" in output
    assert "area 1/images/0.png  cannot be read" in output
    assert "area 2/images/0.png  is 96 x 96 pixels, but its mask area 2/masks/0.png is 50 x 96" in output
    assert "colour #FF00FF in 12 pixel(s), first at x=5, y=7" in output
    assert output.count("What to do:") == 1
    written = pd.read_csv(made_project.path / "data/.work/bad_files_made.csv")
    assert sorted(written["scene"]) == ["area 0/0", "area 1/0", "area 2/0", "area 3/0"]


def test_bad_scenes_are_left_out_and_recorded_where_that_is_asked_for(made_project: Project) -> None:
    raw = made_project.path / RAW
    (raw / "area 0/masks/0.png").unlink()
    _paint(raw / "area 2/masks/0.png")
    for _ in range(2):
        output = made_project.run("ingestion", "micro", **{"ingestion.on_bad_scene": "skip"})
        assert "2 bad file(s) of 'made' are left out" in output and "area 0/images/0.png" in output
        table = pd.read_csv(made_project.path / "data/08_reporting/micro/made/bad_files.csv")
        assert table["scene"].tolist() == ["area 0/0", "area 2/0"]
        assert "colour #FF00FF" in table["problem"][1]
    scenes = pd.read_parquet(made_project.path / "data/02_intermediate/micro/made/scenes.parquet")
    assert len(scenes) == 8 and not set(scenes["scene_id"]) & {"area 0/0", "area 2/0"}
    assert "has 2 bad file(s)" in made_project.fail("ingestion", "micro")
    for name in ("0", "1"):
        (raw / f"area 4/masks/{name}.png").write_bytes(b"")
    output = made_project.fail("ingestion", "micro", **{"ingestion.on_bad_scene": "skip"})
    assert "`splits.test`" in output and "names ['area 4']" in output


def _paint(file: Path) -> None:
    mask = Image.new("RGB", (96, 96), (150, 120, 70))
    mask.paste((255, 0, 255), (5, 7, 9, 10))
    mask.save(file)


def test_a_class_list_of_one_and_an_empty_split_are_refused(made_project: Project) -> None:
    _describe(made_project, splits={"val": ["area 9"], "test": ["area 4"]})
    output = made_project.fail("ingestion", "micro")
    assert "`splits.val`" in output and "['area 9'], which no group matches" in output and "area 0" in output
    _describe(made_project, classes=[{"name": "land", "raw": "#967846", "color": "#967846"}])
    assert "has 1 class(es); at least 2" in made_project.fail("ingestion", "micro")


def test_a_description_can_neither_leave_the_project_nor_fill_the_memory(made_project: Project) -> None:
    _describe(made_project, name="../../x", splits={"val": [], "test": ["area 4"], "lists": {"val": "../../secret"}})
    output = made_project.fail("ingestion", "micro")
    assert "`description.name`" in output and "`description.splits.lists.val`" in output
    assert "leads out of the raw folder" in output
    laughs = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (made_project.path / "conf/base/parameters_dataset_bomb.yml").write_text("a0: &a0 [lol]\n" + laughs)
    assert "parameters_dataset_bomb.yml is not read" in made_project.fail("ingestion", "micro", dataset="bomb")


def test_stale_inputs_are_refused_with_the_command_that_repairs(made_project: Project) -> None:
    made_project.run("ingestion,tiling,diffusion", "micro")
    other = {"tiling.stride": "16"}
    made_project.run("tiling", "micro", **other)
    output = made_project.fail("sampling", "micro", **other)
    assert "`generator`" in output and "tiling.stride was 32, and is 16 now" in output
    assert "kedro run --pipeline=diffusion" in output
    # Now area 4, once unseen, trains, and area 0 is the test.
    _describe(made_project, splits={"val": ["area 3"], "test": ["area 0"]})
    made_project.run("ingestion,tiling", "micro")
    output = made_project.fail("sampling", "micro")
    assert "`generator`" in output and 'description.splits.test was ["area 4"], and is ["area 0"] now' in output


def test_a_pipeline_whose_inputs_are_not_made_yet_names_those_that_make_them(made_project: Project) -> None:
    output = made_project.fail("segmentation", "micro")
    assert "starts from `synthetic_pairs`, `tiles`" in output
    assert "kedro run --pipeline=tiling, then kedro run --pipeline=sampling" in output


def test_a_broken_description_concerns_its_own_data_set_only(made_project: Project) -> None:
    """Kedro reads all files of parameters as one, so any of them could stop every data set."""
    (made_project.path / "conf/base/parameters_dataset_torn.yml").write_text("datasets:\n  torn: {name: [torn\n")
    _describe(made_project, title="${oc.env:HOME}")
    output = made_project.fail("ingestion", "micro")
    assert "parameters_dataset_made.yml: `datasets.made.title` cannot be resolved" in output
    output = made_project.fail("ingestion", "micro", dataset="torn")
    assert "parameters_dataset_torn.yml is not valid YAML, line 3" in output
    _describe(made_project, title=r"\${oc.env:HOME}")
    assert "made (${oc.env:HOME}, 3 classes)" in made_project.run("ingestion", "micro")


def test_an_error_that_nobody_foresaw_ends_with_one_message_and_a_file(made_project: Project) -> None:
    made_project.run("ingestion", "micro")
    nodes = made_project.path / "src/satsynth/pipelines/tiling/nodes.py"
    code = nodes.read_text()
    start = code.index('"""', code.index("def cut_tiles(")) + 3
    end = code.index('"""', start) + 3
    nodes.write_text(f"{code[:end]}\n    raise KeyError('nobody foresaw this')\n{code[end:]}")
    output = made_project.fail("tiling", "micro")
    (kept,) = (made_project.path / "data/.work/errors").iterdir()
    for word in ("KeyError: 'nobody foresaw this'", "the step `tiling.cut_tiles`", str(kept), "report it"):
        assert word in output
    assert "raise KeyError" in kept.read_text()


def test_letters_that_the_locale_lacks_are_named(made_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    raw = made_project.path / RAW
    (raw / "area 0/images/0.png").rename(raw / "area 0/images/ü.png")
    output = made_project.fail("ingestion", "micro")
    assert "letters that this locale (encoding ascii) lacks" in output and "LC_ALL=C.UTF-8" in output
    (raw / "area 0/images/ü.png").rename(raw / "area 0/images/0.png")
    raw.rename(made_project.path / "data/01_raw/süd")
    _describe(made_project, raw="data/01_raw/süd", title="Überall")
    output = made_project.fail("ingestion", "micro")
    assert "encoding ascii" in output and "LC_ALL=C.UTF-8" in output and output.count("What to do:") == 1


def test_a_limit_on_the_size_of_files_ends_with_one_message(made_project: Project) -> None:
    made_project.run("ingestion", "micro")
    command = shlex.join(made_project.command("tiling", "micro"))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 8; exec {command}"],
        cwd=made_project.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "larger than this process may make a file" in done.stderr and "ulimit -f unlimited" in done.stderr
    assert done.stderr.count("What to do:") == 1
    made_project.run("tiling", "micro")
