from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import joint_loss
from satsynth.diffusion.settings import DiffusionSettings, ImageDiffusionSettings
from satsynth.pairs.codes import LabelCode
from satsynth.work.ignore import IGNORE_INDEX
from tiny import MODEL

IMAGES = MODEL.model_copy(update={"label_code": "none"})


def test_the_code_without_channels_says_nothing() -> None:
    code = LabelCode("none", 5, 0.5)
    masks = torch.randint(0, 5, (2, 4, 6))
    encoded = code.encode(masks)
    assert encoded.shape == (2, 0, 4, 6)
    assert torch.equal(code.decode(encoded), torch.full_like(masks, IGNORE_INDEX))


def test_the_loss_is_that_of_the_images_whatever_the_masks() -> None:
    torch.manual_seed(0)
    generator = Generator(IMAGES, 5)
    assert generator.channels == 3
    torch.nn.init.normal_(generator.denoiser.network.unet.conv_out.weight, std=0.1)
    images, noise, sigma = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16), torch.tensor([0.1, 2.0])
    masks = torch.randint(0, 5, (2, 16, 16))
    loss, parts = joint_loss(generator, images, masks, sigma, noise)
    weight = generator.denoiser.preconditioning.weight(sigma)[:, None, None, None]
    estimate = generator.denoiser(images + sigma[:, None, None, None] * noise, sigma)
    torch.testing.assert_close(loss, (weight * (estimate - images).square()).mean())
    assert set(parts) == {"loss_image"}
    assert torch.equal(joint_loss(generator, images, torch.full_like(masks, IGNORE_INDEX), sigma, noise)[0], loss)


@pytest.mark.parametrize(
    ("settings", "model", "said"),
    [
        (DiffusionSettings, {"label_code": "none"}, "the family `image_ddpm` is for"),
        (ImageDiffusionSettings, {"label_code": "bits"}, "must be `none`"),
        (ImageDiffusionSettings, {"label_code": "none", "noise_levels": "separate"}, "`separate`"),
    ],
)
def test_each_family_has_its_label_codes(settings: Any, model: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(model=model)
