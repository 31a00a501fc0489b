"""The report's tables."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import yaml

from satsynth.analysis.measures.inputs import HALVES, REFERENCE
from satsynth.analysis.measures.registry import headings
from satsynth.analysis.measures.table import row_of, values_of
from satsynth.analysis.report.page import printable
from satsynth.analysis.statistics.summary import arm_title, change_in_points, with_error
from satsynth.work.finished import Finished

LIBRARIES = ("satsynth", "torch", "diffusers", "segmentation-models-pytorch", "albumentations", "kedro", "mlflow")


def _points(values: Any) -> pd.Series:
    return (100 * pd.to_numeric(values)).round(2)


def _arms(table: pd.DataFrame) -> pd.DataFrame:
    titles = [arm_title({str(name): value for name, value in row.items()}) for row in table.to_dict("records")]
    return pd.DataFrame({"arm": titles, "R": table["ratio"].to_numpy()})


def score_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each arm and ratio."""
    table = _arms(summary)
    table["seeds"], table["test scenes"] = summary["seeds"], summary["scenes"]
    for name, title in (("miou", "mIoU"), ("mf1", "mean F1"), ("accuracy", "accuracy"), ("boundary_f1", "boundary F1")):
        table[title] = [with_error(*pair) for pair in zip(summary[name], summary[f"{name}_se"], strict=True)]
    table["change of mIoU against R = 0"] = [change_in_points(dict(row)) for _, row in summary.iterrows()]
    # Older tables have no such columns.
    if summary.get("best_real", pd.Series(dtype=object)).notna().any():
        table["change against the best real-only arm"] = [_to_best(dict(row)) for _, row in summary.iterrows()]
    return table


def _to_best(row: Mapping[str, Any]) -> str:
    if not isinstance(row["best_real"], str):
        return ""
    return f"{change_in_points(row, 'best_difference')} ({row['best_real']})"


def network_table(networks: pd.DataFrame, published: bool) -> pd.DataFrame:
    """Return the scores of each network without and with synthetic pairs, beside the paper's where it has any."""
    table = _arms(networks.assign(augmentation="flips"))
    for title, name in (("mIoU at R = 0", "miou_real"), ("mIoU", "miou"), ("mean F1", "mf1")):
        table[title] = _points(networks[name])
    table["change"] = [change_in_points(dict(row)) for _, row in networks.iterrows()]
    if published:
        for title, name in (("paper, real", "paper_miou_real"), ("paper", "paper_miou")):
            table[title] = _points(networks[name])
        table["note"] = networks["note"]
    return table


