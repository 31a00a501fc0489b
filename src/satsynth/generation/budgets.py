"""Equal budgets for families of generators: in images, or in seconds by a speed that is measured once."""

from __future__ import annotations

import logging

import pandas as pd

from satsynth.generation.families import Family, FamilySettings
from satsynth.generation.settings import BudgetSettings
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step
from satsynth.work.remembered import remembered_table
from satsynth.work.workspace import Workspace

RESULT_VERSION = 1
ANY = 1000
log = logging.getLogger(__name__)


def with_budget(
    family: Family,
    settings: FamilySettings,
    budget: BudgetSettings,
    tiles: PairStore,
    compute: ComputeSettings,
    workspace: Workspace,
) -> FamilySettings:
    """Return the parameters of a family with its share of the budget; a family that trains nothing keeps its own.

    Where there is a budget, no family starts from weights that `start_from: auto` would find.

    Args:
        family: The family.
        settings: Its parameters.
        budget: What each family may cost.
        tiles: Real pairs, for their size and number of classes.
        compute: Where.
        workspace: Where the measured speed is kept, so that a later run has the same number of images.
    """
    if settings.budget is None:
        return settings
    if budget.seconds is None:
        return settings if budget.images is None else settings.unaided().with_budget(budget.images)
    settings = settings.unaided()
    rate = _seconds_an_image(family, settings, tiles, compute, workspace)
    images = max(1, int(budget.seconds / rate))
    log.info("%s: %d images are %g seconds, measured at %.4f s each", family.name, images, budget.seconds, rate)
    return settings.with_budget(images)


def _seconds_an_image(
    family: Family, settings: FamilySettings, tiles: PairStore, compute: ComputeSettings, workspace: Workspace
) -> float:
    """Return the seconds that training takes for each image, measured the first time that they are asked for."""
    from satsynth.training.device import arithmetic

    classes, side = len(tiles.class_names), tiles.tile_size

    def measure() -> tuple[pd.DataFrame, dict[str, float | None]]:
        return pd.DataFrame(), {"seconds": family.seconds_an_image(settings, classes, side, compute)}

    # Whatever the present budget is.
    decided = settings.with_budget(ANY).training_identity()
    decided |= {"family": [family.name, family.training_version], **arithmetic(compute)}
    step = Step("training_speed", RESULT_VERSION, digests(tiles=tiles), decided)
    return float(remembered_table(workspace, step, measure)[1]["seconds"])
