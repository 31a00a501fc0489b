"""Budgets of labels by the nodes on made data: each share has tiles, a generator, pairs and trainings of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from tiny_runs import COMPUTE, ONE_SEED, SIDE, SMALL, Runs

from made_data import make_data
from satsynth import tracking
from satsynth.analysis.report.kept import KeptSection
from satsynth.analysis.report.labels import rests_on
from satsynth.analysis.report.page import report_html
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FAMILIES, family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.hooks.beforehand import Plan
from satsynth.hooks.project import ProjectHooks
from satsynth.pairs.labels import LABELS
from satsynth.pairs.settings import LabelsSettings, TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.ingestion.nodes import find_and_check
from satsynth.pipelines.labels import create_pipeline, nodes
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.segmentation.nodes import summarise_trainings, train_networks
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.settings import IngestionSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.workspace import Workspace

TILING = TilingSettings(tile_size=SIDE, stride=SIDE)
FAMILY = GenerationSettings(family="gan")
SAMPLING = SamplingSettings(ratio=1, shard_pairs=4, batch_size=2)
PARAMETERS: dict[str, Any] = {
    "tiling": TILING,
    "generation": FAMILY,
    **{name: family_of(name).settings() for name in FAMILIES},
    **SMALL,
    "sampling": SAMPLING,
    "segmentation": ONE_SEED,
    "compute": COMPUTE,
}
# Of three training scenes they choose one, and all.
SHARES = (0.3, 1.0)


@dataclass
class World:
    """Made data, and the steps of `labels` on them."""

    runs: Runs
    workspace: Workspace
    scenes: pd.DataFrame
    description: DatasetDescription

    def parameters(self, *shares: float) -> dict[str, Any]:
        given = {"description": self.description, "workspace": self.workspace, "labels": LabelsSettings(shares=shares)}
        return PARAMETERS | given

    def labels(self, *shares: float) -> tuple[dict[str, Any], list[str]]:
        """Run all steps; return what they make by its name in the catalog, and the trainings that began."""
        self.runs.begun, made = [], {"scenes": self.scenes}
        for node in create_pipeline().nodes:
            known = made | {f"params:{name}": group for name, group in self.parameters(*shares).items()}
            made |= node.run({name: known[name] for name in node.inputs})
        return made, self.runs.begun


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("labels")
    made = make_data(folder / "raw")
    workspace = Workspace(project=str(folder), raw="raw")
    scenes, _ = find_and_check(made.description, IngestionSettings(), COMPUTE, workspace)
    return World(Runs(), workspace, scenes, made.description)


@pytest.fixture(autouse=True)
def _tracked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "active_tracker", lambda: world.runs)


@pytest.fixture(scope="module")
def first(world: World) -> tuple[dict[str, Any], list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "active_tracker", lambda: world.runs)
        return world.labels(*SHARES)


def test_each_share_has_work_of_its_own_that_saw_no_other_scene(
    world: World, first: tuple[dict[str, Any], list[str]]
) -> None:
    made, begun = first
    kinds = [f"fpn_mobilenetv3 R={ratio} seed=0" for ratio in (0, 1)]
    assert begun == [
        *(f"share {share}: gan" for share in ("0.3", "1")),
        *(f"share {share}: {kind}" for share in ("0.3", "1") for kind in kinds),
    ]
    tiles, pairs = (made[name].handles(PairStore) for name in ("label_tiles", "label_pairs"))
    generators = made["label_generators"].handles(SavedGenerator)
    assert list(tiles) == list(generators) == list(pairs) == ["0.3", "1"]
    few, all_of_them = ({*store.scenes("train")} for store in tiles.values())
    assert few == {*tiles["0.3"].manifest[LABELS]["used"]} and len(few) == 1 and few < all_of_them
    for name, store in tiles.items():
        generator, drawn = generators[name], pairs[name]
        assert generator.parents["tiles"] == drawn.parents["tiles"] == store.digest
        assert {*generator.manifest["scenes"]} == {*store.scenes("train")}
        assert drawn.parents["generator"] == generator.digest
        assert drawn.count("synthetic") == store.count("train")
    worth = made["label_worth"]
    assert worth[["share", "labelled_scenes", "ratio"]].to_numpy().tolist() == [
        [0.3, 1, 0],
        [0.3, 1, 1],
        [1, 3, 0],
        [1, 3, 1],
    ]
    assert worth["real_pairs"].tolist() == [tiles[name].count("train") for name in ("0.3", "0.3", "1", "1")]
    shown = world.runs.shown["worth of share 0.3"]
    assert shown["miou.fpn_mobilenetv3"] == worth["miou"][1] and shown["miou_real.fpn_mobilenetv3"] == worth["miou"][0]


def test_all_labels_are_the_grid_of_augment_and_one_more_share_computes_itself_only(
    world: World, first: tuple[dict[str, Any], list[str]]
) -> None:
    made, _ = first
    own = (COMPUTE, world.workspace)
    families = {name: PARAMETERS[name] for name in FAMILIES}
    world.runs.begun = []
    tiles = cut_tiles(world.scenes, world.description, TILING, *own)
    assert tiles.digest == made["label_tiles"].parents["1"] == made["label_findings"].parents["1"]
    generator = make_generator(tiles, FAMILY, *own, **families)
    given = (FAMILY, SAMPLING, ONE_SEED, *own)
    drawn = draw_pairs(generator, tiles, world.scenes, world.description, *given, **families)
    assert drawn.digest == made["label_pairs"].parents["1"]
    runs, confusion, _ = train_networks(tiles, drawn, ONE_SEED, *own)
    assert world.runs.begun == [], "all are found"
    worth = made["label_worth"]
    row = worth[worth["share"] == 1].drop(columns=["share", "labelled_scenes", "real_pairs"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(row, summarise_trainings(runs, confusion))

    more, begun = world.labels(0.7, *SHARES)
    assert begun and all(name.startswith("share 0.7: ") for name in begun)
    assert more["label_worth"]["labelled_scenes"].unique().tolist() == [1, 2, 3]
    kept = more["label_worth"]
    pd.testing.assert_frame_equal(kept[kept["share"] != 0.7].reset_index(drop=True), worth)
    few, some = (set(PairStore(more["label_tiles"].member(name)).scenes("train")) for name in ("0.3", "0.7"))
    assert few < some


def test_the_section_holds_its_figure_and_goes_through_a_file(first: tuple[dict[str, Any], list[str]]) -> None:
    findings = first[0]["label_findings"]
    again = KeptSection.from_json(findings.as_json())
    tiles = {name: first[0]["label_tiles"].parents[name] for name in ("0.3", "1")}
    assert again.parents == rests_on(tiles, first[0]["label_worth"]) and tiles.items() < again.parents.items()
    (figure,) = again.section.figures
    assert json.loads(figure.to_json()) == json.loads(first[0]["label_curve"].to_json())
    page = report_html("made", {}, [again.section])
    assert "labelled training scenes" in page and "<td>0.3</td>" in page
    assert any("measured at 1, 3 labelled scenes" in text for text in again.section.text)


def test_the_section_says_where_generators_started_from_different_weights(
    first: tuple[dict[str, Any], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("label_tiles", "label_generators", "label_worth", "label_curve")
    made = [first[0][name] for name in names]
    assert "same weights" not in " ".join(nodes.sum_up_labels(*made).section.text)
    monkeypatch.setattr(nodes, "start_named", lambda generator: f"from {len(generator.scenes)}")
    text = " ".join(nodes.sum_up_labels(*made).section.text)
    assert "same weights" in text and "0.3: `from 1`, 1: `from 3`" in text


def test_shares_of_the_same_scenes_are_cut_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    (cut,) = [node for node in create_pipeline().nodes if node.name.endswith("cut_by_labels")]

    def run(**changes: Any) -> Any:
        known = {"scenes": world.scenes} | {
            f"params:{name}": group for name, group in (world.parameters(0.1, 0.3, 0.95, 1) | changes).items()
        }
        return cut.run({name: known[name] for name in cut.inputs})["label_tiles"]

    with caplog.at_level("INFO"):
        assert run().names == ["0.3", "1"]
    assert "the share(s) 0.1 choose the same training scenes as 0.3" in caplog.text
    assert "the share(s) 0.95 choose the same training scenes as 1 and" in caplog.text
    with pytest.raises(SatSynthError, match="label_scenes"):
        run(tiling=TILING.model_copy(update={"label_scenes": ("north/a",)}))


def test_the_tiles_of_every_share_are_checked_as_soon_as_they_are_there(
    world: World, first: tuple[dict[str, Any], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, checked = ProjectHooks(), list[str]()
    monkeypatch.setattr(Plan, "require_pairs", lambda plan, tiles: checked.append(tiles.digest))
    monkeypatch.setattr(Plan, "foresight", lambda plan, tiles: None)
    tiles = first[0]["label_tiles"]
    hooks.after_node_run({"label_tiles": tiles})
    assert checked == [], "no run is under way"
    monkeypatch.setattr(hooks, "_plan", Plan(frozenset({"labels"}), {}))
    hooks.after_node_run({"label_tiles": tiles})
    assert checked == [tiles.parents[name] for name in tiles.names]
