"""The report that answers what the synthetic pairs are worth."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import yaml

from satsynth.analysis.paper import NOTE, paper_miou
from satsynth.analysis.report import Section, report_html
from satsynth.analysis.statistics import arm_title, change_in_points, with_error
from satsynth.analysis.verdict import verdict
from satsynth.diffusion.saved import SavedGenerator
from satsynth.diffusion.settings import DiffusionSettings, SamplingSettings
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.scenes.description import DatasetDescription, Frozen
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import Finished

LIBRARIES = ("satsynth", "torch", "diffusers", "segmentation-models-pytorch", "albumentations", "kedro", "mlflow")


def write_report(
    description: DatasetDescription,
    tiles: PairStore,
    generator: SavedGenerator,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    segmentation_summary: pd.DataFrame,
    segmentation_runs: pd.DataFrame,
    class_gains: pd.DataFrame,
    class_distribution: pd.DataFrame,
    fidelity: dict[str, Any],
    alignment: dict[str, Any],
    memorisation: dict[str, Any],
    ratio_curve: go.Figure,
    class_gain_plot: go.Figure,
    class_distribution_plot: go.Figure,
    spectrum_plot: go.Figure,
    pair_gallery: np.ndarray,
    closest_pairs: np.ndarray,
    tiling: TilingSettings,
    diffusion: DiffusionSettings,
    sampling: SamplingSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
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
        class_distribution: A row for each set and class.
        fidelity: Metrics.
        alignment: Metrics.
        memorisation: Metrics.
        ratio_curve: Figure.
        class_gain_plot: Figure.
        class_distribution_plot: Figure.
        spectrum_plot: Figure.
        pair_gallery: Picture.
        closest_pairs: Picture.
        tiling: Parameters.
        diffusion: Parameters.
        sampling: Parameters.
        segmentation: Parameters.
        compute: Parameters.

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
        "diffusion": diffusion,
        "sampling": sampling,
        "segmentation": segmentation,
        "compute": compute,
    }
    answer = verdict(segmentation_summary, class_gains, fidelity, alignment, memorisation)
    paper = paper_miou(description.name)
    sections = [
        Section(
            "Segmentation on real test scenes",
            [
                "One confusion matrix over all test scenes; scores in percent. Intervals (95 %) are over seeds and "
                "test scenes. Model selection saw the val scenes alone.",
                NOTE if paper is not None else "The paper has no figures on this data set.",
            ],
            [_scores(segmentation_summary), *([paper] if paper is not None else [])],
            [ratio_curve],
        ),
        Section(
            "Gain by class",
            ["Change of IoU against R = 0, in points, with 95 % intervals."],
            [_gains(class_gains)],
            [class_gain_plot],
        ),
        Section("Pairs", ["Chosen evenly, not by looks."], images={"Real and synthetic pairs": pair_gallery}),
        Section(
            "Class distribution",
            ["Bars: 95 % intervals from 1,000 resamples of the scenes (of the pairs, for synthetic ones)."],
            [_shares(class_distribution, fidelity)],
            [class_distribution_plot],
        ),
        Section(
            "Fidelity",
            [
                f"Reference: {fidelity['reference']}; {fidelity['tiles']}. Features: {fidelity['features']}; "
                f"no resize. Fréchet distance in {fidelity['frechet_dimensions']} dimensions; precision, recall, "
                f"density and coverage by {fidelity['neighbours']} neighbours.",
            ],
            [_fidelity(fidelity)],
            [spectrum_plot],
        ),
        Section(
            "Do masks fit their images?",
            ["IoU of the judge's predictions with the masks."],
            [_alignment(alignment, tiles.class_names)],
        ),
        Section(
            "Nearest training pairs",
            [
                "The synthetic pairs nearest to training pairs, over the 8 symmetries of the square: first in pixels, "
                "then in the judge's features.",
            ],
            [_copies(memorisation)],
            images={"Synthetic pairs and their nearest training pairs": closest_pairs},
        ),
        Section("Every training", [], [_runs(segmentation_runs)]),
        Section(
            "Origin",
            [f"{description.title}. Licence: {description.licence}"],
            [_origin(stores)],
            code=_settings(models),
        ),
    ]
    return report_html(description.title, answer, sections)


def _points(values: Any) -> pd.Series:
    return (100 * pd.to_numeric(values)).round(2)


def _arms(table: pd.DataFrame) -> pd.DataFrame:
    titles = [arm_title({str(name): value for name, value in row.items()}) for row in table.to_dict("records")]
    return pd.DataFrame({"arm": titles, "R": table["ratio"].to_numpy()})


def _scores(summary: pd.DataFrame) -> pd.DataFrame:
    table = _arms(summary)
    table["seeds"], table["test scenes"] = summary["seeds"], summary["scenes"]
    for name, title in (("miou", "mIoU"), ("mf1", "mean F1"), ("accuracy", "accuracy"), ("boundary_f1", "boundary F1")):
        table[title] = [with_error(*pair) for pair in zip(summary[name], summary[f"{name}_se"], strict=True)]
    table["mIoU against R = 0"] = [change_in_points(dict(row)) for _, row in summary.iterrows()]
    return table


def _gains(gains: pd.DataFrame) -> pd.DataFrame:
    table = _arms(gains)
    table["class"], table["share of train %"] = gains["class"], _points(gains["share"])
    for name, title in (("iou_real", "IoU at R = 0"), ("iou", "IoU")):
        table[title] = _points(gains[name])
    table["change"] = [change_in_points(dict(row)) for _, row in gains.iterrows()]
    return table


def _shares(distribution: pd.DataFrame, fidelity: dict[str, Any]) -> pd.DataFrame:
    table = distribution.pivot(index="class", columns="split", values=["pixel_share", "regions"])
    order = [name for name in ("train", "val", "test", "synthetic") if name in set(distribution["split"])]
    rows: dict[str, Any] = {"class": list(dict.fromkeys(distribution["class"]))}
    for measure, title, scale in (("pixel_share", "pixels % in", 100), ("regions", "regions a tile in", 1)):
        for split in order:
            rows[f"{title} {split}"] = (scale * table[measure][split]).reindex(rows["class"]).round(3).to_numpy()
    found = pd.DataFrame(rows).astype(object)
    for title, key in (
        ("Jensen-Shannon, shares (bit)", "class_divergence"),
        ("of what touches what", "adjacency_divergence"),
    ):
        values = {f"pixels % in {split}": fidelity[key].get(split) for split in order}
        found = pd.concat([found, pd.DataFrame([{"class": title, **values}]).astype(object)], ignore_index=True)
    return found


def _fidelity(fidelity: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for name in fidelity["kernel_distance"]:
        row = {
            "set": name.replace("train_halves", "halves of train"),
            "images": fidelity["images"].get(name),
            "kernel distance": fidelity["kernel_distance"][name],
            "Fréchet distance": fidelity["frechet_distance"][name],
            **fidelity["neighbourhoods"][name],
            "colour distance": fidelity["color_distance"].get(name),
            "spectrum distance": fidelity["spectrum_distance"].get(name),
        }
        rows.append(row)
    return pd.DataFrame(rows).astype(object)


def _alignment(alignment: dict[str, Any], class_names: Sequence[str]) -> pd.DataFrame:
    rows = [
        {
            "set": name,
            "pairs": found["pairs"],
            "accuracy": found["accuracy"],
            "mIoU": found["miou"],
            **{k: found["iou"][k] for k in class_names},
        }
        for name, found in alignment.items()
    ]
    return pd.DataFrame(rows).astype(object)


def _copies(memorisation: dict[str, Any]) -> pd.DataFrame:
    rows = [
        {
            "distance in": space,
            "median, synthetic": memorisation[space]["median_distance"],
            "median, real val": memorisation[space]["median_distance_held_out"],
            "suspicious below": memorisation[space]["suspicious_below"],
            "share below": memorisation[space]["suspicious_share"],
        }
        for space in ("pixels", "features")
    ]
    return pd.DataFrame(rows)


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    table = _arms(runs)
    for name in ("seed", "real_pairs", "synthetic_pairs", "steps", "best_step"):
        table[name.replace("_", " ")] = runs[name]
    for name, title in (("val_miou", "val mIoU"), ("miou", "test mIoU"), ("mf1", "test mean F1")):
        table[title] = _points(runs[name])
    table["seconds"] = runs["seconds"].round(1)
    return table


def _origin(stores: dict[str, Finished]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"what": name, "digest": store.digest[:16], "made from": ", ".join(store.parents)}
            for name, store in stores.items()
        ]
    )


def _settings(models: dict[str, Frozen]) -> str:
    versions = {name: version(name) for name in LIBRARIES}
    facts = {"python": platform.python_version(), "machine": platform.platform(), **versions}
    parameters = {name: model.model_dump(mode="json") for name, model in models.items()}
    return yaml.safe_dump({"versions": facts, **parameters}, sort_keys=False, width=120)
