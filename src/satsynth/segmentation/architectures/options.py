"""Options of architectures of satsynth's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from satsynth.work.errors import SatSynthError
from satsynth.work.frozen import Frozen

if TYPE_CHECKING:
    from satsynth.segmentation.settings import SegmentationNetwork

Options = TypeVar("Options", bound=Frozen)


def options_of(model: type[Options], settings: SegmentationNetwork) -> Options:
    """Return the options of a network.

    Args:
        model: Which options its architecture has.
        settings: Which network.

    Raises:
        SatSynthError: There is no such option, or it has no such value.
    """
    try:
        return model.model_validate(settings.options)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in found["loc"]) or "options"
        raise SatSynthError(
            f"{settings.architecture} cannot be built with the option {name} = {found['input']!r}: {found['msg']}. It "
            f"has {', '.join(model.model_fields)}.",
            "Correct `options` in `segmentation.networks`.",
        ) from error
