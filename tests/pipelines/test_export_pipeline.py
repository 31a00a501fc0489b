from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from projects import COLORS, Project

from made_data import made_pairs
from satsynth.pairs.store import finish_store, write_shard
from satsynth.work.files import place_folder
from satsynth.work.folder import Step, work_folder

OUTPUT = "data/07_model_output/micro/made"


def _export(project: Project, *more: str) -> str:
    status, output = project.kedro(*project.arguments("export", "micro"), *more)
    assert status == 0, output
    return output


def _draw_by_hand(project: Project, root: Path) -> None:
    classes = [{"name": name, "color": list(color)} for name, color in COLORS.items()]
    with work_folder(root, Step("sampling", 1, {}, {})) as folder:
        write_shard(folder.result / "synthetic-00000.parquet", made_pairs(6, 32, "synthetic"), list(COLORS))
        finish_store(folder, classes, 32)
    place_folder(folder.result, project.path / OUTPUT / "synthetic_pairs" / "2026-01-01T00.00.00.000Z/synthetic_pairs")


def test_both_stores_are_exported_and_printed(made_project: Project, tmp_path: Path) -> None:
    made_project.run("ingestion,tiling", "micro")
    output = _export(made_project, "--nodes=export_tiles")
    tiles = made_project.path / OUTPUT / "tiles_export"
    assert str(tiles) in output
    # The environment has this data set by itself, and tracks nothing.
    assert "Look at the lineage with `kedro viz run --env=micro`." in output.splitlines()
    names = (tiles / "test.txt").read_text().splitlines()
    assert json.loads((tiles / "manifest.json").read_text())["counts"]["test"] == len(names) == 18
    # A tile is a window of its scene, in the colours of its scene's mask.
    area, scene, corner = names[4].rsplit("_", 2)
    top, left = map(int, corner.split("-"))
    raw = made_project.path / "data/01_raw/made" / area.replace("_", " ")
    for kind in ("images", "masks"):
        whole = np.asarray(Image.open(raw / kind / f"{scene}.png"))
        part = np.asarray(Image.open(tiles / kind / f"{names[4]}.png"))
        np.testing.assert_array_equal(part, whole[top : top + 32, left : left + 32])
    assert "starts from `synthetic_pairs`" in made_project.fail("export", "micro")
    _draw_by_hand(made_project, tmp_path / "work")
    made_project.params["export.form"] = "parquet"
    # Of pairs that were not saved by a run it is not known what they were made with: they are read by name.
    assert "not recorded what it was made with" in made_project.fail("export", "micro")
    _export(made_project, "--load-versions=synthetic_pairs:2026-01-01T00.00.00.000Z")
    assert [path.name for path in (made_project.path / OUTPUT / "synthetic_export").glob("*.parquet")] == [
        "synthetic-00000.parquet"
    ]
    # Of one environment's data sets one is the usual; another has to be named.
    (made_project.path / "conf/micro/globals.yml").write_text("space: micro\n")
    made_project.params["dataset"] = "made"
    lines = _export(made_project, "--nodes=export_tiles").splitlines()
    assert "Look at the lineage with `kedro viz run --env=micro --params=dataset=made`." in lines
    # The form that was asked for last is the one that is there.
    assert not (tiles / "images").exists() and list(tiles.glob("train-*.parquet"))