def augmentation_table(augmentations: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each augmentation, and its difference to flips on real pairs."""
    table = augmentations[["network", "augmentation"]].assign(R=augmentations["ratio"])
    table["mIoU"] = [with_error(*p) for p in zip(augmentations["miou"], augmentations["miou_se"], strict=True)]
    table["change against flips on real pairs"] = [change_in_points(dict(row)) for _, row in augmentations.iterrows()]
    return table


def untrusted_table(untrusted: pd.DataFrame) -> pd.DataFrame:
    """Return what is removed of each class."""
    table = untrusted[["class"]].assign(**{"loss on real pairs": untrusted["real_error"], "limit": untrusted["limit"]})
    table["pixels"], table["removed"] = untrusted["pixels"], untrusted["removed"]
    table["removed %"] = _points(untrusted["share"])
    return table


def gain_table(gains: pd.DataFrame) -> pd.DataFrame:
    """Return IoU at R = 0 and at R of each class."""
    table = _arms(gains)
    table["class"], table["share of train %"] = gains["class"], _points(gains["share"])
    table["test scenes"] = gains["scenes"]
    for name, title in (("iou_real", "IoU at R = 0"), ("iou", "IoU")):
        table[title] = _points(gains[name])
    table["change"] = [change_in_points(dict(row)) for _, row in gains.iterrows()]
    return table


def share_table(distribution: pd.DataFrame) -> pd.DataFrame:
    """Return pixel shares and regions of each class by set."""
    table = distribution.pivot(index="class", columns="split", values=["pixel_share", "regions"])
    order = [name for name in ("train", "val", "test", "synthetic") if name in set(distribution["split"])]
    rows: dict[str, Any] = {"class": list(dict.fromkeys(distribution["class"]))}
    for statistic, title, scale in (("pixel_share", "pixels %", 100), ("regions", "regions per tile", 1)):
        for split in order:
            rows[f"{title}\n{split}"] = (scale * table[statistic][split]).reindex(rows["class"]).round(3).to_numpy()
    return pd.DataFrame(rows).astype(object)


def adjacency_table(adjacency: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """Return which classes touch most in train, and how often in each set, in percent with intervals."""
    train = adjacency[adjacency["split"] == "train"].sort_values("share", ascending=False, kind="stable").head(most)
    couples = train[["class", "neighbour"]].reset_index(drop=True)
    table = pd.DataFrame({"side by side": couples["class"] + " and " + couples["neighbour"]})
    for split in adjacency["split"].unique():
        known = couples.merge(adjacency[adjacency["split"] == split], on=["class", "neighbour"], how="left")
        ends = zip(known["share"], known["share_low"], known["share_high"], strict=True)
        table[f"% in {split}"] = [_percent(*row) for row in ends]
    return table


def _percent(value: float, low: float, high: float) -> str:
    return f"{100 * value:.2f}" + ("" if np.isnan(low) else f" [{100 * low:.2f}, {100 * high:.2f}]")


def fidelity_table(fidelity: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each measure that the report shows, with the value and 95 % interval of each set.

    Args:
        fidelity: The long table ``set, measure, value, low, high``.
    """
    measured = set(fidelity["measure"])
    rows = []
    for name, heading in headings().items():
        if name in measured:
            sets = {
                title: _with_interval(fidelity, name, part, heading.scale)
                for part, title in _set_titles(fidelity).items()
            }
            rows.append({"measure": heading.title, **sets, "interval over": heading.interval or "none"})
    return pd.DataFrame(rows).astype(object)


def _set_titles(fidelity: pd.DataFrame) -> dict[str, str]:
    """Return the column heading of each set: drawn pairs first, then val and test, train last."""
    images = values_of(fidelity, "images")
    titles = {name: f"{name}\n{number:.0f} images" for name, number in images.items()}
    halves = (row_of(fidelity, f"images.{half}_half", HALVES).value for half in ("first", "second"))
    reference = {HALVES: "halves of train\n{:.0f} and {:.0f}".format(*halves), REFERENCE: titles.pop(REFERENCE)}
    return {**dict(sorted(titles.items(), key=lambda item: item[0] in ("val", "test"))), **reference}


def _with_interval(fidelity: pd.DataFrame, measure: str, name: str, scale: float) -> str:
    value, low, high = (scale * number for number in row_of(fidelity, measure, name)[2:])
    return printable(value) + ("" if np.isnan(low) else f"\n[{low:.3g}, {high:.3g}]")


def alignment_table(alignment: dict[str, Any], class_names: Sequence[str]) -> pd.DataFrame:
    """Return how well the judge agrees with masks."""
    rows = [
        {
            "set": name,
            "pairs": scores["pairs"],
            "accuracy": scores["accuracy"],
            "mIoU": scores["miou"],
            **{k: scores["iou"][k] for k in class_names},
        }
        for name, scores in alignment.items()
    ]
    return pd.DataFrame(rows).astype(object)


def copy_table(memorisation: dict[str, Any]) -> pd.DataFrame:
    """Return distances to the nearest training images."""
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


def run_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every training."""
    table = _arms(runs)
    for name in ("seed", "real_pairs", "synthetic_pairs", "steps", "best_step"):
        table[name.replace("_", " ")] = runs[name]
    # Trainings of earlier versions do not say it.
    if "images" in runs:
        table["images"] = runs["images"]
        table["epochs of real pairs"] = (runs["images"] / runs["real_pairs"]).round(1)
    for name, title in (("val_miou", "val mIoU"), ("miou", "test mIoU"), ("mf1", "test mean F1")):
        table[title] = _points(runs[name])
    table["seconds"] = runs["seconds"].round(1)
    return table


def origin_table(stores: Mapping[str, Finished], digests: Mapping[str, str]) -> pd.DataFrame:
    """Return digests, parents and minutes of work, where these were recorded.

    Args:
        stores: Stores and models by their names in the catalog.
        digests: Digests of all entries, also of tables and figures, which show neither parents nor minutes.
    """
    rows = []
    for name, store in stores.items():
        minutes = None if store.seconds is None else round(store.seconds / 60, 2)
        made_from = ", ".join(store.parents)
        rows.append({"entry": name, "digest": store.digest[:16], "made from": made_from, "minutes": minutes})
    others = sorted(set(digests) - set(stores))
    rows += [{"entry": name, "digest": digests[name][:16], "made from": None, "minutes": None} for name in others]
    return pd.DataFrame(rows).astype(object)


def settings_text(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the parameters of each step, and the versions that the page is written with, as YAML."""
    versions = {name: version(name) for name in LIBRARIES}
    versions = {"python": platform.python_version(), "machine": platform.platform(), **versions}
    # Plain lists and dictionaries in an order of their own, whether this run has made the results or an earlier one.
    steps = json.loads(json.dumps({step: groups for step, groups in settings.items() if groups}, sort_keys=True))
    return yaml.safe_dump({"steps": steps, "page written with": versions}, sort_keys=False, width=120)
