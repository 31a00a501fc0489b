from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from made_data import CLASSES
from satsynth.diffusion.cascade import enlarging, training
from satsynth.diffusion.cascade.drawing import CascadeDrawer
from satsynth.diffusion.cascade.enlarger import Enlarger
from satsynth.diffusion.cascade.family import FAMILY
from satsynth.diffusion.cascade.reduction import reduce_images, reduce_masks
from satsynth.diffusion.cascade.saved import ENLARGER, HISTORY, SMALL
from satsynth.diffusion.cascade.settings import CascadeDrawing, CascadeSettings, EnlargerSettings
from satsynth.diffusion.denoiser import Denoiser
from satsynth.diffusion.generator import take_weights
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings
from satsynth.generation.drawers import LayoutDrawer, Request
from satsynth.generation.families import Silence
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import Step, work_folder
from stopping import stopped_at

SIDE, FACTOR, PAIRS = 32, 2, 6
K = len(CLASSES)
COMPUTE = ComputeSettings(device="cpu", checkpoint_seconds=1e-9)
STEP = Step("diffusion", 1, {}, {})
NETWORK = NetworkSettings(stem=2, widths=(8, 16), attention=False, head=8)
SETTINGS = CascadeSettings(
    factor=FACTOR,
    small=DiffusionSettings(
        model=GeneratorSettings(network=NETWORK, noise_levels="separate"), images=24, batch_size=2, looks=1
    ),
    enlarger=EnlargerSettings(
        model=GeneratorSettings(network=NETWORK, noise_levels="separate"), images=24, batch_size=2, crop=16, looks=2
    ),
    drawing=CascadeDrawing(small=DiffusionDrawing(steps=3), enlarger=DiffusionDrawing(steps=3, sigma_max=10.0)),
)


