"""The smallest generator that tests train, and one that draws more than zeros without training."""

import torch

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings

NETWORK = NetworkSettings(stem=8, widths=(16, 32), patch_kernel=3, head=0)
MODEL = GeneratorSettings(network=NETWORK, label_code="bits")

SEPARATE = MODEL.model_copy(update={"noise_levels": "separate"})


def random_generator(classes: int, model: GeneratorSettings = MODEL) -> Generator:
    """Return a generator with random weights, its last layer included."""
    torch.manual_seed(3)
    made = Generator(model, classes)
    torch.nn.init.normal_(made.denoiser.network.unet.conv_out.weight, std=0.1)
    return made
