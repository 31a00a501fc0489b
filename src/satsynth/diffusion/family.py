"""Joint diffusion of images and masks as a family of generators; imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from satsynth.diffusion.beforehand import check_size, require_alike
from satsynth.diffusion.saved import AVERAGED
from satsynth.diffusion.settings import DenoiserSettings, DiffusionSettings, TaskSettings
from satsynth.diffusion.starting_points import fitting_start, start_of
from satsynth.generation.drawers import Drawer
from satsynth.generation.families import Report
from satsynth.generation.saved import START, SavedGenerator
from satsynth.generation.seen import Seen
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import WorkFolder

# Steps that are timed where a budget is given in seconds.
STEPS = 10


class JointDiffusion:
    """One diffusion model of images and masks together, the method of SatSynth.

    Source: Toker et al., CVPR 2024, arXiv 2403.16605.
    """

    name: ClassVar[str] = "diffusion"
    training_version: ClassVar[int] = 5
    drawing_version: ClassVar[int] = 4
    drawing_files: ClassVar[tuple[str, ...]] = (AVERAGED,)
    settings: type[DenoiserSettings] = DiffusionSettings

    def paints(self, settings: DenoiserSettings) -> bool:
        """Return whether images and masks have noise levels of their own."""
        return settings.model.noise_levels == "separate"

    def require_layouts(self, settings: DenoiserSettings, layouts: str) -> None:
        """Refuse layouts apart from images where both have one noise level in common, and guidance where none is."""
        require_drawable(layouts, self.paints(settings), settings.drawing.guidance, settings.tasks)

    def require_ready(self, settings: DenoiserSettings, side: int) -> int | None:
        """Refuse tiles that its network does not take, and a generator that it cannot start from."""
        check_size(settings.model.network, side, settings.cuts, self.name)
        start = start_of(settings)
        if start:
            require_alike(settings.model, start)
        return None

    def seconds_an_image(self, settings: DenoiserSettings, classes: int, side: int, compute: ComputeSettings) -> float:
        """Return how long training takes for each image; see `satsynth.diffusion.training.seconds_an_image`."""
        from satsynth.diffusion.training import seconds_an_image

        return seconds_an_image(settings, classes, side, compute, STEPS)

    def settled(self, settings: DenoiserSettings, tiles: PairStore) -> DenoiserSettings:
        """Return the parameters with the generator that `start_from: auto` stands for."""
        start = fitting_start(settings.start_from, settings.model, tiles)
        return settings.model_copy(update={"start_from": start})

    def sources(self, settings: DenoiserSettings) -> dict[str, str]:
        """Return the digest of the generator that its weights start from.

        Raises:
            SatSynthError: There is none in that place.
        """
        start = start_of(settings)
        return {START: start.digest} if start else {}

    def seen_before(self, settings: DenoiserSettings) -> Seen:
        """Return the scenes of the generator that its weights start from."""
        # What `auto` stands for has seen nothing that is held out.
        start = start_of(settings)
        return Seen.by(start) if start else Seen()

    def train(
        self,
        folder: WorkFolder,
        pairs: DecodedPairs,
        val: DecodedPairs,
        origin: Mapping[str, Any],
        settings: DenoiserSettings,
        compute: ComputeSettings,
        report: Report,
        unlabelled: DecodedPairs | None = None,
    ) -> None:
        """Train the denoiser; see `satsynth.diffusion.training.train_denoiser`."""
        from satsynth.diffusion.training import train_denoiser

        train_denoiser(folder, pairs, val, origin, settings, compute, report, unlabelled)

    def load(self, saved: SavedGenerator, settings: DenoiserSettings, compute: ComputeSettings) -> Drawer:
        """Return the generator in its averaged weights, on its device."""
        from satsynth.diffusion.drawing import JointDrawer
        from satsynth.diffusion.generator import load_generator
        from satsynth.training.device import choose_device

        device = choose_device(compute)
        return JointDrawer(load_generator(saved, device), saved.tile_size, settings.drawing, device, compute)


# By layouts, which tasks pairs are drawn by; `independent` stands in for each of them.
LEARNED = {"joint": ("joint",), "model": ("mask", "image"), "real": ("image",), "folder": ("image",)}


def require_drawable(layouts: str, paints: bool, guidance: float, tasks: TaskSettings) -> None:
    """Refuse what a diffusion model cannot draw.

    Args:
        layouts: `sampling.layouts`.
        paints: Whether it draws an image for a given mask.
        guidance: How much such an image is to follow its mask.
        tasks: What it learns.

    Raises:
        SatSynthError: It draws both together, and one is to be drawn given the other; it never learns what the layouts
            are drawn by; or `guidance` is not 1, and it does not paint, or has not learned how an image looks beside a
            mask that is not known.
    """
    if layouts != "joint" and not paints:
        raise common_levels(f"with `sampling.layouts: {layouts}`")
    if layouts == "joint" and guidance != 1:
        raise SatSynthError(
            f"`drawing.guidance` {guidance:g} says how much an image that is painted for a mask follows it, but image "
            "and mask are drawn together here (`sampling.layouts`).",
            "Set the family's `drawing.guidance: 1` (`diffusion.drawing.guidance`), or, where it can paint, "
            "`sampling.layouts: real`.",
        )
    never = [name for name in LEARNED[layouts] if not getattr(tasks, name) + tasks.independent]
    if paints and never:
        raise SatSynthError(
            f"`sampling.layouts: {layouts}` draws by what the generator never learns: `tasks.{never[0]}` and "
            "`tasks.independent` are 0.",
            "Give one of them a share (`diffusion.tasks`) and train again, or choose other `sampling.layouts`.",
        )
    if guidance != 1 and not tasks.joint + tasks.independent:
        raise SatSynthError(
            f"`drawing.guidance` {guidance:g} needs an estimate of the image without its mask, but with `tasks.joint` "
            "and `tasks.independent` 0 the generator never learns from an image whose mask is noisy.",
            "Set the family's `drawing.guidance: 1`, or give one of these tasks a share and train again.",
        )


def common_levels(what: str) -> SatSynthError:
    """Return the refusal to draw a mask or an image given the other from a generator that draws both together.

    Args:
        what: What was asked for, such as "for given masks".
    """
    return SatSynthError(
        f"The generator's image and mask have one noise level in common, so it cannot draw pairs {what}.",
        "Set `sampling.layouts: joint`, or train it with `diffusion.model.noise_levels: separate` and shares of "
        "`diffusion.tasks`.",
    )


FAMILY = JointDiffusion()
