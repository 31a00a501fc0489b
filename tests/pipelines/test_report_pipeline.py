from __future__ import annotations

from pathlib import Path

import yaml
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from satsynth.analysis.report.page import printable
from satsynth.analysis.report.tables import origin_table, settings_text
from satsynth.catalog.folder import FinishedFolderDataset
from satsynth.catalog.section import SectionDataset
from satsynth.hooks.lineage import Lineage
from satsynth.pipeline_registry import register_pipelines
from satsynth.pipelines.counting import counting_settings
from satsynth.pipelines.graph import step_name
from satsynth.pipelines.report.pipeline import create_pipeline
from satsynth.settings import CONFIG_LOADER_ARGS
from satsynth.work.files import write_json
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, work_folder

ROOT = Path(__file__).parents[2]
ALONE = ("augment", "__default__", "rivals", "labels", "export", "download")


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
    table = origin_table(stores, {"generator": "of the store", "fidelity": "f" * 64})
    assert table["entry"].tolist() == ["generator", "synthetic_pairs", "fidelity"]
    assert table["digest"].tolist() == [*(store.digest[:16] for store in stores.values()), "f" * 16]
    assert [printable(parents) for parents in table["made from"]] == ["tiles", "tiles", "–"]
    assert [printable(minutes) for minutes in table["minutes"]] == ["1.5", "–", "–"]


def test_the_report_shows_the_recorded_parameters_of_every_stage_it_rests_on_and_no_present_ones() -> None:
    inputs = create_pipeline().inputs()
    assert {name for name in inputs if name.startswith("params:")} == {"params:description"} and "lineage" in inputs
    stages = sum((part for name, part in register_pipelines().items() if name not in ALONE), Pipeline([]))
    rests_on = stages.to_outputs("report")
    counted: dict[str, set[str]] = {}
    parameters = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)["parameters"]
    for node in rests_on.nodes:
        counted[step_name(node)] = set(counting_settings(node, parameters))
    wanted = {"tiling", "diffusion", "sampling", "comparison", "segmentation", "compute", "description", "ingestion"}
    assert wanted <= set().union(*counted.values())
    text = settings_text({"draw_pairs": {"sampling": {"seed": 9, "ratio": 2.0}}, "plot_curves": {}})
    steps = yaml.safe_load(text)["steps"]
    assert steps == {"draw_pairs": {"sampling": {"seed": 9, "ratio": 2.0}}}


def test_a_report_is_what_it_is_whether_or_not_it_shows_families_side_by_side(tmp_path: Path) -> None:
    parameters = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)["parameters"]
    sections = {
        f"{name}_findings": SectionDataset(filepath=str(tmp_path / f"{name}.json"), pipeline=pipeline)
        for name, pipeline in (("generator", "rivals"), ("label", "labels"))
    }
    catalog = DataCatalog({"parameters": MemoryDataset(parameters), **sections})
    known = register_pipelines()
    for run in ("report", "rivals", "labels"):
        steps = Lineage(catalog, known, known[run], {}).settings("report")
        assert "train_generator" in steps and not [step for step in steps if "rivals" in step or "labels" in step]
    assert "train_rivals" in Lineage(catalog, known, known["rivals"], {}).settings("generator_worth")