def made(number: int, seed: int = 0) -> DecodedPairs:
    """Blocks of classes, each of a brightness of its own."""
    random = np.random.default_rng(seed)
    masks = np.kron(random.integers(0, K, (number, 4, 4)), np.ones((SIDE // 4, SIDE // 4))).astype(np.uint8)
    images = (masks[..., None] * 80 + random.integers(0, 40, (number, SIDE, SIDE, 3))).astype(np.uint8)
    return DecodedPairs(images, masks)


def trained(root: Path, report: Any = None, settings: CascadeSettings = SETTINGS) -> SavedGenerator:
    origin = {"family": "cascade", "classes": CLASSES, "tile_size": SIDE, "scenes": ["a"]}
    with work_folder(root, STEP) as folder:
        if not folder.finished:
            FAMILY.train(folder, made(PAIRS), made(2, 1), origin, settings, COMPUTE, report or Silence())
    return SavedGenerator(folder.result)


def drawer_of(saved: SavedGenerator, settings: CascadeSettings = SETTINGS) -> CascadeDrawer:
    found = FAMILY.load(saved, settings, COMPUTE)
    assert isinstance(found, CascadeDrawer) and isinstance(found, LayoutDrawer)
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedGenerator:
    return trained(tmp_path_factory.mktemp("whole"))


def bytes_of(saved: SavedGenerator) -> dict[str, bytes]:
    return {name: (saved.path / name).read_bytes() for name in (SMALL, ENLARGER, HISTORY)}


@pytest.mark.parametrize(("title", "step"), [("Diffusion", 7), ("Enlargement", 5)])
def test_continued_equals_uninterrupted_in_both_models(
    saved: SavedGenerator, tmp_path: Path, title: str, step: int
) -> None:
    with stopped_at(step, title):
        trained(tmp_path)
    assert bytes_of(trained(tmp_path)) == bytes_of(saved)


def test_continued_between_the_models_the_first_is_not_trained_again(
    saved: SavedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "train_enlarger", broken)
        trained(tmp_path)
    monkeypatch.setattr(training, "train_denoiser", broken)
    assert bytes_of(trained(tmp_path)) == bytes_of(saved)


def test_metrics_of_both_models_do_not_mix(tmp_path: Path) -> None:
    names: list[set[str]] = []

    class Seen(Silence):
        def metrics(self, step: int, values: Any) -> None:
            names.append(set(values))

    trained(tmp_path, Seen())
    first = [found for found in names if "loss" in found]
    second = [found for found in names if "enlarger_loss" in found]
    assert first and second and not any("loss" in found for found in names[names.index(second[0]) :])
    assert any("enlarger_val_error" in found for found in names)


def test_a_painted_pair_is_of_its_layout_and_number_only(saved: SavedGenerator) -> None:
    drawer, masks = drawer_of(saved), made(4, 3).masks
    images = drawer.paint(range(4), masks, 5)
    assert images.shape == (4, SIDE, SIDE, 3) and images.dtype == np.uint8
    assert np.array_equal(drawer.paint([2, 3], masks[2:], 5), images[2:])
    assert not np.array_equal(drawer.paint([2, 3], masks[2:], 6), images[2:])
    layouts = drawer.lay_out(range(4), 5)
    assert layouts.shape == masks.shape and np.array_equal(drawer.lay_out([3], 5)[0], layouts[3])


def test_guidance_is_for_the_small_image_which_has_no_other_sign_of_its_mask(saved: SavedGenerator) -> None:
    masks = made(2, 3).masks
    small = SETTINGS.drawing.small.model_copy(update={"guidance": 2.0})
    guided = SETTINGS.model_copy(update={"drawing": SETTINGS.drawing.model_copy(update={"small": small})})
    images = drawer_of(saved).paint(range(2), masks, 5)
    assert not np.array_equal(drawer_of(saved, guided).paint(range(2), masks, 5), images)
    FAMILY.require_layouts(guided, "real")
    with pytest.raises(SatSynthError, match="guidance"):
        FAMILY.require_layouts(guided, "joint")
    with pytest.raises(ValidationError, match=r"`enlarger.guidance` must be 1"):
        CascadeDrawing(enlarger=DiffusionDrawing(guidance=1.5))
    assert guided.drawing.identity()["small"]["guidance"] == 2 and "guidance" not in str(SETTINGS.drawing.identity())


def test_pairs_differ_where_small_ones_do(saved: SavedGenerator) -> None:
    drawer = drawer_of(saved)
    images, masks = drawer.draw(range(3), Request(0))
    again = drawer.draw([1], Request(0))
    assert np.array_equal(images[1], again[0][0]) and np.array_equal(masks[1], again[1][0])
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize("clip", [False, True])
def test_estimates_of_the_enlarger_are_clipped_where_that_is_asked_for(
    saved: SavedGenerator, monkeypatch: pytest.MonkeyPatch, clip: bool
) -> None:
    asked: list[bool] = []
    denoise = Enlarger.denoise

    def noted(self: Enlarger, clip: bool = False) -> Any:
        asked.append(clip)
        return denoise(self, clip)

    monkeypatch.setattr(Enlarger, "denoise", noted)
    large = SETTINGS.drawing.enlarger.model_copy(update={"clip": clip})
    drawing = SETTINGS.drawing.model_copy(update={"enlarger": large})
    drawer = drawer_of(saved, SETTINGS.model_copy(update={"drawing": drawing}))
    drawer.draw([0], Request(0))
    drawer.paint([0], made(1).masks, 0)
    assert asked == [clip, clip]


class _Copies(torch.nn.Module):
    """A network that returns what it is given of the small pairs."""

    def forward(self, pairs: torch.Tensor, noise: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return given


def test_an_enlarged_real_pair_lies_where_its_source_does(saved: SavedGenerator) -> None:
    """With a network that only copies, reduced pairs come back; moved by one pixel, they are farther away."""
    exact = drawer_of(saved, SETTINGS.model_copy(update={"drawing": CascadeDrawing(condition_noise=0.0)}))
    exact._enlarger.denoiser = Denoiser(_Copies(), exact._enlarger.denoiser.preconditioning)
    masks = torch.from_numpy(made(PAIRS, 4).masks).long()
    images = (masks * 100)[:, None].repeat(1, 3, 1, 1).float()
    small = reduce_images(images, FACTOR).byte().movedim(1, -1).numpy()
    large, found = exact.enlarge(range(PAIRS), small, reduce_masks(masks, FACTOR, K).byte().numpy(), 0)
    assert np.array_equal(found, masks)
    real = images.movedim(1, -1).numpy()
    for axis, step in itertools.product((1, 2), (-1, 1)):
        assert np.abs(real - large).mean() < 0.6 * np.abs(np.roll(real, step, axis) - large).mean()


def test_constant_pairs_stay_constant_after_training_on_them(tmp_path: Path) -> None:
    grey = DecodedPairs(np.full((4, SIDE, SIDE, 3), 200, np.uint8), np.ones((4, SIDE, SIDE), np.uint8))
    settings = SETTINGS.enlarger.model_copy(update={"images": 400, "learning_rate": 5e-3, "ema": 0.9})
    with work_folder(tmp_path, STEP) as folder:
        task = enlarging.Enlargement(grey, grey, K, FACTOR, settings)
        enlarging.train_enlarger(folder, task, ComputeSettings(device="cpu"), training.Renamed(Silence()))
    enlarger = Enlarger(settings.model, K)
    take_weights(enlarger, folder.result / "ema.safetensors", torch.device("cpu"))
    drawing = CascadeDrawing(enlarger=DiffusionDrawing(steps=8, sigma_max=10.0), condition_noise=0.0)
    drawer = CascadeDrawer(enlarger, enlarger, SIDE, FACTOR, drawing, torch.device("cpu"), COMPUTE)
    half = SIDE // FACTOR
    images, masks = drawer.enlarge([0, 1], grey.images[:2, :half, :half], grey.masks[:2, :half, :half], 0)
    assert (masks == 1).all()
    assert np.abs(images.astype(int) - 200).mean() < 8


def test_crops_lie_on_small_pixels_and_depend_on_seed_and_position() -> None:
    # Each pixel tells its place.
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    pairs = DecodedPairs(np.stack([rows, columns, rows], -1)[None], rows[None] % K)
    crops = enlarging.Crops(PairStream([pairs], 0, "none"), 8, 4, 3)
    starts = set()
    for position in range(200):
        image, mask = crops[position]
        top, left = (round(float(image[c, 0, 0]) * 127.5 + 127.5) for c in (0, 1))
        assert image.shape == (3, 8, 8) and int(mask[0, 0]) == top % K
        starts |= {top, left}
        assert torch.equal(crops[position][0], image)
    assert starts == set(range(0, SIDE - 8 + 1, 4))


def test_noise_on_what_is_given_has_an_amount_of_its_own_for_each_image() -> None:
    enlarger = Enlarger(SETTINGS.enlarger.model, K)
    images, masks = torch.zeros(64, 3, 16, 16), torch.zeros(64, 16, 16, dtype=torch.int64)
    given = enlarging.given_of(enlarger, images, masks, 4, 0.4, seeded(0))[:, :3]
    # Interpolation by 4 keeps the values of the corners.
    amounts = torch.stack([given[..., i, j] for i in (0, -1) for j in (0, -1)], -1).std((1, 2))
    assert 0 <= amounts.min() < 0.08 and 0.3 < amounts.max() < 0.65
    exact = enlarging.given_of(enlarger, images, masks, 4, 0.0, seeded(0))
    assert not exact[:, :3].any() and torch.equal(exact[:, 3:], enlarger.code.encode(masks))


@pytest.mark.parametrize(
    ("changes", "side", "match"),
    [
        ({}, 33, "33 pixels"),
        ({}, 8, "8 pixels"),
        ({"small": SETTINGS.small.model_copy(update={"model": GeneratorSettings()})}, 24, "24|12"),
    ],
)
def test_tiles_that_do_not_fit_are_refused_beforehand(changes: dict[str, Any], side: int, match: str) -> None:
    with pytest.raises(SatSynthError, match=match):
        FAMILY.require_ready(SETTINGS.model_copy(update=changes), side)
    assert FAMILY.require_ready(SETTINGS, SIDE) is None


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: CascadeSettings(factor=4, enlarger=EnlargerSettings(crop=24), small={"start_from": "x"}), "start_from"),
    (lambda: EnlargerSettings(model=GeneratorSettings()), "separate"),
    (lambda: EnlargerSettings(compile=True), "compile"),
    (lambda: CascadeSettings(factor=3), "2 or 4"),
]


@pytest.mark.parametrize(("make", "match"), BAD)
def test_bad_settings(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        make()


def test_layouts_need_levels_of_their_own() -> None:
    FAMILY.require_layouts(SETTINGS, "real")
    common = SETTINGS.model_copy(update={"small": DiffusionSettings(model={"noise_levels": "common"})})
    FAMILY.require_layouts(common, "joint")
    with pytest.raises(SatSynthError, match="one noise level in common"):
        FAMILY.require_layouts(common, "model")
