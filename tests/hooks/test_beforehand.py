"""What would end a run late is refused before its first step, or as soon as the tiles are there."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_data import made_pairs, paint, save, settings, write_store
from satsynth.generation.families import FAMILIES
from satsynth.hooks.beforehand import Plan
from satsynth.pairs.export import LEGEND
from satsynth.pairs.pair import encode_image, encode_mask
from satsynth.pairs.store import PairStore
from satsynth.work.errors import SatSynthError

AUGMENT = frozenset({"ingestion", "tiling", "judge", "diffusion", "sampling", "comparison", "segmentation"})
FARSEG = {"architecture": "farseg", "encoder": "resnet18"}
SIDE, TRAIN = 16, 6


def plan(project: Path, tags: frozenset[str] = AUGMENT, **changes: dict[str, Any]) -> Plan:
    """Return a run with default parameters but for some groups."""
    groups = ("compute", "tiling", "generation", *FAMILIES, "sampling", "comparison", "segmentation")
    parameters: dict[str, Any] = {name: {} for name in groups}
    parameters |= {"description": settings(), "workspace": {"project": str(project), "raw": "raw"}}
    return Plan(tags, parameters | changes)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / "foreign" / name).mkdir(parents=True)
    for number, pair in enumerate(made_pairs(5)):
        (tmp_path / "foreign/images" / f"{number}.png").write_bytes(encode_image(pair.image))
        (tmp_path / "foreign/masks" / f"{number}.png").write_bytes(encode_mask(pair.mask))
    return tmp_path / "foreign"


RIVALS = frozenset({"tiling", "judge", "rivals"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rivals": {"families": ["replay", "folder"]}}, ["needs `folder.path`"]),
        ({"gan": {"network": {"stem": 3}}}, ["does not fit a GAN"]),
        ({"segmentation": {"ratios": [0]}}, ["no R above zero", "rivals.ratio=1"]),
        ({"comparison": {"inception": "nowhere.pth"}}, ["Inception weights nowhere.pth does not exist"]),
        (
            {"sampling": {"layouts": "model"}, "diffusion": {"drawing": {"guidance": 1.5}}},
            ["`drawing.guidance` 1.5", "drawn together here"],
        ),
    ],
)
def test_families_that_cannot_be_compared_are_refused_before_the_first_step(
    changes: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    plan(tmp_path, RIVALS, rivals={}).require_ready()
    # A run of another pipeline does not look at them.
    plan(tmp_path, frozenset({"tiling"}), **{"rivals": {}} | changes).require_ready()
    with pytest.raises(SatSynthError) as refused:
        plan(tmp_path, RIVALS, **{"rivals": {}} | changes).require_ready()
    assert all(word in str(refused.value) for word in words)


def test_each_family_must_have_as_many_pairs_as_are_asked_for(tmp_path: Path, foreign: Path) -> None:
    found, folder = tiles(tmp_path), {"path": str(foreign)}
    few = {"families": ["replay", "folder"], "pairs": 5, "ratio": 0.5}
    plan(tmp_path, RIVALS, rivals=few, folder=folder).require_pairs(found)
    with pytest.raises(SatSynthError, match=r"6 synthetic pairs are asked for, but .* 'folder' has 5"):
        plan(tmp_path, RIVALS, rivals={**few, "pairs": 6}, folder=folder).require_pairs(found)
    with pytest.raises(SatSynthError, match="R = 2 asks for 12"):
        plan(tmp_path, RIVALS, rivals={**few, "ratio": 2}, folder=folder).require_pairs(found)


LABELS = frozenset({"ingestion", "labels"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tiling": {"label_scenes": ["a", "b"]}}, ["`tiling.label_scenes`", "(a, b)", "`labels.shares`"]),
        ({"segmentation": {"ratios": [0]}}, ["no R above zero", "labels.ratio=1"]),
        ({"generation": {"family": "folder"}}, ["needs `folder.path`"]),
        ({"generation": {"family": "replay"}, "sampling": {"layouts": "real"}}, ["`sampling.layouts: real`"]),
        ({"tiling": {"keep": {"least": {"classes": ["moon"], "share": 0.1}}}}, ["moon"]),
        ({"tiling": {"tile_size": 40}}, ["`tiling.tile_size` is 40", "`segmentation.networks`"]),
        (
            {"tiling": {"label_rest": "unlabelled"}, "diffusion": {"model": {"noise_levels": "common"}}},
            ["noise_levels` is `common`"],
        ),
    ],
)
def test_budgets_of_labels_that_cannot_be_compared_are_refused_before_the_first_step(
    changes: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    plan(tmp_path, LABELS, labels={}).require_ready()
    with pytest.raises(SatSynthError) as refused:
        plan(tmp_path, LABELS, labels={}, **changes).require_ready()
    assert all(word in str(refused.value) for word in words)
    # All masks are used: no scene is left that could be unlabelled.
    if "label_rest" in changes.get("tiling", {}):
        plan(tmp_path, LABELS, labels={"shares": [1]}, **changes).require_ready()


def test_drawn_masks_that_cannot_be_used_are_refused_before_the_first_step(tmp_path: Path) -> None:
    folder = {"layouts": "folder", "layout_folder": "drawn"}
    save(tmp_path / "drawn" / "a.png", np.full((32, 32, 3), 77, np.uint8))
    with pytest.raises(SatSynthError, match="holds values that are no class"):
        plan(tmp_path, sampling=folder, tiling={"tile_size": 32}).require_ready()
    save(tmp_path / "drawn" / "a.png", paint(np.zeros((32, 32), np.uint8)))
    plan(tmp_path, sampling=folder, tiling={"tile_size": 32}).require_ready()
    with pytest.raises(SatSynthError, match="smaller than a tile of 128"):
        plan(tmp_path, sampling=folder, tiling={"tile_size": 128}).require_ready()


def test_what_a_grid_can_show_is_said_before_a_generator_is_trained_for_it(tmp_path: Path) -> None:
    found, seeds = tiles(tmp_path), {"segmentation": {"seeds": [0, 1, 2, 3]}}
    for tags, others in ((AUGMENT, {}), (LABELS, {"labels": {}}), (RIVALS, {"rivals": {}})):
        assert str(plan(tmp_path, tags, **seeds, **others).foresight(found)).startswith("with 4 seeds and ")
        assert plan(tmp_path, tags, segmentation={"ratios": [0]}, **others).foresight(found) is None
    # Where only networks are trained, the grid says it.
    assert plan(tmp_path, frozenset({"segmentation"})).foresight(found) is None


def test_the_tiles_of_each_share_must_be_enough(tmp_path: Path, foreign: Path) -> None:
    found = tiles(tmp_path)
    plan(tmp_path, LABELS, labels={}).require_pairs(found)
    with pytest.raises(SatSynthError, match="R = 4 asks for 24"):
        plan(tmp_path, LABELS, labels={"ratio": 4}).require_pairs(found)
    family: dict[str, Any] = {"generation": {"family": "folder"}, "folder": {"path": str(foreign)}}
    with pytest.raises(SatSynthError, match=r"12 synthetic pairs are asked for, but .* has 5"):
        plan(tmp_path, LABELS, labels={}, **family).require_pairs(found)
    with pytest.raises(SatSynthError, match="There is 1 training tile"):
        plan(tmp_path, LABELS, labels={}).require_pairs(tiles(tmp_path, train=1))


def tiles(folder: Path, train: int = TRAIN) -> PairStore:
    splits = (("train", train), ("val", 2), ("test", 2))
    pairs = [pair for split, number in splits for pair in made_pairs(number, SIDE, split)]
    return write_store(folder / "tiles", pairs, SIDE, extra={"keep": {"max_ignore": 1.0}})


def test_images_without_masks_are_refused_early_by_generators_that_cannot_learn_from_them(tmp_path: Path) -> None:
    description = settings(images={"unlabelled": ["more"]})
    with pytest.raises(SatSynthError, match="noise_levels` is `common`"):
        plan(tmp_path, description=description, diffusion={"model": {"noise_levels": "common"}}).require_ready()
    plan(tmp_path, description=description).require_ready()
    for family in ("gan", "image_ddpm", "replay"):
        plan(tmp_path, description=description, generation={"family": family}).require_ready()


def test_usual_parameters_are_taken_and_nothing_heavy_is_imported_for_that(tmp_path: Path) -> None:
    plan(tmp_path).require_ready()
    code = (
        "import sys; from pathlib import Path; from test_beforehand import plan; plan(Path('.')).require_ready(); "
        "print([name for name in ('torch', 'segmentation_models_pytorch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_here())
    assert done.stdout == "[]\n"


def _here() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in [str(Path(__file__).parent), *sys.path] if path)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generation": {"family": "folder"}}, ["needs `folder.path`"]),
        ({"generation": {"family": "folder"}, "folder": {"path": "nowhere"}}, ["`folder.path` nowhere", "no pairs"]),
        ({"diffusion": {"start_from": "nowhere"}}, ["nowhere holds no finished generator"]),
        ({"tiling": {"tile_size": 32}, "diffusion": {"model": {"network": {"stem": 16}}}}, ["tile size 32", "to 64"]),
        ({"generation": {"family": "gan"}, "gan": {"network": {"stem": 3}}}, ["does not fit a GAN"]),
        ({"tiling": {"tile_size": 40}}, ["`tiling.tile_size` is 40", "`segmentation.networks`"]),
        ({"tiling": {"keep": {"least": {"classes": ["moon"], "share": 0.1}}}}, ["`tiling.keep.least.classes`", "moon"]),
        (
            {"compute": {"share": "1/4"}, "workspace": {"project": ".", "fresh": True}},
            ["`share` is 1/4 and `fresh` is true", "Leave out one"],
        ),
        ({"compute": {"processes": 3}}, ["`batch_size` 8", "`compute.processes` 3", "a number that divides it"]),
        ({"comparison": {"inception": "nowhere.pth"}}, ["Inception weights nowhere.pth does not exist"]),
        (
            {
                "sampling": {"layouts": "real", "windows": {"class_weights": {"moon": 1}}},
                "diffusion": {"model": {"noise_levels": "separate"}, "tasks": {"joint": 0.5, "image": 0.5}},
            },
            ["`sampling.windows.class_weights` names moon"],
        ),
    ],
)
def test_what_parameters_show_is_refused_before_the_first_step(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SatSynthError) as caught:
        plan(tmp_path, **changes).require_ready()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({**FARSEG, "encoder": "resnet19"}, ["no encoder 'resnet19'"]),
        ({"architecture": "fpn", "encoder": "resnet18", "weights": "lost.pth"}, ["lost.pth", "do not exist"]),
        ({"architecture": "pfsegnet", "encoder": "resnet18", "options": {"points": 3}}, ["the option points = 3"]),
        ({"architecture": "segdiff", "encoder": "resnet18"}, ["no encoder 'resnet18'"]),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_before_the_first_step(
    tmp_path: Path, network: dict[str, Any], words: list[str]
) -> None:
    judge = {"architecture": "fpn", "encoder": "resnet18"}
    grid = {"networks": {"judge": judge, "other": network}, "judge": {"network": "judge"}}
    with pytest.raises(SatSynthError) as caught:
        plan(tmp_path, segmentation=grid).require_ready()
    for word in words:
        assert word in str(caught.value)
    # Whoever trains none of them is not asked for it.
    plan(tmp_path, tags=frozenset({"ingestion", "tiling"}), segmentation=grid).require_ready()


def test_a_missing_library_is_said_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, package: str | None = None) -> Any:
        return None if name in ("torchgeo", "torch_fidelity") else find_spec(name, package)

    monkeypatch.setattr("satsynth.segmentation.architectures.farseg.find_spec", without)
    monkeypatch.setattr("satsynth.analysis.measures.inception.find_spec", without)
    judge = {"architecture": "fpn", "encoder": "resnet18"}
    grid = {"networks": {"judge": judge, "farseg": FARSEG}, "judge": {"network": "judge"}}
    with pytest.raises(SatSynthError, match=r"needs torchgeo(?s:.*)satsynth\[farseg\]"):
        plan(tmp_path, segmentation=grid).require_ready()
    with pytest.raises(SatSynthError, match=r"needs torch-fidelity(?s:.*)satsynth\[fid\]"):
        plan(tmp_path, comparison={"inception": "download"}).require_ready()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": {"ratio": 0.5}}, "R = 1 asks for 6 synthetic pairs .* holds 3"),
        ({"sampling": {"max_pairs": 4}}, "R = 1 asks for 6 synthetic pairs .* holds 4"),
        ({"segmentation": {"ratios": [0, 0.05]}}, "less than one synthetic pair"),
    ],
)
def test_what_the_number_of_tiles_shows_is_refused_before_a_training(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    tags = AUGMENT - {"comparison"}
    with pytest.raises(SatSynthError, match=words):
        plan(tmp_path, tags, **changes).require_pairs(tiles(tmp_path))


@pytest.mark.parametrize("step", ["judge", "diffusion", "segmentation"])
def test_one_training_tile_is_refused_before_a_training(tmp_path: Path, step: str) -> None:
    with pytest.raises(SatSynthError, match=r"There is 1 training tile(?s:.*)`tiling.stride`"):
        plan(tmp_path, frozenset({"tiling", step})).require_pairs(tiles(tmp_path, train=1))
    plan(tmp_path, frozenset({"tiling"})).require_pairs(tiles(tmp_path, train=1))
    plan(tmp_path, frozenset({"tiling", "judge"})).require_pairs(tiles(tmp_path, train=2))


def test_a_folder_with_too_few_pairs_is_refused_before_a_training(tmp_path: Path, foreign: Path) -> None:
    assert not (foreign / LEGEND).exists()
    chosen: dict[str, Any] = {"generation": {"family": "folder"}, "folder": {"path": str(foreign)}}
    with pytest.raises(SatSynthError, match=r"12 synthetic pairs .* has 5(?s:.*)max_pairs=5"):
        plan(tmp_path, **chosen).require_pairs(tiles(tmp_path))
    # What it says works.
    fewer = {"max_pairs": 5}
    with pytest.raises(SatSynthError, match="R = 1 asks for 6"):
        plan(tmp_path, sampling=fewer, **chosen).require_pairs(tiles(tmp_path))
    few, tags = {"ratios": [0, 0.5]}, AUGMENT - {"comparison"}
    plan(tmp_path, tags, sampling=fewer, segmentation=few, **chosen).require_pairs(tiles(tmp_path))


def test_a_network_that_its_library_refuses_is_known_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = {"architecture": "fpn", "encoder": "resnet18"}
    odd = {"architecture": "fpn", "encoder": "resnet19"}
    grid = {"networks": {"judge": judge, "odd": odd}, "judge": {"network": "judge"}}
    with pytest.raises(SatSynthError, match="cannot build fpn with the encoder 'resnet19'"):
        plan(tmp_path, segmentation=grid).require_pairs(tiles(tmp_path))
    right = grid | {"networks": {"judge": judge}}
    plan(tmp_path, segmentation=right).require_pairs(tiles(tmp_path))
    monkeypatch.setattr("satsynth.segmentation.networks.build_network", lambda *_: pytest.fail("is built again"))
    plan(tmp_path, segmentation=right).require_pairs(tiles(tmp_path))


def test_a_split_of_which_nothing_can_be_compared_is_refused_before_a_training(tmp_path: Path) -> None:
    pairs = [pair for split in ("train", "val", "test") for pair in made_pairs(2, SIDE, split)]
    for pair in pairs:
        if pair.split == "test":
            pair.mask[:12] = 255
    store = write_store(tmp_path / "tiles", pairs, SIDE, extra={"keep": {"max_ignore": 0.5}})
    with pytest.raises(SatSynthError, match=r"split 'test' in .* passes `tiling.keep`"):
        plan(tmp_path, AUGMENT - {"segmentation"}).require_pairs(store)
    plan(tmp_path, AUGMENT - {"segmentation", "comparison"}).require_pairs(store)


def test_ray_is_refused_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(tmp_path, compute={"engine": "ray"}).require_ready()
    monkeypatch.setattr("satsynth.work.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(SatSynthError, match="Ray is not installed") as error:
        plan(tmp_path, compute={"engine": "ray"}).require_ready()
    assert "pip install 'satsynth[ray]'" in str(error.value)
