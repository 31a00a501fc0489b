"""What `import satsynth` offers, and that the example of the documentation runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import satsynth
from made_data import made_pairs, write_store
from satsynth.pairs.store import PairStore
from threads import one_thread  # noqa: F401  # a fixture is used by being imported

ROOT = Path(__file__).parents[2]
SIDE = 32
# So that the example takes seconds: what is replaced, and by what.
SMALLER = {
    "images=2000": "images=16, batch_size=4, drawing={'steps': 3}",
    "seed=1)": "seed=1, steps=3)",
    "ratio=1)": "ratio=1, drawing={'steps': 3})",
    "train_judge(tiles)": "train_judge(tiles, training=FEW)",
    "seeds=[0, 1, 2])": "seeds=[0], training=FEW)",
}


@pytest.fixture
def tiles(tmp_path: Path) -> PairStore:
    pairs = [
        # No scene lies in two splits.
        replace(pair, scene_id=f"{split} {pair.scene_id}")
        for seed, (split, number) in enumerate((("train", 12), ("val", 6), ("test", 6)))
        for pair in made_pairs(number, side=SIDE, split=split, seed=seed)
    ]
    return write_store(tmp_path / "tiles", pairs, side=SIDE, extra={"keep": {}})


def test_every_name_of_the_interface_is_there() -> None:
    assert {name: getattr(satsynth, name) for name in satsynth.__all__}
    assert set(satsynth.__all__) == set(satsynth._PLACES) <= set(dir(satsynth))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        assert satsynth.trian


def test_importing_it_costs_nothing() -> None:
    code = (
        "import sys, satsynth; print([n for n in ('torch', 'kedro', 'pandas', 'numpy', 'mlflow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_documentation_runs(
    tiles: PairStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "scripts.md").read_text()
    example = re.findall(r"```python\n(.*?)```", page, re.S)[0]
    for given, smaller in {**SMALLER, "data/03_primary/base/bluemarble/tiles": str(tiles.path)}.items():
        assert given in example, given
        example = example.replace(given, smaller)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"FEW": {"images": 32, "batch_size": 4, "evaluations": 1}}
    exec(compile(example, "docs/scripts.md", "exec"), names)
    assert "difference_low" in capsys.readouterr().out
    assert names["images"].shape == (8, SIDE, SIDE, 3) and names["masks"].dtype == np.uint8
    assert names["synthetic"].count() == tiles.count("train")
    assert list(names["fidelity"].columns) == ["set", "measure", "value", "low", "high"]
    assert {"train_halves", "synthetic"} <= set(names["fidelity"]["set"])
    assert names["trainings"].trainings["ratio"].tolist() == [0, 1]
    # The judge is the training at R = 0 of the same seed.
    assert len(list((tmp_path / "data/.work/segmentation").glob("*/result/manifest.json"))) == 2
    # Drawn pairs are those of the set of the same seed.
    first, _ = satsynth.draw(names["generator"], range(8), steps=3)
    assert np.abs(first[0].astype(int) - next(names["synthetic"].arrays())[0].astype(int)).max() <= 1
    painted = satsynth.paint(names["generator"], names["masks"][:1], steps=3, guidance=2.0)
    assert painted.shape == (1, SIDE, SIDE, 3)
    for refused in (satsynth.draw, lambda generator, _, **how: satsynth.sample(generator, tiles, drawing=how)):
        with pytest.raises(satsynth.SatSynthError, match="guidance"):
            refused(names["generator"], range(8), guidance=2.0)


def test_a_folder_of_versions_gives_the_newest_finished_one(tiles: PairStore, tmp_path: Path) -> None:
    versions = tmp_path / "catalog" / "tiles"
    for name in ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"):
        (versions / name).mkdir(parents=True)
        (versions / name / "tiles").symlink_to(tiles.path)
    (versions / "2026-01-03T00.00.00.000Z" / "tiles").mkdir(parents=True)
    assert satsynth.open_pairs(versions).path == versions / "2026-01-02T00.00.00.000Z" / "tiles"
    with pytest.raises(satsynth.SatSynthError, match="holds no finished pair store"):
        satsynth.open_pairs(tmp_path / "nothing")
    with pytest.raises(satsynth.SatSynthError, match="no family of generators 'vae'"):
        satsynth.train(tiles, family="vae")


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (
            lambda tiles: satsynth.train(tiles, imges=20),
            "`diffusion.imges`: there is no such parameter. Did you mean 'images'?",
        ),
        (lambda tiles: satsynth.train(tiles, images=-1), "`diffusion.images`: Input should be greater"),
        (
            lambda tiles: satsynth.train(tiles, compute={"devise": "cpu"}),
            "`compute.devise`: there is no such parameter",
        ),
        (lambda tiles: satsynth.train(tiles, compute="cpu"), "`compute`: Input should be a valid dictionary"),
        (lambda tiles: satsynth.train_judge(tiles, training={"images": "x"}), "`segmentation.training.images`: "),
        (lambda tiles: satsynth.measure(tiles, tiles, tiles, inceptoin=None), "Did you mean 'inception'?"),
        (lambda tiles: satsynth.evaluate(tiles, tiles, ratios=["x"]), "`segmentation.ratios.0`: "),
    ],
)
def test_parameters_that_are_not_valid_are_named(
    call: Callable[[Any], object], problem: str, tiles: PairStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satsynth.scripting.require_parent", lambda *_: None)
    with pytest.raises(satsynth.SatSynthError) as refused:
        call(tiles)
    assert problem in str(refused.value) and "*Parameters*" in refused.value.remedy
