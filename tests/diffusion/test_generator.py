import torch
from safetensors.torch import save_file

from satsynth.diffusion.generator import Generator, load_generator
from satsynth.diffusion.model_settings import GeneratorSettings
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.diffusion.training import seconds_an_image
from satsynth.generation.saved import SavedGenerator
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, work_folder
from tiny import MODEL, NETWORK

CPU = torch.device("cpu")


def test_split_undoes_join(random_generator):
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    masks = torch.randint(0, 4, (2, 8, 8))
    joint = random_generator.join(images, masks)
    assert joint.shape == (2, random_generator.channels, 8, 8)
    back = random_generator.split(joint)
    assert torch.equal(back[0], images)
    assert torch.equal(back[1], masks)


def test_saved_and_loaded_gives_the_same_output(random_generator, tmp_path):
    settings = MODEL
    manifest = {"model": settings.model_dump(mode="json"), "classes": [{"name": str(k)} for k in range(4)]}
    with work_folder(tmp_path, Step("diffusion", 1, {}, {})) as folder:
        save_file(random_generator.denoiser.state_dict(), folder.result / "ema.safetensors")
        folder.finish(manifest, ["ema.safetensors"])
    torch.manual_seed(99)
    loaded = load_generator(SavedGenerator(folder.result), CPU)
    noisy, sigma = torch.randn(2, 5, 32, 32), torch.tensor([0.2, 9.0])
    with torch.no_grad():
        expected, found = random_generator.denoiser(noisy, sigma), loaded.denoiser(noisy, sigma)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_trained_generator_loads_alike_twice(trained):
    noisy, sigma = torch.randn(2, 5, 32, 32), torch.tensor([0.2, 9.0])
    with torch.no_grad():
        first, second = (load_generator(trained, CPU).denoiser(noisy, sigma) for _ in range(2))
    assert torch.equal(first, second)
    assert first.any()


def test_one_hot_generator_has_a_channel_a_class():
    settings = GeneratorSettings(network=NETWORK, label_code="one_hot")
    made = Generator(settings, 7)
    assert made.channels == 10
    assert made.denoiser(torch.randn(1, 10, 16, 16), torch.ones(1)).shape == (1, 10, 16, 16)


def test_estimates_are_kept_in_range(random_generator):
    generator = random_generator.with_denoiser(lambda noisy, sigma: noisy)
    noisy, sigma = 10 * torch.randn(2, generator.channels, 4, 4), torch.ones(2)
    clean = generator.denoise(clip=True)(noisy, sigma)
    assert torch.equal(clean[:, :3], noisy[:, :3].clamp(-1, 1))
    scale = generator.code.scale
    assert torch.equal(clean[:, 3:], noisy[:, 3:].clamp(-scale, scale))
    assert torch.equal(generator.denoise()(noisy, sigma), noisy)


def test_only_blocks_that_share_it_draw_from_the_random_state(trained):
    before = torch.get_rng_state()
    load_generator(trained, CPU)
    settings = DiffusionSettings(model=MODEL, batch_size=2)
    seconds_an_image(settings, 4, 32, ComputeSettings(device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)
