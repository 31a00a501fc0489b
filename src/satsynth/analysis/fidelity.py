"""All measures of fidelity of some sets of pairs, each remembered by itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.mask_statistics import RANGE, statistic_names, within_range
from satsynth.analysis.measures.registry import Measure, all_measures
from satsynth.analysis.measures.table import values_of
from satsynth.work.folder import Step
from satsynth.work.remembered import remembered_table
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def measured(inputs: MeasureInputs) -> pd.DataFrame:
    """Return the table ``set, measure, value, low, high`` of all measures that are switched on."""
    asked = [measure for measure in all_measures() if measure.settings(inputs.comparison) is not None]
    return pd.concat([measure.table(inputs) for measure in asked], ignore_index=True)


def remembered_measures(
    inputs: MeasureInputs,
    stores: Mapping[str, str],
    features: Mapping[str, str],
    selection: Mapping[str, Any],
    workspace: Workspace,
    imagenet: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return the table of all measures that are switched on, computing only those that were not computed before.

    Args:
        inputs: The sets.
        stores: Digests of the stores that the sets come from, by name.
        features: Digests of what decides features, by name; only measures of features depend on them.
        selection: What decides which pairs of the stores are measured.
        workspace: Where work is kept.
        imagenet: Digests of what decides features of the ImageNet network, by name.

    Returns:
        The table ``set, measure, value, low, high``.
    """
    tables = []
    for measure in all_measures():
        settings = measure.settings(inputs.comparison)
        if settings is None:
            continue
        parents = dict(stores)
        for need, decided in (("features", features), ("imagenet", imagenet or {})):
            parents |= decided if need in measure.needs else {}
        step = Step(f"measure_{measure.name}", measure.version, parents, {**selection, **settings})
        tables.append(_remembered(measure, inputs, step, workspace))
    return pd.concat(tables, ignore_index=True)


def _remembered(measure: Measure, inputs: MeasureInputs, step: Step, workspace: Workspace) -> pd.DataFrame:
    def compute() -> tuple[pd.DataFrame, dict[str, Any]]:
        log.debug("Fidelity: computing %s", measure.name)
        return measure.table(inputs), {}

    return remembered_table(workspace, step, compute)[0]


def log_fidelity(table: pd.DataFrame, class_names: Sequence[str], name: str) -> None:
    """Log how close a set is to train, and which statistics of its masks differ much.

    Args:
        table: The table of all measures.
        class_names: Names in order of the class index.
        name: Name of the set.
    """
    for measure, space in (("imagenet_distance", "ImageNet features"), ("kernel_distance", "the judge's features")):
        distance = values_of(table, measure)
        if distance:
            log.info(
                "Kernel distance to train in %s: %s %.4f, val %.4f, halves of train %.4f",
                space,
                name,
                *(distance[part] for part in (name, "val", HALVES)),
            )
    names = statistic_names(class_names)
    found, train = ({key: values_of(table, key)[part] for key in names} for part in (name, REFERENCE))
    inside = within_range(found, train)
    log.info(
        "Masks: %d of %d statistics within %g-%g times those of train; outside: %s",
        sum(inside.values()),
        len(inside),
        *RANGE,
        ", ".join(key for key in names if not inside[key]) or "none",
    )
