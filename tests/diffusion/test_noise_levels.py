"""Image and mask with noise levels of their own."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import tiny
from satsynth.diffusion.denoiser import both_levels, by_channel
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.family import FAMILY
from satsynth.diffusion.generator import CLEAN, UNKNOWN, load_generator
from satsynth.diffusion.losses import draw_levels, draw_sigmas, joint_loss
from satsynth.diffusion.settings import DiffusionDrawing, DiffusionSettings, NoiseSettings, TaskSettings
from satsynth.generation.drawers import Request
from satsynth.generation.sampling import draw_batch
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.regions import without_small_regions
from satsynth.training.seeds import generator as seeded
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.files import digest_of, read_json, write_json
from satsynth.work.ignore import IGNORE_INDEX

CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
CLASSES, SIDE = 4, 32
DRAWING = DiffusionDrawing(sampler="dpm_solver_2m", steps=4, sigma_max=20.0, sigma_min=0.1)
GIVEN = ("model", "real", "folder")
MIXED = TaskSettings(joint=0.25, image=0.25, mask=0.25, independent=0.25)
COMMON = DiffusionSettings(model={"noise_levels": "common"})


@pytest.fixture(scope="module")
def separate():
    return tiny.random_generator(CLASSES, tiny.SEPARATE)


def drawer_of(generator, **drawing):
    return JointDrawer(generator, SIDE, DRAWING.model_copy(update=drawing), CPU, COMPUTE)


def test_by_channel():
    found = by_channel(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 5)
    assert found[..., 0, 0].tolist() == [[1, 1, 1, 2, 2], [3, 3, 3, 4, 4]]


def test_with_equal_levels_the_model_is_that_of_one_level(separate):
    """The embedding of the second level is all that is new: without it, loss and trajectory are the paper's."""
    common = tiny.random_generator(CLASSES)
    weights = separate.denoiser.state_dict()
    common.denoiser.load_state_dict({name: weights[name] for name in common.denoiser.state_dict()})
    equal = tiny.random_generator(CLASSES, tiny.SEPARATE)
    equal.denoiser.load_state_dict(weights)
    for layer in (equal.denoiser.network.unet.class_embedding.linear_2,):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    images, masks = torch.rand(2, 3, SIDE, SIDE) * 2 - 1, torch.randint(0, CLASSES, (2, SIDE, SIDE))
    sigma, noise = torch.tensor([0.3, 5.0]), torch.randn(2, common.channels, SIDE, SIDE)
    losses = [
        joint_loss(generator, images, masks, levels, noise)[0].item()
        for generator, levels in ((common, sigma), (equal, sigma), (equal, both_levels(sigma)))
    ]
    assert losses[0] > 0
    assert losses[1] == losses[2] == pytest.approx(losses[0], rel=1e-6)
    first, second = (drawer_of(generator).draw(range(2), Request(1)) for generator in (common, equal))
    assert np.abs(first[0].astype(int) - second[0]).max() <= 1
    assert np.mean(first[1] != second[1]) < 1e-3


