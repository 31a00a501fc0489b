"""The report that answers what the synthetic pairs are worth."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report.page import Section, report_html
from satsynth.analysis.report.paper import NOTE, gain_note, paper_table
from satsynth.analysis.statistics.verdict import verdict
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FamilySettings
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.families import takes_families
from satsynth.pipelines.parameters import ComparisonSettings
from satsynth.pipelines.report import tables
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import Finished

log = logging.getLogger(__name__)


@takes_families
def write_report(
    description: DatasetDescription,
    tiles: PairStore,
    generator: SavedGenerator,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    segmentation_summary: pd.DataFrame,
    segmentation_runs: pd.DataFrame,
    class_gains: pd.DataFrame,
    network_comparison: pd.DataFrame,
    augmentation_comparison: pd.DataFrame,
    class_distribution: pd.DataFrame,
    class_adjacency: pd.DataFrame,
    fidelity: dict[str, Any],
    alignment: dict[str, Any],
    memorisation: dict[str, Any],
    ratio_curve: go.Figure,
    class_gain_plot: go.Figure,
    class_distribution_plot: go.Figure,
    spectrum_plot: go.Figure,
    color_plot: go.Figure,
    pair_gallery: np.ndarray,
    closest_pairs: np.ndarray,
    tiling: TilingSettings,
    generation: GenerationSettings,
    sampling: SamplingSettings,
    comparison: ComparisonSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    **families: FamilySettings,
) -> str:
    """Write the report: the verdict in words, then all that it rests on.

    Args:
        description: The data set.
        tiles: Real pairs.
        generator: The generator.
        synthetic_pairs: Synthetic pairs.
        judge: The network that lends its features.
        segmentation_summary: A row for each arm and ratio.
        segmentation_runs: A row a training.
        class_gains: A row for each arm, ratio and class.
        network_comparison: A row for each network and ratio above zero.
        augmentation_comparison: A row for each augmentation and ratio.
        class_distribution: A row for each set and class.
        class_adjacency: A row for each set and two classes.
        fidelity: Metrics.
        alignment: Metrics.
        memorisation: Metrics.
        ratio_curve: Figure.
        class_gain_plot: Figure.
        class_distribution_plot: Figure.
        spectrum_plot: Figure.
        color_plot: Figure.
        pair_gallery: Picture.
        closest_pairs: Picture.
        tiling: Parameters.
        generation: Parameters.
        sampling: Parameters.
        comparison: Parameters.
        segmentation: Parameters.
        compute: Parameters.
        families: Parameters of each family of generators.

    Returns:
        The page `report`.
    """
    stores: dict[str, Finished] = {
        "tiles": tiles,
        "generator": generator,
        "synthetic_pairs": synthetic_pairs,
        "judge": judge,
    }
    models = {
        "tiling": tiling,
        "generation": generation,
        generator.family: families[generator.family],
        "sampling": sampling,
        "comparison": comparison,
        "segmentation": segmentation,
        "compute": compute,
    }
    answer = verdict(segmentation_summary, class_gains, fidelity, alignment, memorisation)
    paper = paper_table(description.name)
    sections = [
        Section(
            "Segmentation on real test scenes",
            [
                "One confusion matrix over all test scenes; scores in percent. Intervals (95 %) are over seeds and "
                "test scenes. Model selection saw the val scenes alone.",
                NOTE if paper is not None else "The paper has no figures on this data set.",
            ],
            [tables.score_table(segmentation_summary), *([paper] if paper is not None else [])],
            [ratio_curve],
        ),
        *tables.comparisons(network_comparison, augmentation_comparison, paper is not None),
        Section(
            "Gain by class",
            [
                "Change of IoU against R = 0, in points, with 95 % intervals; those of a class that one test scene "
                "alone has are over seeds alone.",
                gain_note(description.name),
            ],
            [tables.gain_table(class_gains)],
            [class_gain_plot],
        ),
        Section("Pairs", ["Chosen evenly, not by looks."], images={"Real and synthetic pairs": pair_gallery}),
        Section(
            "Class distribution",
            [
                "Bars and brackets: 95 % intervals from 1,000 resamples of the scenes (of the pairs, for synthetic "
                "ones). Side by side: of all neighbouring pixels of different classes, the share of these two.",
                "Shares and regions are of all tiles; Jensen-Shannon divergences to train take of val and test only "
                "those that `tiling.keep` would keep in train.",
            ],
            [tables.share_table(class_distribution, fidelity), tables.adjacency_table(class_adjacency)],
            [class_distribution_plot],
        ),
        Section(
            "Fidelity",
            [
                f"Reference: {fidelity['reference']}, {fidelity['images']['train']} images, in two halves of "
                f"{' and '.join(map(str, fidelity['halves']))}; {fidelity['tiles']}. Features: {fidelity['features']}; "
                f"no resize. Fréchet distance in {fidelity['frechet_dimensions']} dimensions; precision, recall, "
                f"density and coverage by {fidelity['neighbours']} neighbours.",
                *tables.inception_notes(fidelity),
            ],
            [tables.fidelity_table(fidelity), *tables.inception_tables(fidelity)],
            [spectrum_plot, color_plot],
        ),
        Section(
            "Do masks fit their images?",
            ["IoU of the judge's predictions with the masks."],
            [tables.alignment_table(alignment, tiles.class_names)],
        ),
        Section(
            "Nearest training pairs",
            [
                "The synthetic pairs nearest to training pairs, over the 8 symmetries of the square: first in pixels, "
                "then in the judge's features.",
            ],
            [tables.copy_table(memorisation)],
            images={"Synthetic pairs and their nearest training pairs": closest_pairs},
        ),
        Section("Every training", [], [tables.run_table(segmentation_runs)]),
        Section(
            "Origin",
            [
                f"{description.title}. Licence: {description.licence}",
                "Minutes: training or drawing pairs, without breaks; a dash where they were not noted.",
            ],
            [tables.origin_table(stores)],
            code=tables.settings_text(models),
        ),
    ]
    page = report_html(description.title, answer, sections)
    log.info("Report: the verdict and %d sections, %.1f MB", len(sections), len(page.encode()) / 1e6)
    return page
