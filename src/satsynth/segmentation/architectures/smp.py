"""Architectures of segmentation-models-pytorch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from satsynth.segmentation.architectures.architecture import Architecture
from satsynth.work.errors import ResourceError, SatSynthError

if TYPE_CHECKING:
    from torch import nn

    from satsynth.segmentation.settings import SegmentationNetwork

# Arguments that satsynth sets itself, or that would change what a network returns.
_RESERVED = {"encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params", "kwargs"}
# How it and timm refuse: encoders by KeyError, options by TypeError or ValueError, dilation by NotImplementedError, and
# channels and depths by AssertionError.
_REFUSALS = (KeyError, TypeError, ValueError, NotImplementedError, AssertionError)


@contextmanager
def smp_errors(name: str, settings: SegmentationNetwork) -> Iterator[None]:
    """Say in the user's words what segmentation-models-pytorch refuses to build.

    Args:
        name: Name of the architecture.
        settings: Which network.

    Raises:
        ResourceError: The weights cannot be downloaded.
        SatSynthError: There is no such encoder or option.
    """
    try:
        yield
    except Exception as error:
        # Some releases of huggingface_hub report a missing connection by an error that is a ValueError too.
        wrong = isinstance(error, _REFUSALS) and not isinstance(error, OSError)
        if wrong or "Unknown model" in str(error):
            raise SatSynthError(
                f"segmentation-models-pytorch cannot build {name} with the encoder {settings.encoder!r}: {error}",
                "Correct `segmentation.networks`.",
            ) from error
        if settings.weights is None:
            raise
        raise ResourceError(
            f"The weights {settings.weights!r} of the encoder {settings.encoder} cannot be downloaded: {error}",
            "Connect to the internet once (they are kept), or set `weights: null`.",
        ) from error


class SmpArchitecture(Architecture):
    """An architecture of segmentation-models-pytorch.

    Args:
        name: Its name there.
        depth: Stages of its encoder, each of which halves the image, where the option `encoder_depth` is not given.
        stride: Largest reduction by its encoder, where the option `encoder_output_stride` is not given.
        any_side: Whether its decoder fits maps of any size together.
    """

    def __init__(self, name: str, depth: int = 5, stride: int = 32, any_side: bool = False) -> None:
        super().__init__(name)
        self._depth, self._stride, self._any_side = depth, stride, any_side

    def build(self, settings: SegmentationNetwork, classes: int) -> nn.Module:
        """Build the network by `create_model`."""
        import segmentation_models_pytorch as smp

        self._check_options(settings)
        with smp_errors(self.name, settings):
            network = smp.create_model(
                self.name,
                encoder_name=settings.encoder,
                encoder_weights=settings.weights,
                classes=classes,
                **settings.options,
            )
        return cast("nn.Module", network)

    def encoder(self, network: nn.Module) -> nn.Module:
        """Return the encoder, a submodule."""
        return network.get_submodule("encoder")

    def side_multiple(self, settings: SegmentationNetwork) -> int:
        """Return by how much the encoder reduces an image."""
        depth = settings.options.get("encoder_depth", self._depth)
        stride = settings.options.get("encoder_output_stride", self._stride)
        if self._any_side or not (isinstance(depth, int) and isinstance(stride, int)):
            # `build` refuses an option of the wrong type.
            return 1
        return int(min(stride, 2**depth))

    def _check_options(self, settings: SegmentationNetwork) -> None:
        """Refuse options that the library would ignore without a word, or that the user must not set."""
        import segmentation_models_pytorch as smp

        known = set(inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[self.name]).parameters) - _RESERVED
        unknown = sorted(set(settings.options) - known)
        # Encoders of timm take options of their own, and refuse those that they do not know.
        if unknown and not settings.encoder.startswith("tu-"):
            raise SatSynthError(
                f"{self.name} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}.",
                "Correct `options` in `segmentation.networks`.",
            )
