from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from interruptions import newest
from projects import Project

from satsynth.analysis.statistics.summary import in_words, printed
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.pair import decode_image
from satsynth.pairs.store import PairStore


def _report(project: Project, name: str) -> Path:
    return project.path / "data/08_reporting/smoke/bluemarble" / name


def test_smoke_run_fills_every_entry_and_prints_gallery_and_table(smoke: tuple[Project, str]) -> None:
    project, output = smoke
    assert str(_report(project, "pair_gallery.png")) in output
    assert "fpn_lite0" in output and "mIoU" in output
    assert "eprecat" not in output
    for name in (
        "class_distribution.csv",
        "fidelity.parquet",
        "memorisation.json",
        "nearest_neighbours.csv",
        "segmentation_summary.csv",
        "class_gains.csv",
        "alignment.json",
        "report.html",
    ):
        assert _report(project, name).exists()
    picture = decode_image(_report(project, "pair_gallery.png").read_bytes())
    assert picture.shape[0] > 200 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_the_closing_summary_has_the_table_the_answer_and_files_that_exist(smoke: tuple[Project, str]) -> None:
    project, output = smoke
    end = output[output.index("mIoU on real test scenes (mean ± standard error over seeds)") :]
    summary = pd.read_csv(_report(project, "segmentation_summary.csv"))
    assert printed(summary) in end
    assert in_words(summary) and all(sentence in end for sentence in in_words(summary))
    files = dict(re.findall(rf"^(\S[\w ]*\S) +({re.escape(str(project.path))}\S+)$", end, re.M))
    assert list(files) == [
        "report",
        "pair gallery",
        "class distribution plot",
        "ratio curve",
        "segmentation summary",
        "class gains",
        "network comparison",
        "augmentation comparison",
    ]
    assert all(Path(file).stat().st_size for file in files.values())
    last = "Look at the lineage with `kedro viz run --env=smoke` and compare runs with `make ui`."
    assert output.rstrip().splitlines()[-1] == last


def test_each_stage_says_what_it_will_do_or_what_came_out(smoke: tuple[Project, str]) -> None:
    _, output = smoke
    number = r"[\d.]+"
    stages = [
        [r"Scenes of 'bluemarble': \d+ train"],
        [
            r"Tiling: \d+ scenes into tiles of 128 x 128",
            r"Tiles of 128 x 128: \d+ train",
            rf"Plan: with 1 seed and \d+ test scenes, .* {number} standard errors",
        ],
        [
            rf"Diffusion: training on 320 images .*, about {number} minutes",
            rf"Diffusion: 320 images in {number} minutes, val error {number}",
        ],
        [r"Sampling: \d+ pairs by 'diffusion'"],
        [r"Judge: fpn_lite0, trained on 160 images", rf"Judge: fpn_lite0, mIoU {number}"],
        [
            rf"Segmentation: 1 of them are new, about {number} minutes",
            rf"Segmentation: with 1 seed and \d+ test scenes, .* at least {number} standard errors",
        ],
        [rf"Report: the verdict and \d+ sections, {number} MB"],
    ]
    for lines in stages:
        assert re.search(".*".join(lines), output, re.S), lines


def test_no_scene_of_val_or_test_is_seen_in_training(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    tiles = PairStore(newest(project.path, "tiles"))
    scenes = tiles.index().groupby("split")["scene_id"].agg(set)
    assert (
        not scenes["train"] & scenes["val"]
        and not scenes["train"] & scenes["test"]
        and not scenes["val"] & scenes["test"]
    )
    assert SavedGenerator(newest(project.path, "generator")).scenes <= scenes["train"]


def test_class_distribution_agrees_with_the_stores_counts(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    tiles = PairStore(newest(project.path, "tiles"))
    counts = tiles.pixel_counts()[(tiles.index()["split"] == "test").to_numpy()].sum(0)
    table = pd.read_csv(_report(project, "class_distribution.csv")).query("split == 'test'")
    np.testing.assert_allclose(table["pixel_share"], counts / counts.sum(), rtol=1e-9)


def test_stored_bytes_name_no_place_of_this_machine(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    for entry in ("tiles", "generator", "synthetic_pairs"):
        for file in newest(project.path, entry).iterdir():
            assert str(project.path).encode() not in file.read_bytes()


def test_runs_are_tracked_with_children(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    with sqlite3.connect(project.path / "mlflow.db") as database:
        statuses = [row[0] for row in database.execute("select status from runs")]
        parents = database.execute("select count(*) from tags where key = 'mlflow.parentRunId'").fetchone()[0]
        keys = {row[0] for row in database.execute("select distinct key from metrics")}
        digest = database.execute("select value from tags where key = 'digest.tiles'").fetchone()[0]
        seen = {row[0] for row in database.execute("select distinct name from datasets")}
        models = [row[0] for row in database.execute("select name from model_versions")]
        ratios = {row[0] for row in database.execute("select value from metrics where key = 'ratio'")}
    assert len(statuses) == 1 + parents and parents <= 4
    assert set(statuses) == {"FINISHED"}
    assert {"loss", "gradient_norm", "learning_rate", "images_per_second", "val_miou", "test_miou"} <= keys
    assert {"train_image_error.sigma_0.4", "val_label_error.sigma_6.0"} <= keys
    assert seen == {"tiles", "synthetic_pairs"} and ratios == {0.0, 0.25}
    assert models == ["satsynth-bluemarble-smoke-generator"]
    assert digest == PairStore(newest(project.path, "tiles")).digest


# Runs in the project that others look at, so the site that shows its last run is made before.
@pytest.mark.usefixtures("viz_site")
def test_an_unchanged_run_does_no_work_again_and_a_changed_sampling_does_not_train(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    work = project.path / "data" / ".work"
    manifests = {path: path.stat().st_mtime_ns for path in work.glob("*/*/result/manifest.json")}
    before = json.loads(newest(project.path, "synthetic_pairs").joinpath("manifest.json").read_text())
    project.run("augment", "smoke")
    assert {path: path.stat().st_mtime_ns for path in work.glob("*/*/result/manifest.json")} == manifests
    assert json.loads(newest(project.path, "synthetic_pairs").joinpath("manifest.json").read_text()) == before
    # Hard links: a second version costs no second copy.
    assert newest(project.path, "tiles").joinpath("manifest.json").stat().st_nlink >= 3
    project.run("sampling", "smoke", **{"sampling.seed": "9"})
    assert len(list(work.glob("sampling/*/result/manifest.json"))) == 2
    assert len(list(work.glob("diffusion/*/result/manifest.json"))) == 1
