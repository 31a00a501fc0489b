"""Rival families by the nodes on made data: from training to a set of pairs that segmentation can use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_runs import COMPUTE, GRID, ONE_SEED, SIDE, SMALL, Runs

from made_data import make_data
from satsynth import tracking
from satsynth.analysis.measures.table import values_of
from satsynth.analysis.settings import ComparisonSettings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FAMILIES, family_of
from satsynth.generation.settings import BudgetSettings, GenerationSettings, RivalsSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.ingestion.nodes import find_and_check
from satsynth.pipelines.judge.nodes import train_judge
from satsynth.pipelines.rivals import create_pipeline, nodes
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.saved import SavedNetwork
from satsynth.work.errors import SatSynthError
from satsynth.work.workspace import Workspace

NUMBER = 6


@dataclass
class World:
    """Made data, and the steps of `rivals` on them."""

    runs: Runs
    workspace: Workspace
    scenes: pd.DataFrame
    description: DatasetDescription
    tiles: PairStore
    judge: SavedNetwork

    def rivals(self, settings: RivalsSettings) -> dict[str, Any]:
        """Run all steps and return what they make, by its name in the catalog."""
        families: Any = {name: family_of(name).settings() for name in FAMILIES} | SMALL
        made: dict[str, Any] = {"tiles": self.tiles, "judge": self.judge, "scenes": self.scenes}
        groups = {
            "description": self.description,
            "rivals": settings,
            "sampling": SamplingSettings(ratio=1, shard_pairs=4, batch_size=2),
            "segmentation": ONE_SEED,
            "comparison": ComparisonSettings(imagenet=False),
            "compute": COMPUTE,
            "workspace": self.workspace,
            **families,
        }
        for node in create_pipeline().nodes:
            known = made | {f"params:{name}": group for name, group in groups.items()}
            made |= node.run({name: known[name] for name in node.inputs})
        return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    runs = Runs()
    monkeypatch.setattr(tracking, "active_tracker", lambda: runs)
    made = make_data(tmp_path / "raw")
    workspace = Workspace(project=str(tmp_path), raw="raw")
    scenes, _ = find_and_check(made.description, IngestionSettings(), COMPUTE, workspace)
    tiles = cut_tiles(scenes, made.description, TilingSettings(tile_size=SIDE, stride=SIDE), COMPUTE, workspace)
    judge = train_judge(tiles, ONE_SEED, COMPUTE, workspace)
    return World(runs, workspace, scenes, made.description, tiles, judge)


def test_families_are_compared_and_one_more_trains_itself_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([0.5])
    monkeypatch.setattr("satsynth.rivals.gan.training.seconds_an_image", lambda *_: next(rates))
    budget = BudgetSettings(seconds=4.0)
    first = world.rivals(RivalsSettings(families=("gan", "replay"), budget=budget, gallery_pairs=2))
    assert world.runs.begun[1:3] == ["gan", "replay"]
    again = world.rivals(RivalsSettings(families=("gan", "replay"), budget=budget, gallery_pairs=2))
    trainings, world.runs.begun = world.runs.begun, []
    assert len(trainings) == 1 + 2 + 2 * 2, "the judge, which is R = 0, the generators, and both uses of their pairs"
    for name in ("rival_generators", "rival_pairs"):
        assert first[name].digest == again[name].digest
    for name in ("generator_comparison", "generator_worth"):
        pd.testing.assert_frame_equal(first[name], again[name])

    # Images alone are given masks by the judge, which is trained already.
    images = RivalsSettings(families=("gan", "image_ddpm", "replay"), budget=BudgetSettings(images=8), gallery_pairs=2)
    more = world.rivals(images)
    assert {title.split(":")[0] for title in world.runs.begun} == {"image_ddpm"}
    comparison, worth = more["generator_comparison"], more["generator_worth"]
    assert values_of(comparison, "training.images") == pytest.approx(
        {"gan": 8.0, "image_ddpm": 8.0, "replay": np.nan}, nan_ok=True
    )
    assert values_of(comparison, "alignment.miou").keys() == {"gan", "image_ddpm", "replay", "val"}
    assert values_of(comparison, "copies.pixels")["replay"] == 1
    assert set(worth["family"]) == {"real pairs", "gan", "image_ddpm", "replay"}
    assert set(worth.loc[worth["ratio"] > 0, "protocol"]) == {"step_matched", "synthetic_only"}
    kept = worth[worth["family"] != "image_ddpm"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first["generator_worth"])

    assert more["generator_gallery"].shape[1] > first["generator_gallery"].shape[1]
    findings = more["generator_findings"]
    assert findings.parents == {"tiles": world.tiles.digest, "judge": world.judge.digest}
    assert set(world.runs.shown) == {f"pairs of {name}" for name in more["rival_pairs"].names}
    assert {"kernel_distance", "training.seconds"} <= world.runs.shown["pairs of gan"].keys()
    assert {"miou.fpn_mobilenetv3", "miou.fpn_mobilenetv3 synthetic_only"} <= world.runs.shown["pairs of gan"].keys()


def test_a_family_is_trained_once_for_a_run_of_its_own_and_beside_others(world: World) -> None:
    families: Any = {name: family_of(name).settings() for name in FAMILIES} | SMALL
    own = make_generator(world.tiles, GenerationSettings(family="gan"), COMPUTE, world.workspace, **families)
    beside = nodes.train_rivals(world.tiles, RivalsSettings(families=("gan",)), COMPUTE, world.workspace, **families)
    assert beside.parents["gan"] == own.digest and world.runs.begun.count("gan") == 1


@pytest.mark.parametrize("family", SMALL)
def test_pairs_of_a_rival_have_a_class_in_every_pixel(family: str, tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    workspace = Workspace(project=str(tmp_path), raw="raw")
    scenes, _ = find_and_check(made.description, IngestionSettings(), COMPUTE, workspace)
    tiles = cut_tiles(scenes, made.description, TilingSettings(tile_size=SIDE, stride=SIDE), COMPUTE, workspace)
    families = {name: family_of(name).settings() for name in FAMILIES} | SMALL
    generation = GenerationSettings(family=family)
    generator = make_generator(tiles, generation, COMPUTE, workspace, **families)
    assert generator.family == family

    def drawn(**sampling: Any) -> Any:
        settings = SamplingSettings(max_pairs=NUMBER, shard_pairs=4, batch_size=2, **sampling)
        given = (generator, tiles, scenes, made.description, generation, settings, GRID, COMPUTE, workspace)
        return draw_pairs(*given, **families)

    store = drawn()
    assert store.count("synthetic") == NUMBER and store.manifest["family"] == family
    assert store.parents["tiles"] == tiles.digest and store.parents["generator"] == generator.digest
    assert ("judge" in store.parents) == (family == "image_ddpm")
    assert all(np.isin(mask, range(len(tiles.class_names))).all() for _, mask in store.arrays())
    assert drawn().digest == store.digest
    with pytest.raises(SatSynthError, match="real"):
        drawn(layouts="real")
