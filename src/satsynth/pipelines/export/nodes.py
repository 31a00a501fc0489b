"""Writing pairs for other tools."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from satsynth.pairs.settings import ExportSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.steps import RunSettings, digests, remembered
from satsynth.scenes.description import DatasetDescription
from satsynth.work.errors import AncestryError
from satsynth.work.finished import Finished
from satsynth.work.folder import Step

log = logging.getLogger(__name__)


def export_tiles(
    tiles: PairStore, description: DatasetDescription, export: ExportSettings, run: RunSettings
) -> Finished:
    """Write the real pairs.

    Args:
        tiles: The real pairs.
        description: The data set, whose ids or colours the masks get.
        export: In which form, and which splits.
        run: Where work is kept.

    Returns:
        The folder `tiles_export`.

    Raises:
        AncestryError: The description has other classes than the pairs.
    """
    return _exported("tiles", tiles, export.splits, description, export, run)


def export_synthetic(
    synthetic_pairs: PairStore, description: DatasetDescription, export: ExportSettings, run: RunSettings
) -> Finished:
    """Write the synthetic pairs.

    Args:
        synthetic_pairs: The synthetic pairs.
        description: The data set, whose ids or colours the masks get.
        export: In which form.
        run: Where work is kept.

    Returns:
        The folder `synthetic_export`.

    Raises:
        AncestryError: The description has other classes than the pairs.
    """
    return _exported("synthetic_pairs", synthetic_pairs, ["synthetic"], description, export, run)


def _exported(
    name: str,
    store: PairStore,
    splits: Sequence[str],
    description: DatasetDescription,
    export: ExportSettings,
    run: RunSettings,
) -> Finished:
    from satsynth.pairs.export import RESULT_VERSION, export_pairs
    from satsynth.scenes.painting import Painter

    if store.class_names != list(description.class_names):
        raise AncestryError(
            f"`{name}` ({store.path}) has the classes {store.class_names}, but the data set '{description.name}' now "
            f"has {list(description.class_names)}.",
            "Make it again: kedro run --pipeline=augment",
        )
    painter = Painter(description)
    settings = {**export.model_dump(mode="json"), "splits": list(splits), "legend": painter.legend()}
    step = Step("export", RESULT_VERSION, digests(**{name: store}), settings)
    folder = remembered(run, step, lambda work: export_pairs(work, store, splits, painter, export))
    finished = Finished(folder.result)
    log.info("Exported %s", ", ".join(f"{count} {split}" for split, count in finished.manifest["counts"].items()))
    return finished
