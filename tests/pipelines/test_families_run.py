"""Whole runs by families of generators other than diffusion, each chosen by one parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from projects import Project

from satsynth.pairs.store import PairStore


def newest(project: Project, pattern: str) -> Path:
    return max((project.path / "data").glob(pattern))


def store(project: Project, name: str) -> PairStore:
    return PairStore(newest(project, f"0*/micro/made/{name}/*/{name}"))


def pairs(store: PairStore, split: str) -> set[bytes]:
    return {np.concatenate([image.ravel(), mask.ravel()]).tobytes() for image, mask in store.arrays(split)}


def test_replay_shows_what_copies_of_the_training_pairs_measure(made_project: Project) -> None:
    output = made_project.run("augment", "micro", **{"generation.family": "replay"})
    assert "by 'replay'" in output
    drawn, real = store(made_project, "synthetic_pairs"), store(made_project, "tiles")
    assert drawn.manifest["family"] == "replay"
    assert pairs(drawn, "synthetic") == pairs(real, "train")
    neighbours = pd.read_csv(made_project.path / "data/08_reporting/micro/made/nearest_neighbours.csv")
    assert (neighbours.loc[neighbours["space"] == "pixels", "distance"] == 0).all()
    # What the generator of one family has made is not taken for another's.
    output = made_project.fail("sampling", "micro")
    assert "`generator`" in output and 'generation.family was "replay", and is "diffusion" now' in output


def test_families_side_by_side_share_their_work_with_augment_and_are_in_its_report(made_project: Project) -> None:
    micro = made_project.path / "conf/micro/parameters.yml"
    micro.write_text(micro.read_text() + "rivals: {families: [diffusion, replay], gallery_pairs: 3}\n")
    reports = made_project.path / "data/08_reporting/micro/made"
    assert "replay: fpn_mobilenetv3 synthetic_only" in made_project.run("rivals", "micro")
    # What `rivals` has trained and drawn is neither trained nor drawn again.
    output = made_project.run("augment", "micro")
    assert all(f"{step}: reused" in output for step in ("Judge", "Generator", "Sampling", "Segmentation"))
    worth = pd.read_csv(reports / "generator_worth.csv")
    summary = pd.read_csv(reports / "segmentation_summary.csv")
    own = worth[(worth["family"] == "diffusion") & (worth["protocol"] == "step_matched")]
    assert own["miou"].tolist() == summary.loc[summary["ratio"] == 1, "miou"].tolist()
    comparison = pd.read_csv(reports / "generator_comparison.csv")
    assert {"diffusion", "replay", "val", "test", "train", "train_halves"} == set(comparison["set"])
    assert "side by side</h2>" in (reports / "report.html").read_text()


def test_pairs_that_were_exported_come_back_as_those_of_another_tool(made_project: Project) -> None:
    made_project.run("ingestion,tiling,diffusion,sampling,export", "micro")
    ours = store(made_project, "synthetic_pairs")
    foreign = {"generation.family": "folder", "folder.path": "data/07_model_output/micro/made/synthetic_export"}
    output = made_project.run("augment", "micro", **foreign)
    assert f"Folder: {ours.count()} pairs" in output and "cannot check which scenes" in output
    assert pairs(store(made_project, "synthetic_pairs"), "synthetic") == pairs(ours, "synthetic")
    output = made_project.fail("sampling", "micro", **foreign, **{"sampling.ratio": "5"})
    assert f"sampling.max_pairs={ours.count()}" in output
