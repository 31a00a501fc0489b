from __future__ import annotations

import pandas as pd
import pytest
import yaml
from interruptions import newest
from projects import Project

from satsynth.pairs.store import PairStore

ARMS = {
    ("flips", "step_matched", 0),
    ("none", "step_matched", 0),
    ("copy_paste", "step_matched", 0),
    *(
        (name, protocol, 1)
        for name in ("flips", "copy_paste")
        for protocol in ("step_matched", "epoch_matched", "synthetic_only", "pretrain_finetune")
    ),
}


@pytest.fixture
def arms_project(made_project: Project) -> Project:
    file = made_project.path / "conf/micro/parameters.yml"
    settings = yaml.safe_load(file.read_text())
    settings["segmentation"] |= {
        "protocols": ["step_matched", "epoch_matched", "synthetic_only", "pretrain_finetune"],
        "augmentations": ["flips", "copy_paste", "none"],
        "real_shares": [None, 0.5],
    }
    file.write_text(yaml.safe_dump(settings))
    return made_project


def test_every_arm_from_the_command_to_the_tables(arms_project: Project) -> None:
    output = arms_project.run("augment", "micro")
    assert "15 trainings" in output
    tiles = PairStore(newest(arms_project.path, "tiles"))
    scenes = tiles.index().groupby("split")["scene_id"].agg(set)
    output_folder = arms_project.path / "data/07_model_output/micro/made"
    runs, confusion = (
        pd.read_parquet(max(output_folder.glob(f"{name}.parquet/*/{name}.parquet")))
        for name in ("segmentation_runs", "scene_confusion")
    )
    assert set(zip(runs["augmentation"], runs["protocol"], runs["ratio"], strict=True)) == ARMS
    assert len(runs) == 15, "3 at R = 0; 2 augmentations x (2 protocols x 2 shares + 2)"
    # Every arm is measured on the test scenes alone, all of them, and pixel for pixel as often.
    per_arm = confusion.groupby(["augmentation", "protocol", "real_share", "ratio"], dropna=False)
    assert all(set(part["scene_id"]) == scenes["test"] for _, part in per_arm)
    assert len({sum(map(sum, part["confusion"])) for _, part in per_arm}) == 1
    assert (runs["real_pairs"] == tiles.count("train")).all()
    steps = runs.set_index(["protocol", "ratio"])["steps"]
    assert set(steps["epoch_matched"]) == {16} and set(steps.drop("epoch_matched")) == {8}

    folder = arms_project.path / "data/08_reporting/micro/made"
    networks, augmentations = (pd.read_csv(folder / f"{name}_comparison.csv") for name in ("network", "augmentation"))
    assert len(networks) == 6 and set(networks["note"]) == {"the paper has no results on this data set"}
    assert list(zip(augmentations["augmentation"], augmentations["ratio"], strict=True)) == [
        ("copy_paste", 0),
        ("copy_paste", 1),
        ("flips", 0),
        ("flips", 1),
        ("none", 0),
    ]
    report = (folder / "report.html").read_text()
    assert "<h2>Augmentations</h2>" in report and "copy_paste" in report
    assert "Table 5" in report and "r = -0.47" in report
    assert "<th>minutes</th>" in report and "gallery_pairs" in report
    assert (newest(arms_project.path, "generator") / "timing.json").exists(), "saved versions keep the time taken"
    assert "fid" not in set(pd.read_parquet(folder / "fidelity.parquet")["measure"]), "it was not asked for"
