"""The smallest generator that tests train, and one that draws more than zeros without training."""

import torch

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.settings import GeneratorSettings, NetworkSettings

NETWORK = NetworkSettings(stem=8, widths=(16, 32), patch_kernel=3, head=0)
MODEL = GeneratorSettings(network=NETWORK, label_code="bits")


def random_generator(classes: int) -> Generator:
    """Return a generator with random weights, its last layer included."""
    torch.manual_seed(3)
    made = Generator(MODEL, classes)
    torch.nn.init.normal_(made.denoiser.network.unet.conv_out.weight, std=0.1)
    return made
