"""satsynth from a plain script: train, draw, measure, evaluate.

All of it is offered by `import satsynth`. What takes long is done once: it is kept in `data/.work` of a project, found
again by its inputs and parameters, shared with the runs of that project, and continued after an interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.summary import summarise
from satsynth.generation.drawers import LayoutDrawer, Request
from satsynth.generation.families import FAMILIES, FamilySettings, family_of
from satsynth.generation.sampling import NUMBER, sample_pairs, sampling_step
from satsynth.generation.saved import REPAIR, SavedGenerator, require_unseen
from satsynth.generation.settings import SamplingSettings
from satsynth.generation.training import train_generator, training_step
from satsynth.measuring import detectable_difference, measured_fidelity
from satsynth.pairs.store import PairStore
from satsynth.segmentation import grid
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import require_parent
from satsynth.work.checking import checked
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import alike
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace


def train(
    tiles: PairStore,
    family: str = "diffusion",
    project: Path | str = ".",
    compute: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> SavedGenerator:
    """Train a generator on the training pairs of a store, or find it trained.

    Args:
        tiles: Real pairs.
        family: Family of generators: `diffusion`, `cascade`, `image_ddpm`, `gan`, `replay` or `folder`.
        project: Folder below whose ``data/.work`` the work is kept.
        compute: Parameters of the group `compute`, such as ``{"device": "cpu"}``.
        parameters: Parameters of the family that differ from its defaults, such as ``images=20000``.

    Raises:
        SatSynthError: There is no such family, or the tiles do not fit it.
    """
    if family not in FAMILIES:
        raise SatSynthError(f"There is no family of generators '{family}'.", f"There are: {', '.join(FAMILIES)}.")
    maker, workspace = family_of(family), Workspace(project=str(project))
    settings, where = checked(family, maker.settings, parameters), _where(compute)
    done = remembered(
        workspace,
        training_step(maker, settings, tiles, where),
        lambda folder: train_generator(folder, maker, settings, tiles, where, workspace.work),
    )
    return SavedGenerator(done.result)


def draw(
    generator: SavedGenerator,
    numbers: Sequence[int],
    seed: int = 0,
    compute: Mapping[str, Any] | None = None,
    **drawing: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs by their numbers, image and mask together.

    Args:
        generator: The generator.
        numbers: B pair numbers from 0; pair i depends only on (seed, i) and the kind of device.
        seed: Seed of the set.
        compute: Parameters of the group `compute`.
        drawing: Drawing parameters of the generator's family that differ from its defaults, such as ``steps=40``.

    Returns:
        Images ``(B, H, W, 3)`` uint8 RGB and masks ``(B, H, W)`` uint8 of class indices.
    """
    settings = _with_drawing(generator, drawing, "joint")
    drawer = family_of(generator.family).load(generator, settings, _where(compute))
    return drawer.draw(numbers, Request(seed))


def paint(
    generator: SavedGenerator,
    masks: np.ndarray,
    numbers: Sequence[int] | None = None,
    seed: int = 0,
    compute: Mapping[str, Any] | None = None,
    **drawing: Any,
) -> np.ndarray:
    """Draw an image for each of some masks.

    Args:
        generator: The generator; its image and mask must have noise levels of their own.
        masks: ``(B, H, W)`` uint8 of class indices, of the size of the generator's tiles; 255 = not known.
        numbers: B numbers, 0 to B - 1 if left out; image i depends only on (seed, number i, mask i) and the device.
        seed: Seed of the set.
        compute: Parameters of the group `compute`.
        drawing: Drawing parameters of the generator's family that differ from its defaults.

    Returns:
        ``(B, H, W, 3)`` uint8 RGB.

    Raises:
        SatSynthError: The generator cannot draw an image for a mask.
    """
    settings = _with_drawing(generator, drawing, "folder")
    drawer = family_of(generator.family).load(generator, settings, _where(compute))
    assert isinstance(drawer, LayoutDrawer)
    return drawer.paint(range(len(masks)) if numbers is None else numbers, masks, seed)


