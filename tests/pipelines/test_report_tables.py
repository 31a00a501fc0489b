from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report.comparisons import network_rows
from satsynth.analysis.report.page import printable
from satsynth.analysis.report.sections import segmentation
from satsynth.analysis.report.tables import adjacency_table, origin_table
from satsynth.analysis.statistics.summary import summarise
from satsynth.catalog.folder import FinishedFolderDataset
from satsynth.pipelines.report.pipeline import create_pipeline
from satsynth.work.files import write_json
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, work_folder
from trainings_made import iou, tables_of


def test_classes_that_touch_most_in_train_come_first_with_their_intervals_in_each_set() -> None:
    rows = [
        ("train", "a", "b", 0.2, 0.1, 0.3),
        ("train", "a", "c", 0.75, 0.7, 0.8),
        ("train", "b", "c", 0.05, 0.0, 0.1),
        ("synthetic", "a", "b", 0.5, 0.45, 0.55),
        ("synthetic", "a", "c", 0.5, 0.45, 0.55),
        ("synthetic", "b", "c", 0.0, 0.0, 0.0),
    ]
    adjacency = pd.DataFrame(rows, columns=["split", "class", "neighbour", "share", "share_low", "share_high"])
    assert adjacency_table(adjacency, most=2).to_dict("list") == {
        "side by side": ["a and c", "a and b"],
        "% in train": ["75.00 [70.00, 80.00]", "20.00 [10.00, 30.00]"],
        "% in synthetic": ["50.00 [45.00, 55.00]", "50.00 [45.00, 55.00]"],
    }


def test_origin_says_how_long_things_took_where_that_is_known(tmp_path: Path) -> None:
    stores = {}
    for name, seconds in (("generator", 90), ("synthetic_pairs", None)):
        with work_folder(tmp_path / "work", Step(name, 1, {"tiles": "t"}, {})) as folder:
            if seconds is not None:
                write_json(folder.result / "timing.json", {"seconds": seconds})
            folder.finish({"kind": "made"})
        # Through the catalog: a saved version keeps the time.
        saved = FinishedFolderDataset(filepath=str(tmp_path / "saved" / name))
        saved.save(Finished(folder.result))
        stores[name] = saved.load()
    table = origin_table(stores)
    assert table["made from"].tolist() == ["tiles", "tiles"]
    assert [printable(minutes) for minutes in table["minutes"]] == ["1.5", "–"]


def test_the_report_shows_the_parameters_of_every_stage_it_rests_on() -> None:
    wanted = {"tiling", "diffusion", "sampling", "comparison", "segmentation", "compute"}
    assert {f"params:{name}" for name in wanted} <= create_pipeline().inputs()


def test_augmentations_stand_beside_what_is_known_of_the_papers() -> None:
    runs, confusion = tables_of({(0, 0): 0.4, (0, 1): 0.5})
    summary = summarise(runs, confusion, iou)
    networks = network_rows(summary, "made", {"fpn": ("fpn", "resnet50")}, 128)
    scores = {"miou": 0.5, "miou_se": 0.01, "difference": 0.1, "difference_low": 0.0, "difference_high": 0.2}
    rows = [{"network": "fpn", "augmentation": name, "ratio": 0.0, **scores} for name in ("flips", "cutmix")]
    first, section = segmentation(summary, networks, pd.DataFrame(rows), go.Figure(), "made")
    assert first.title == "Segmentation on real test scenes"
    assert section.title == "Augmentations" and any("Table 5" in text for text in section.text)
