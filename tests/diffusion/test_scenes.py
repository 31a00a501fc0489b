"""Scenes larger than a tile, and masks for images that are given."""

import numpy as np
import pytest
import torch

import tiny
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.generator import load_generator
from satsynth.diffusion.settings import DiffusionDrawing, TaskSettings
from satsynth.diffusion.windowing import blended, corners_of
from satsynth.training.settings import ComputeSettings
from satsynth.work.ignore import IGNORE_INDEX

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
CLASSES, SIDE = 4, 32
DRAWING = DiffusionDrawing(sampler="dpm_solver_2m_sde", steps=4, sigma_max=20.0, sigma_min=0.1)


@pytest.fixture(scope="module")
def drawer():
    return JointDrawer(tiny.random_generator(CLASSES, tiny.SEPARATE), SIDE, DRAWING, CPU, COMPUTE)


@pytest.fixture(scope="module")
def guided():
    drawing = DRAWING.model_copy(update={"guidance": 1.5})
    return JointDrawer(tiny.random_generator(CLASSES, tiny.SEPARATE), SIDE, drawing, CPU, COMPUTE)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 64), (80, 47), (32, 200)])
def test_windows_cover_a_scene_and_overlap_by_half(height, width):
    covered = np.zeros((height, width), int)
    corners = corners_of((height, width), SIDE)
    for corner in corners:
        part = corner.cut(torch.from_numpy(covered), SIDE)
        assert part.shape == (SIDE, SIDE)
        part += 1
    assert covered.min() >= 1
    # But for the outermost half window of a scene, each pixel lies in two windows along each side.
    inner = covered[SIDE // 2 : -SIDE // 2, SIDE // 2 : -SIDE // 2]
    assert inner.size == 0 or inner.min() >= 4
    assert len(set(corners)) == len(corners)


def test_what_all_windows_agree_on_is_the_estimate_of_the_scene():
    """Any function of single pixels is the same, whether windows or the scene are denoised."""
    noisy, sigma = torch.randn(1, 3, 70, 90), torch.tensor([2.0])
    seen = []

    def given(corners):
        def denoise(windows, levels):
            seen.append((len(corners), levels.tolist()))
            return windows.sin() * levels[:, None, None, None]

        return denoise

    found = blended(corners_of((70, 90), SIDE), given, SIDE, 4)(noisy, sigma)
    torch.testing.assert_close(found, noisy.sin() * 2)
    assert max(number for number, _ in seen) == 4 and seen[0][1] == [2.0] * 4


def test_estimates_that_differ_between_windows_are_blended_without_seams():
    corners = corners_of((SIDE, 4 * SIDE), SIDE)
    values = {corner: float(number % 2) for number, corner in enumerate(corners)}

    def given(group):
        return lambda windows, levels: torch.stack(
            [torch.full_like(w, values[c]) for c, w in zip(group, windows, strict=True)]
        )

    row = blended(corners, given, SIDE, 3)(torch.zeros(1, 1, SIDE, 4 * SIDE), torch.ones(1))[0, 0, 7]
    assert row.min() < 0.01 and row.max() > 0.99
    # From one window to the next it takes half a window.
    assert row.diff().abs().max() < 4 / SIDE


@pytest.mark.parametrize("name", ["drawer", "guided"])
def test_a_scene_of_one_tile_is_painted_as_a_pair(name, request):
    drawer = request.getfixturevalue(name)
    mask = np.random.default_rng(0).integers(0, CLASSES, (SIDE, SIDE), np.uint8)
    mask[:5] = IGNORE_INDEX
    scene, pair = drawer.paint_scene(7, mask, 3, 4), drawer.paint([7], mask[None], 3)[0]
    assert scene.std() > 5
    assert np.abs(scene.astype(int) - pair).max() <= 1


def column_changes(images):
    """Return how much neighbouring columns of images (N, H, W, 3) differ, (W - 1,), in units of their mean."""
    across = np.abs(np.diff(images.astype(float), axis=2)).mean((0, 1, 3))
    return across / across.mean()


@pytest.mark.parametrize("name", ["drawer", "guided"])
def test_a_painted_scene_has_no_seams(name, request):
    """Across the borders of windows, neighbouring pixels differ as much as in the middle of a pair.

    Also there, the network's own grid of 16 pixels has a border.
    """
    drawer, random, half = request.getfixturevalue(name), np.random.default_rng(0), SIDE // 2
    masks = random.integers(0, CLASSES, (3, 10, 14), np.uint8).repeat(8, 1).repeat(8, 2)
    scenes = np.stack([drawer.paint_scene(number, mask, 0, 8) for number, mask in enumerate(masks)])
    assert scenes.shape == (3, 80, 112, 3) and scenes.std() > 5
    borders = sorted({edge for c in corners_of((80, 112), SIDE) for edge in (c.left, c.left + SIDE)} - {0, 112})
    assert borders == list(range(half, 112, half))
    pairs = drawer.paint(range(30), masks[:, :SIDE, :SIDE].repeat(10, 0), 0)
    at_borders, inside = column_changes(scenes)[np.array(borders) - 1].mean(), column_changes(pairs)[half - 1]
    assert at_borders < 1.05 * inside
    assert np.array_equal(scenes[0], drawer.paint_scene(0, masks[0], 0, 8))
    assert not np.array_equal(scenes[0], drawer.paint_scene(1, masks[0], 0, 8))


def test_what_is_given_far_away_changes_nothing_here(drawer):
    """A scene is conditioned window by window: its mask counts where it lies."""
    mask = np.zeros((SIDE, 4 * SIDE), np.uint8)
    other = mask.copy()
    other[:, -8:] = 3
    first, second = (drawer.paint_scene(0, given, 0, 8).astype(int) for given in (mask, other))
    change = np.abs(first - second).mean((0, 2))
    assert change[-SIDE:].mean() > 20 * max(change[:SIDE].mean(), 0.01)


@pytest.fixture(scope="module")
def labellers(train_tiny, tmp_path_factory):
    """Generators of little and of more training to draw a mask for an image."""
    found = []
    for images in (8, 160):
        saved = train_tiny(
            tmp_path_factory.mktemp("labelling"),
            images=images,
            looks=1,
            model=tiny.SEPARATE,
            tasks=TaskSettings(joint=0.2, independent=0.8),
            checkpoint_seconds=60,
        )
        how = DRAWING.model_copy(update={"sigma_max": 80.0, "steps": 8})
        found.append(JointDrawer(load_generator(saved, CPU), SIDE, how, CPU, COMPUTE))
    return found


def test_masks_drawn_for_images_agree_with_theirs_the_better_the_longer_the_training(labellers):
    """The images are made as those of training, and are none of them; one is larger than a tile."""
    random = np.random.default_rng(9)
    masks = random.integers(0, CLASSES, (6, 12), np.uint8).repeat(8, 0).repeat(8, 1)
    image = (masks[..., None] * 60 + random.integers(0, 30, (*masks.shape, 3))).astype(np.uint8)
    agreement = [np.mean(labeller.label_scene(0, image, 0, 8) == masks) for labeller in labellers]
    assert agreement[1] > agreement[0] + 0.1
    assert agreement[1] > 1 / CLASSES + 0.2