def sample(
    generator: SavedGenerator,
    tiles: PairStore,
    project: Path | str = ".",
    compute: Mapping[str, Any] | None = None,
    drawing: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> PairStore:
    """Draw a set of synthetic pairs into a store, or find it drawn.

    Args:
        generator: The generator.
        tiles: The real pairs that it was trained on.
        project: Folder below whose ``data/.work`` the work is kept.
        compute: Parameters of the group `compute`.
        drawing: Drawing parameters of the generator's family that differ from its defaults.
        parameters: Parameters of the group `sampling`, such as ``ratio=1``; ``layouts: auto`` is ``joint`` here.

    Raises:
        AncestryError: The generator was trained on other tiles, or on a scene of val or test.
    """
    require_unseen(generator, tiles)
    require_parent(generator, "generator", tiles, "tiles", REPAIR)
    sampling = checked("sampling", SamplingSettings, parameters).settled(paints=False)
    family, settings = family_of(generator.family), _with_drawing(generator, drawing or {}, sampling.layouts)
    if sampling.layouts in ("real", "folder"):
        raise SatSynthError(
            f"`layouts` is `{sampling.layouts}`, which needs the description of the data set.",
            "Run `kedro run --pipeline=sampling`, or paint masks of your own by `satsynth.paint`.",
        )
    where = _where(compute)
    step = sampling_step(generator, family, settings, sampling, tiles, where)
    done = remembered(
        Workspace(project=str(project)),
        step,
        lambda folder: sample_pairs(
            folder, generator, settings, sampling, step.settings[NUMBER], where, alike(folder, NUMBER)
        ),
        where.part,
    )
    return PairStore(done.result)


def train_judge(
    tiles: PairStore,
    project: Path | str = ".",
    compute: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> SavedNetwork:
    """Train a segmentation network on real pairs only, or find it trained; its features serve `measure`.

    Args:
        tiles: Real pairs.
        project: Folder below whose ``data/.work`` the work is kept.
        compute: Parameters of the group `compute`.
        parameters: Parameters of the group `segmentation` that differ from their defaults.

    Raises:
        SatSynthError: The tiles do not fit the network.
    """
    settings, where = checked("segmentation", SegmentationSettings, parameters), _where(compute)
    return grid.train_judge(tiles, settings, where, Workspace(project=str(project)))


def measure(
    tiles: PairStore,
    synthetic: PairStore,
    judge: SavedNetwork,
    project: Path | str = ".",
    compute: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> pd.DataFrame:
    """Measure how close synthetic pairs are to real ones, beside how close real pairs are to one another.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs.
        judge: The network whose features are used, of `train_judge`.
        project: Folder below whose ``data/.work`` the work is kept.
        compute: Parameters of the group `compute`.
        parameters: Parameters of the group `comparison` that differ from their defaults.

    Returns:
        The table ``set, measure, value, low, high``; the sets are ``synthetic``, ``val``, ``test`` and
        ``train_halves``, two halves of the training scenes against each other.

    Raises:
        AncestryError: The synthetic pairs or the judge were made from other tiles.
    """
    comparison, where = checked("comparison", ComparisonSettings, parameters), _where(compute)
    return measured_fidelity(tiles, synthetic, judge, comparison, where, Workspace(project=str(project)))


@dataclass(frozen=True)
class Evaluation:
    """What synthetic pairs are worth to segmentation networks.

    Args:
        trainings: A row for each training: ``network, ratio, seed, ..., miou, mf1, iou_<class>``.
        summary: A row for each network and ratio: means, standard errors, and the paired difference to R = 0 with its
            95 % interval over seeds and test scenes.
    """

    trainings: pd.DataFrame
    summary: pd.DataFrame


def evaluate(
    tiles: PairStore,
    synthetic: PairStore,
    project: Path | str = ".",
    compute: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Evaluation:
    """Train segmentation networks on real and on real and synthetic pairs, or find them trained, and compare them.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs.
        project: Folder below whose ``data/.work`` the work is kept.
        compute: Parameters of the group `compute`.
        parameters: Parameters of the group `segmentation` that differ from their defaults, such as ``seeds=[0, 1]``.

    Raises:
        AncestryError: The synthetic pairs were made from other tiles.
        SatSynthError: The tiles do not fit a network, or there are fewer synthetic pairs than a ratio asks for.
    """
    from satsynth.segmentation.metrics import class_iou
    from satsynth.segmentation.untrusted import used_pairs

    require_parent(synthetic, "synthetic_pairs", tiles, "tiles", "kedro run --pipeline=sampling")
    settings, where = checked("segmentation", SegmentationSettings, parameters), _where(compute)
    kept = Workspace(project=str(project))
    synthetic, _ = used_pairs(tiles, synthetic, settings, where, kept)
    finished = grid.train_grid(tiles, synthetic, settings, where, kept, foresight=detectable_difference)
    trainings = grid.training_table(finished)
    return Evaluation(trainings, summarise(trainings, grid.confusion_table(finished), class_iou))


def _where(compute: Mapping[str, Any] | None) -> ComputeSettings:
    return checked("compute", ComputeSettings, compute)


def _with_drawing(generator: SavedGenerator, drawing: Mapping[str, Any], layouts: str) -> FamilySettings:
    family = family_of(generator.family)
    settings = checked(generator.family, family.settings, {"drawing": dict(drawing)})
    family.require_layouts(settings, layouts)
    return settings
