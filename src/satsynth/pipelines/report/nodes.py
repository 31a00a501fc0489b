"""The report that answers what the synthetic pairs are worth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report import labels
from satsynth.analysis.report import sections as report
from satsynth.analysis.report.kept import KeptSection
from satsynth.analysis.report.page import Section, report_html
from satsynth.analysis.report.tables import run_table
from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.verdict import verdict
from satsynth.datasets.description import DatasetDescription
from satsynth.diffusion.starting_points import start_named
from satsynth.generation.saved import SavedGenerator
from satsynth.pairs.labels import LABELS
from satsynth.pairs.store import PairStore
from satsynth.segmentation.saved import SavedNetwork
from satsynth.work.ancestry import digests
from satsynth.work.finished import Finished

log = logging.getLogger(__name__)


def write_report(
    description: DatasetDescription,
    tiles: PairStore,
    generator: SavedGenerator,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    segmentation_summary: pd.DataFrame,
    segmentation_runs: pd.DataFrame,
    class_gains: pd.DataFrame,
    untrusted_pixels: pd.DataFrame,
    network_comparison: pd.DataFrame,
    augmentation_comparison: pd.DataFrame,
    class_distribution: pd.DataFrame,
    class_adjacency: pd.DataFrame,
    fidelity: pd.DataFrame,
    alignment: dict[str, Any],
    memorisation: dict[str, Any],
    ratio_curve: go.Figure,
    class_gain_plot: go.Figure,
    class_distribution_plot: go.Figure,
    spectrum_plot: go.Figure,
    color_plot: go.Figure,
    pair_gallery: np.ndarray,
    closest_pairs: np.ndarray,
    generator_findings: KeptSection | None,
    label_findings: KeptSection | None,
    lineage: dict[str, Any],
) -> str:
    """Write the report: the verdict in words, then everything that it rests on.

    Args:
        description: The data set.
        tiles: Real pairs.
        generator: The generator.
        synthetic_pairs: Synthetic pairs.
        judge: The network whose features are used.
        segmentation_summary: A row for each arm and ratio.
        segmentation_runs: A row for each training.
        class_gains: A row for each arm, ratio and class.
        untrusted_pixels: A row for each class, where pixels of synthetic pairs are left out.
        network_comparison: A row for each network and ratio above zero.
        augmentation_comparison: A row for each augmentation and ratio.
        class_distribution: A row for each set and class.
        class_adjacency: A row for each set and two classes.
        fidelity: A row for each set and measure.
        alignment: Metrics.
        memorisation: Metrics.
        ratio_curve: Figure.
        class_gain_plot: Figure.
        class_distribution_plot: Figure.
        spectrum_plot: Figure.
        color_plot: Figure.
        pair_gallery: Picture.
        closest_pairs: Picture.
        generator_findings: Families of generators side by side, where they were compared.
        label_findings: Budgets of labels side by side, where they were compared.
        lineage: Digests and parameters of all that the inputs rest on, as they were recorded.

    Returns:
        The page `report`.
    """
    stores: dict[str, Finished] = {
        "tiles": tiles,
        "generator": generator,
        "synthetic_pairs": synthetic_pairs,
        "judge": judge,
    }
    # Those that the inputs were made with: the present ones may be others.
    settings = lineage["settings"]
    comparison = ComparisonSettings.model_validate(settings.get("measure_fidelity", {}).get("comparison", {}))
    sections = [
        *report.segmentation(
            segmentation_summary,
            network_comparison,
            augmentation_comparison,
            ratio_curve,
            description.name,
            [*report.start_notes(start_named(generator)), *report.held_out_notes(generator.held_out_images)],
            tiles.manifest.get(LABELS),
        ),
        report.gains_by_class(class_gains, class_gain_plot, description.name),
        *report.untrusted_pixels(untrusted_pixels),
        Section(
            "Pairs", ["Chosen at even intervals, not by appearance."], images={"Real and synthetic pairs": pair_gallery}
        ),
        report.class_distribution(class_distribution, class_adjacency, class_distribution_plot),
        report.fidelity(fidelity, judge, comparison, [spectrum_plot, color_plot]),
        report.alignment(alignment, tiles.class_names),
        report.nearest_pairs(memorisation, closest_pairs),
        *_kept(
            generator_findings,
            lambda parents: parents == digests(tiles=tiles, judge=judge),
            "families of generators were compared on other tiles or by another judge",
            "rivals",
        ),
        *_kept(
            label_findings,
            lambda parents: labels.fits(parents, tiles.digest, segmentation_summary),
            "budgets of labels were compared on other tiles or by other trainings",
            "labels",
        ),
        Section("All trainings", [], [run_table(segmentation_runs)]),
        report.origin(description.title, description.licence, stores, lineage),
    ]
    answer = verdict(segmentation_summary, class_gains, fidelity, alignment, memorisation)
    page = report_html(description.title, answer, sections)
    log.info("Report: the verdict and %d sections, %.1f MB", len(sections), len(page.encode()) / 1e6)
    return page


def _kept(
    findings: KeptSection | None, fits: Callable[[Mapping[str, str]], bool], otherwise: str, pipeline: str
) -> list[Section]:
    """Return the section of another pipeline, where it was made and what it rests on fits the inputs of the report."""
    if findings is None:
        return []
    if not fits(findings.parents):
        log.warning("Report: %s, which is left out. Compare them again: kedro run --pipeline=%s", otherwise, pipeline)
        return []
    return [findings.section]
