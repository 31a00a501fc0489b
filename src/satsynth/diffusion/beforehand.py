"""What can be said of a training before it begins. Imported without PyTorch."""

from __future__ import annotations

import math

from satsynth.diffusion.model_settings import GeneratorSettings, NetworkSettings
from satsynth.generation.saved import SavedGenerator
from satsynth.work.errors import SatSynthError


def check_size(settings: NetworkSettings, tile_size: int, cuts: int = 1, group: str = "diffusion") -> None:
    """Refuse a tile size that the network cannot halve as often as it must.

    Args:
        settings: The network.
        tile_size: Side of a tile in pixels.
        cuts: In how many parts the side is cut in training.
        group: Its parameters, for the message.

    Raises:
        SatSynthError: The tile size is not a multiple of the stem times a power of two, and of the cuts.
    """
    factor = settings.stem * 2 ** (len(settings.widths) - 1) * cuts
    if tile_size % factor:
        # Tile sizes are multiples of 8.
        unit = math.lcm(factor, 8)
        fitting = max(unit, tile_size // unit * unit)
        crops, without = (f" with `{group}.crops`", ", or no crops") if cuts > 1 else ("", "")
        raise SatSynthError(
            f"The tile size {tile_size} is not a multiple of {factor}, which `{group}.model.network` "
            f"(stem {settings.stem}, {len(settings.widths)} widths){crops} asks for.",
            f"Set `tiling.tile_size` to {fitting}, or choose a smaller stem or fewer widths{without}.",
        )


def require_alike(settings: GeneratorSettings, saved: SavedGenerator) -> None:
    """Refuse a generator whose weights mean something else.

    Raises:
        SatSynthError: It is of another family, or predicts something else.
    """
    if saved.family != "diffusion":
        raise SatSynthError(
            f"The generator {saved.path} (`diffusion.start_from`) is of the family '{saved.family}'.",
            "Name a generator of the family 'diffusion', or leave `diffusion.start_from` out.",
        )
    theirs = saved.manifest["model"]["preconditioning"]
    if theirs != settings.preconditioning:
        raise SatSynthError(
            f"The generator {saved.path} (`diffusion.start_from`) has the preconditioning '{theirs}', this one "
            f"'{settings.preconditioning}'.",
            f"Set `diffusion.model.preconditioning: {theirs}`, or leave `diffusion.start_from` out.",
        )