def test_each_part_is_noisy_by_its_own_level(separate):
    seen = {}

    class Recorder(torch.nn.Module):
        preconditioning = separate.denoiser.preconditioning

        def forward(self, noisy, sigma):
            seen.update(noisy=noisy, sigma=sigma)
            return torch.zeros_like(noisy)

    generator = separate.with_denoiser(Recorder())
    images, masks = torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64)
    levels, noise = torch.tensor([[0.5, CLEAN], [UNKNOWN, 2.0]]), torch.randn(2, generator.channels, 8, 8)
    _, parts = joint_loss(generator, images, masks, levels, noise)
    clean = generator.join(images, masks)
    torch.testing.assert_close(seen["noisy"][0, :3], clean[0, :3] + 0.5 * noise[0, :3])
    torch.testing.assert_close(seen["noisy"][0, 3:], clean[0, 3:] + CLEAN * noise[0, 3:])
    torch.testing.assert_close(seen["noisy"][1, 3:], clean[1, 3:] + 2.0 * noise[1, 3:])
    weight = generator.denoiser.preconditioning.weight(torch.tensor(2.0))
    # The first mask is given, so only the second one has a loss.
    expected = weight * clean[1, 3:].square().sum() / clean[:, 3:].numel()
    assert parts["loss_label"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_tasks_have_their_shares_and_levels():
    found = torch.cat([draw_levels(NoiseSettings(), MIXED, 16, seeded(0, i)) for i in range(200)])
    image, label = found.T
    kinds = {
        "joint": image == label,
        "image": label == CLEAN,
        "mask": image == UNKNOWN,
        "independent": (image != label) & (label != CLEAN) & (image != UNKNOWN),
    }
    assert sum(kinds.values()).tolist() == [1] * len(found)
    # Each batch of 16 has four of each.
    assert {name: kind.sum().item() for name, kind in kinds.items()} == dict.fromkeys(kinds, 800)
    for part in (image[~kinds["mask"]], label[~kinds["image"]]):
        assert part.log().mean().item() == pytest.approx(NoiseSettings().mean, abs=0.1)
    rows = found[kinds["independent"]].log()
    assert abs(torch.corrcoef(rows.T)[0, 1].item()) < 0.1


def test_joint_training_alone_draws_what_it_drew_with_one_level():
    levels = draw_levels(NoiseSettings(), TaskSettings(), 8, seeded(5))
    assert torch.equal(levels, both_levels(draw_sigmas(NoiseSettings(), 8, seeded(5))))


@pytest.mark.parametrize("ignored", [False, True])
def test_a_painted_pair_keeps_its_mask_and_depends_on_it(separate, ignored):
    masks = np.random.default_rng(0).integers(0, CLASSES, (4, SIDE, SIDE), np.uint8)
    if ignored:
        masks[:, :8] = IGNORE_INDEX
    before = masks.copy()
    drawer = drawer_of(separate)
    images = drawer.paint(range(4), masks, 0)
    assert np.array_equal(masks, before)
    assert images.shape == (4, SIDE, SIDE, 3)
    later = drawer.paint(range(2, 4), masks[2:], 0)
    assert np.abs(images[2:].astype(int) - later).max() <= 1
    assert np.abs(images.astype(int) - drawer.paint(range(4), masks[::-1].copy(), 0)).mean() > 1
    assert np.abs(images.astype(int) - drawer.paint(range(4), masks, 1)).mean() > 1


@pytest.mark.parametrize("clip", [False, True])
def test_guidance_goes_on_from_the_image_alone_through_that_given_its_mask(separate, clip):
    """On a network that is a function of its inputs known by hand."""
    seen = []

    class Known(torch.nn.Module):
        def forward(self, noisy, sigma):
            seen.append(sigma)
            return noisy + noisy[:, 3:4] * 0.1

    generator = separate.with_denoiser(Known())
    masks, noisy = torch.randint(0, CLASSES, (2, 8, 8)), torch.randn(2, 3, 8, 8)
    untold, sigma = torch.randn(2, generator.channels - 3, 8, 8), torch.tensor([0.5, 3.0])
    found = generator.paint(masks, clip, 3.0, untold)(noisy, sigma)
    with_mask = noisy + generator.code.encode(masks)[:, :1] * 0.1
    alone = noisy + untold[:, :1] * UNKNOWN * 0.1
    if clip:
        with_mask, alone = with_mask.clamp(-1, 1), alone.clamp(-1, 1)
    expected = alone + 3 * (with_mask - alone)
    torch.testing.assert_close(found, expected.clamp(-1, 1) if clip else expected)
    torch.testing.assert_close(seen[0], torch.tensor([[0.5, CLEAN], [3.0, CLEAN]]))
    torch.testing.assert_close(seen[1], torch.tensor([[0.5, UNKNOWN], [3.0, UNKNOWN]]))
    assert torch.equal(generator.paint(masks, clip)(noisy, sigma), with_mask) and len(seen) == 3


def test_guided_images_depend_on_their_numbers_and_masks_only(separate):
    masks = np.random.default_rng(0).integers(0, CLASSES, (4, SIDE, SIDE), np.uint8)
    plain, guided = drawer_of(separate), drawer_of(separate, guidance=2.0)
    images = guided.paint(range(4), masks, 0)
    assert np.abs(images[2:].astype(int) - guided.paint(range(2, 4), masks[2:], 0)).max() <= 1
    assert np.abs(images.astype(int) - plain.paint(range(4), masks, 0)).mean() > 1


@pytest.mark.parametrize("smallest", [0, 20])
def test_masks_first_gives_the_images_painted_from_them(separate, smallest):
    drawer, sampling = drawer_of(separate), SamplingSettings(layouts="model", seed=2, smallest_region=smallest)
    images, masks = draw_batch(drawer, range(3), sampling)
    raw = drawer.lay_out(range(3), 2)
    # What is too small is gone before the image is painted.
    assert np.array_equal(masks, np.stack([without_small_regions(mask, smallest) for mask in raw]))
    assert np.array_equal(masks, raw) == (smallest == 0)
    assert np.array_equal(images, drawer.paint(range(3), masks, 2))
    assert len(np.unique(masks)) > 1
    shifted = draw_batch(drawer, range(1, 4), sampling)
    assert np.mean(masks[1:] != shifted[1][:2]) < 1e-3


def test_a_given_mask_says_what_the_image_shows(train_tiny, tmp_path):
    """Brightness tells the class in the training pairs, so after some training it does in painted images."""
    saved = train_tiny(
        tmp_path,
        images=300,
        model=tiny.SEPARATE,
        tasks=TaskSettings(joint=0.1, image=0.6, independent=0.3),
        checkpoint_seconds=60,
    )
    generator = load_generator(saved, CPU)
    masks = np.random.default_rng(1).integers(0, CLASSES, (4, 4, 4), np.uint8).repeat(8, 1).repeat(8, 2)
    spreads = []
    for guidance in (1.0, 2.0):
        images = drawer_of(generator, sigma_max=80.0, steps=12, guidance=guidance).paint(range(4), masks, 0)
        means = [images[masks == k].mean() for k in range(CLASSES)]
        assert means == sorted(means)
        spreads.append(means[-1] - means[0])
    assert spreads[0] > 60
    assert spreads[1] > spreads[0] + 5, "guidance shows the mask more"


def test_a_generator_of_one_level_refuses_to_paint_and_to_draw_masks(random_generator):
    drawer = drawer_of(random_generator)
    masks = np.zeros((1, SIDE, SIDE), np.uint8)
    for refused in (
        lambda: drawer.paint([0], masks, 0),
        lambda: drawer.lay_out([0], 0),
        *(lambda layouts=layouts: FAMILY.require_layouts(COMMON, layouts) for layouts in GIVEN),
        lambda: draw_batch(drawer, [0], SamplingSettings(layouts="model")),
    ):
        with pytest.raises(SatSynthError, match="one noise level in common") as caught:
            refused()
        assert "`diffusion.model.noise_levels: separate`" in caught.value.remedy
    FAMILY.require_layouts(COMMON, "joint")
    for layouts in ("joint", *GIVEN):
        FAMILY.require_layouts(DiffusionSettings(model=tiny.SEPARATE), layouts)


def test_guidance_is_refused_where_nothing_is_painted():
    guided = DiffusionSettings(model=tiny.SEPARATE, drawing={"guidance": 1.5})
    for layouts in GIVEN:
        FAMILY.require_layouts(guided, layouts)
    only_given = guided.model_copy(update={"tasks": TaskSettings(joint=0, image=0.8, mask=0.2)})
    with pytest.raises(SatSynthError, match="never learns from an image whose mask is noisy"):
        FAMILY.require_layouts(only_given, "real")
    with pytest.raises(SatSynthError, match=r"`drawing.guidance` 1.5 .*drawn together") as caught:
        FAMILY.require_layouts(guided, "joint")
    assert "`sampling.layouts: real`" in caught.value.remedy
    with pytest.raises(ValidationError, match="guidance"):
        DiffusionDrawing(guidance=0.5)


@pytest.mark.parametrize(
    ("tasks", "refused"),
    [
        ({"joint": 1, "image": 0, "mask": 0, "independent": 0}, {"model", "real", "folder"}),
        ({"joint": 0, "image": 0.5, "mask": 0.5, "independent": 0}, {"joint"}),
        ({"joint": 0.5, "image": 0.5, "mask": 0, "independent": 0}, {"model"}),
        ({"joint": 0, "image": 0, "mask": 0, "independent": 1}, set()),
    ],
)
def test_layouts_that_a_generator_never_learns_to_draw_by_are_refused(tasks, refused):
    settings = DiffusionSettings(model=tiny.SEPARATE, tasks=tasks)
    for layouts in ("joint", "model", "real", "folder"):
        if layouts in refused:
            with pytest.raises(SatSynthError, match=rf"`sampling.layouts: {layouts}` draws by what .* never learns"):
                FAMILY.require_layouts(settings, layouts)
        else:
            FAMILY.require_layouts(settings, layouts)


def test_pairs_drawn_before_there_was_guidance_are_those_without():
    assert "guidance" not in DiffusionDrawing().identity()
    assert DiffusionDrawing(guidance=1.5).identity()["guidance"] == 1.5


def test_a_generator_saved_before_levels_could_differ_has_one_in_common(trained, tmp_path):
    manifest = read_json(trained.path / "manifest.json")
    assert manifest["model"].pop("noise_levels") == "common"
    for file in trained.path.glob("*.safetensors"):
        (tmp_path / file.name).hardlink_to(file)
    del manifest["digest"]
    write_json(tmp_path / "manifest.json", {**manifest, "digest": digest_of(manifest)})
    assert not load_generator(type(trained)(tmp_path), CPU).separate


def test_tasks_add_up_to_one_and_need_separate_levels():
    with pytest.raises(ValidationError, match=r"add up to 0\.9"):
        TaskSettings(joint=0.5, image=0.4)
    assert DiffusionSettings().tasks.image > 0 and COMMON.tasks == TaskSettings(joint=1)
    with pytest.raises(ValidationError, match=r"`tasks\.joint` must be 1 and all others 0, but it is 0\.25"):
        DiffusionSettings(model=COMMON.model, tasks=MIXED)
    assert DiffusionSettings(model=tiny.SEPARATE, tasks=MIXED).tasks == MIXED
