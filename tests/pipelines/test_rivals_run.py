"""Rival families by the nodes on made data: from training to a set of pairs that segmentation can use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_data import make_data
from satsynth.diffusion.settings import DiffusionDrawing, GeneratorSettings, ImageDiffusionSettings, NetworkSettings
from satsynth.generation.families import FAMILIES, family_of
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pipelines.diffusion.nodes import make_generator
from satsynth.pipelines.ingestion.nodes import find_and_check
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.rivals.gan.settings import GanNetwork, GanSettings
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings, TrainingSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.workspace import Workspace

SIDE, NUMBER = 32, 6
COMPUTE = ComputeSettings(device="cpu", checkpoint_seconds=60)
SMALL: dict[str, Any] = {
    "image_ddpm": ImageDiffusionSettings(
        model=GeneratorSettings(network=NetworkSettings(stem=8, widths=(8, 16), head=0), label_code="none"),
        images=4,
        batch_size=2,
        looks=1,
        drawing=DiffusionDrawing(steps=2),
    ),
    "gan": GanSettings(
        network=GanNetwork(stem=4, width=4, widest=8, latent=8, pair_width=4), images=8, batch_size=4, looks=1
    ),
}
GRID = SegmentationSettings(
    networks={
        "fpn_mobilenetv3": SegmentationNetwork(
            architecture="fpn",
            encoder="tu-mobilenetv3_small_050",
            options={"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32},
        )
    },
    training=TrainingSettings(images=4, batch_size=2, evaluations=1),
)


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
