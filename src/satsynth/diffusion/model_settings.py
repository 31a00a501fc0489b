"""Parameters of a network and of what it predicts: all that is needed to build a trained generator again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from satsynth.work.frozen import Frozen

Width = Annotated[int, Field(ge=8, le=8192)]


class NetworkSettings(Frozen):
    """The U-Net behind a space-to-depth stem."""

    stem: int = Field(
        default=4,
        description="Side in pixels of the patch that becomes one position; 1 is full resolution.",
        ge=1,
        le=16,
    )
    widths: tuple[Width, ...] = Field(
        default=(32, 64, 128),
        description="Channels at each resolution, each a multiple of 8.",
        min_length=2,
        max_length=10,
    )
    layers: int = Field(default=1, description="Residual blocks at each resolution.", ge=1, le=32)
    attention: bool = Field(default=True, description="Self-attention at the lowest resolution.")

    patch_kernel: Literal[1, 3] = Field(
        default=1, description="Side of the convolutions that take patches in and give them out."
    )
    head: int = Field(
        default=16,
        ge=0,
        le=1024,
        description="Channels of a small network at full resolution behind the U-Net, which also sees the noisy pair; "
        "0 for none.",
    )

    @model_validator(mode="after")
    def _groups(self) -> NetworkSettings:
        if any(width % 8 for width in self.widths):
            raise ValueError(
                f"`widths` {list(self.widths)} must be multiples of 8, the number of groups in normalisation"
            )
        return self


class GeneratorSettings(Frozen):
    """What a trained generator is: all that is needed to build it again."""

    network: NetworkSettings = NetworkSettings()
    noise_levels: Literal["common", "separate"] = Field(
        default="common",
        description="`common`: image and mask are equally noisy, as in the paper. `separate`: each has a noise level "
        "of its own, so that one can be drawn given the other; `diffusion.tasks` then says what is trained.",
    )
    label_code: Literal["bits", "one_hot", "none"] = Field(
        default="one_hot",
        description="How a class index becomes channels; `none` in the family `image_ddpm`, which has none.",
    )
    label_scale: float = Field(default=0.5, description="Amplitude of label channels; images reach 1.", gt=0, le=100)
    preconditioning: Literal["clean", "edm", "ddpm_epsilon", "ddpm_clean"] = Field(
        default="clean", description="What the network is given and predicts; those of DDPM have its 1000 noise levels."
    )
