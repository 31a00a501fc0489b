"""Whole runs by families of generators other than diffusion, each chosen by one parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import Project, add_made_data, make_project

from satsynth.pairs.store import PairStore

REPLAY = {"generation.family": "replay"}


def newest(project: Project, pattern: str) -> Path:
    return max((project.path / "data").glob(pattern))


def store(project: Project, name: str) -> PairStore:
    return PairStore(newest(project, f"0*/micro/made/{name}/*/{name}"))


def pairs(store: PairStore, split: str) -> set[bytes]:
    return {np.concatenate([image.ravel(), mask.ravel()]).tobytes() for image, mask in store.arrays(split)}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A project whose `augment` has run by the family `replay`, and what it printed."""
    project = add_made_data(make_project(tmp_path_factory.mktemp("replayed")))
    micro = project.path / "conf/micro/parameters.yml"
    micro.write_text(micro.read_text() + "rivals: {families: [replay], gallery_pairs: 3}\n")
    return project, project.run("augment", "micro", **REPLAY)


def test_replay_shows_what_copies_of_the_training_pairs_measure(replayed: tuple[Project, str]) -> None:
    made_project, output = replayed
    assert "by 'replay'" in output
    drawn, real = store(made_project, "synthetic_pairs"), store(made_project, "tiles")
    assert drawn.manifest["family"] == "replay"
    assert pairs(drawn, "synthetic") == pairs(real, "train")
    neighbours = pd.read_csv(made_project.path / "data/08_reporting/micro/made/nearest_neighbours.csv")
    assert (neighbours.loc[neighbours["space"] == "pixels", "distance"] == 0).all()
    # What the generator of one family has made is not taken for another's.
    output = made_project.fail("sampling", "micro")
    assert "`generator`" in output and 'generation.family was "replay", and is "diffusion" now' in output


def test_families_side_by_side_share_their_work_with_augment_and_are_in_the_next_report(
    replayed: tuple[Project, str],
) -> None:
    project, _ = replayed
    reports = project.path / "data/08_reporting/micro/made"
    output = project.run("rivals", "micro")
    # What `augment` has trained and drawn is neither trained nor drawn again.
    assert all(f"{step}: reused" in output for step in ("Judge", "Generator", "Sampling"))
    assert "replay: fpn_mobilenetv3 synthetic_only" in output
    worth, summary = (pd.read_csv(reports / f"{name}.csv") for name in ("generator_worth", "segmentation_summary"))
    assert worth["family"].tolist() == ["real pairs", "replay", "replay"]
    used = worth["protocol"] == "step_matched"
    assert worth.loc[used, "miou"].tolist() == summary["miou"].tolist()
    comparison = pd.read_csv(reports / "generator_comparison.csv")
    assert {"replay", "val", "test", "train", "train_halves"} == set(comparison["set"])
    assert "side by side</h2>" not in (reports / "report.html").read_text()
    project.run("report", "micro", **REPLAY)
    assert "side by side</h2>" in (reports / "report.html").read_text()


def test_pairs_that_were_exported_come_back_as_those_of_another_tool(replayed: tuple[Project, str]) -> None:
    project, _ = replayed
    # Named by its version: the next run makes a newer one.
    ours = store(project, "synthetic_pairs")
    project.run("export", "micro", **REPLAY)
    foreign = {"generation.family": "folder", "folder.path": "data/07_model_output/micro/made/synthetic_export"}
    output = project.run("augment", "micro", **foreign)
    assert f"Folder: {ours.count()} pairs" in output and "cannot check which scenes" in output
    theirs = store(project, "synthetic_pairs")
    assert theirs.path != ours.path and theirs.manifest["family"] == "folder"
    assert pairs(theirs, "synthetic") == pairs(ours, "synthetic")
    output = project.fail("sampling", "micro", **foreign, **{"sampling.ratio": "5"})
    assert f"sampling.max_pairs={ours.count()}" in output
