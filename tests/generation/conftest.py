from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from made_data import CLASSES, made_pairs, write_store
from satsynth.diffusion.cascade.settings import CascadeDrawing, CascadeSettings, EnlargerSettings
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings, ImageDiffusionSettings
from satsynth.generation.families import FamilySettings
from satsynth.pairs.export import LEGEND
from satsynth.pairs.pair import encode_image, encode_mask
from satsynth.pairs.store import PairStore
from satsynth.rivals.folder import FolderSettings
from satsynth.rivals.gan.settings import GanNetwork, GanSettings
from satsynth.rivals.replay import ReplaySettings

SIDE, REAL, FOREIGN = 16, 9, 7


@pytest.fixture
def tiles(tmp_path: Path) -> PairStore:
    """A store of real pairs in three splits."""
    pairs = [
        pair
        for seed, (split, number) in enumerate((("train", REAL), ("val", 3), ("test", 2)))
        for pair in made_pairs(number, side=SIDE, split=split, seed=seed)
    ]
    return write_store(tmp_path / "tiles", pairs, side=SIDE)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of pairs made elsewhere, with masks of class indices."""
    folder = tmp_path / "foreign"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number, pair in enumerate(made_pairs(FOREIGN, side=SIDE, seed=5)):
        (folder / "images" / f"{number}.png").write_bytes(encode_image(pair.image))
        (folder / "masks" / f"{number}.png").write_bytes(encode_mask(pair.mask))
    return folder


@pytest.fixture
def with_legend(foreign: Path) -> Path:
    """The same folder, its masks in ids of their own that a legend explains."""
    raws = {0: 7, 1: 40, 2: 3, 255: 90}
    for number, pair in enumerate(made_pairs(FOREIGN, side=SIDE, seed=5)):
        mask = np.vectorize(raws.get)(pair.mask).astype(np.uint8)
        (foreign / "masks" / f"{number}.png").write_bytes(encode_mask(mask))
    # In another order than the data set's, for classes are found by their names.
    classes = [{"name": str(CLASSES[k]["name"]), "raw": raws[k]} for k in (2, 0, 1)]
    (foreign / LEGEND).write_text(json.dumps({"classes": classes, "ignore": [raws[255]]}))
    return foreign


@pytest.fixture
def settings_of(foreign: Path) -> dict[str, FamilySettings]:
    """Small settings of each family."""
    network = NetworkSettings(stem=4, widths=(8, 16))
    return {
        "diffusion": DiffusionSettings(
            model=GeneratorSettings(network=network), images=8, batch_size=2, drawing=DiffusionDrawing(steps=3)
        ),
        "cascade": CascadeSettings(
            small=DiffusionSettings(
                model=GeneratorSettings(network=NetworkSettings(stem=2, widths=(8, 16)), noise_levels="separate"),
                images=8,
                batch_size=2,
            ),
            enlarger=EnlargerSettings(
                model=GeneratorSettings(network=network, noise_levels="separate"), images=8, batch_size=2, crop=16
            ),
            drawing=CascadeDrawing(small=DiffusionDrawing(steps=3), enlarger=DiffusionDrawing(steps=3)),
        ),
        "image_ddpm": ImageDiffusionSettings(
            model=GeneratorSettings(network=network, label_code="none"),
            images=8,
            batch_size=2,
            drawing=DiffusionDrawing(steps=3),
        ),
        "gan": GanSettings(
            network=GanNetwork(stem=2, width=4, widest=8, latent=8, pair_width=4, pair_layers=2),
            images=8,
            batch_size=4,
            looks=1,
        ),
        "replay": ReplaySettings(),
        "folder": FolderSettings(path=str(foreign)),
    }
