from __future__ import annotations

from pathlib import Path

from satsynth.analysis.report.page import printable
from satsynth.analysis.report.tables import origin_table
from satsynth.catalog.folder import FinishedFolderDataset
from satsynth.pipelines.report.pipeline import create_pipeline
from satsynth.work.files import write_json
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, work_folder


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
