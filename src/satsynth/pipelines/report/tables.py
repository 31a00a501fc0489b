"""The report's tables."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd
import yaml

from satsynth.analysis.report.page import Section
from satsynth.analysis.report.paper import AUGMENTATION_NOTE
from satsynth.analysis.statistics.summary import arm_title, change_in_points, with_error
from satsynth.work.finished import Finished
from satsynth.work.frozen import Frozen

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
    table["mIoU against R = 0"] = [change_in_points(dict(row)) for _, row in summary.iterrows()]
    return table


def comparisons(networks: pd.DataFrame, augmentations: pd.DataFrame, published: bool) -> list[Section]:
    """Return the tables of networks and of augmentations, where there is more in them than in the first table."""
    sections = []
    if len(set(networks["network"])) > 1 or published:
        table = _arms(networks.assign(augmentation="flips"))
        for title, name in (("mIoU at R = 0", "miou_real"), ("mIoU", "miou"), ("mean F1", "mf1")):
            table[title] = _points(networks[name])
        table["change"] = [change_in_points(dict(row)) for _, row in networks.iterrows()]
        if published:
            for title, name in (("paper, real", "paper_miou_real"), ("paper", "paper_miou")):
                table[title] = _points(networks[name])
            table["note"] = networks["note"]
        sections.append(Section("Networks", ["Without and with synthetic pairs; mIoU in percent."], [table]))
    if len(set(augmentations["augmentation"])) > 1:
        table = augmentations[["network", "augmentation"]].assign(R=augmentations["ratio"])
        table["mIoU"] = [with_error(*p) for p in zip(augmentations["miou"], augmentations["miou_se"], strict=True)]
        table["against flips on real pairs"] = [change_in_points(dict(row)) for _, row in augmentations.iterrows()]
        text = "Each alone (R = 0) and together with synthetic pairs, step-matched; all but `none` flip and rotate."
        sections.append(Section("Augmentations", [text, AUGMENTATION_NOTE], [table]))
    return sections


def gain_table(gains: pd.DataFrame) -> pd.DataFrame:
    """Return IoU at R = 0 and at R of each class."""
    table = _arms(gains)
    table["class"], table["share of train %"] = gains["class"], _points(gains["share"])
    table["test scenes"] = gains["scenes"]
    for name, title in (("iou_real", "IoU at R = 0"), ("iou", "IoU")):
        table[title] = _points(gains[name])
    table["change"] = [change_in_points(dict(row)) for _, row in gains.iterrows()]
    return table


def share_table(distribution: pd.DataFrame, fidelity: dict[str, Any]) -> pd.DataFrame:
    """Return pixel shares and regions of each class by set, and the divergences to train, of comparable tiles."""
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


def adjacency_table(adjacency: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """Return which classes touch most in train, and how often in each set, in percent with intervals."""
    train = adjacency[adjacency["split"] == "train"].sort_values("share", ascending=False, kind="stable").head(most)
    couples = train[["class", "neighbour"]].reset_index(drop=True)
    table = pd.DataFrame({"side by side": couples["class"] + " and " + couples["neighbour"]})
    for split in adjacency["split"].unique():
        known = couples.merge(adjacency[adjacency["split"] == split], on=["class", "neighbour"], how="left")
        ends = zip(known["share"], known["share_low"], known["share_high"], strict=True)
        table[f"% in {split}"] = [f"{100 * a:.2f} [{100 * b:.2f}, {100 * c:.2f}]" for a, b, c in ends]
    return table


def fidelity_table(fidelity: dict[str, Any]) -> pd.DataFrame:
    """Return what every set of images is like beside train."""
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


def inception_tables(fidelity: dict[str, Any]) -> list[pd.DataFrame]:
    """Return the table of FID and inception score, if they were asked for."""
    found = fidelity["inception"]
    if found is None:
        return []
    rows = []
    for name in (*found["inception_score"], "train_halves"):
        score = found["inception_score"].get(name, {})
        row = {"set": name.replace("train_halves", "halves of train"), "images": fidelity["images"].get(name)}
        rows.append({**row, "FID": found["fid"].get(name), "inception score": score.get("mean"), "±": score.get("std")})
    return [pd.DataFrame(rows).astype(object)]


def inception_notes(fidelity: dict[str, Any]) -> list[str]:
    """Return what FID and inception score rest on."""
    found = fidelity["inception"]
    if found is None:
        return ["FID and inception score were not asked for (`comparison.inception`)."]
    note = f" {found['note'][0].upper()}{found['note'][1:]}." if found["note"] else ""
    return [
        f"FID and inception score by torch-fidelity, weights {found['weights']}, resized to {found['resize']}.{note}"
    ]


def alignment_table(alignment: dict[str, Any], class_names: Sequence[str]) -> pd.DataFrame:
    """Return how well the judge agrees with masks."""
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
    for name, title in (("val_miou", "val mIoU"), ("miou", "test mIoU"), ("mf1", "test mean F1")):
        table[title] = _points(runs[name])
    table["seconds"] = runs["seconds"].round(1)
    return table


def origin_table(stores: dict[str, Finished]) -> pd.DataFrame:
    """Return digests, parents and minutes of work, where these were noted."""
    rows = []
    for name, store in stores.items():
        minutes = None if store.seconds is None else round(store.seconds / 60, 2)
        made_from = ", ".join(store.parents)
        rows.append({"what": name, "digest": store.digest[:16], "made from": made_from, "minutes": minutes})
    return pd.DataFrame(rows).astype(object)


def settings_text(models: dict[str, Frozen]) -> str:
    """Return versions and parameters as YAML."""
    versions = {name: version(name) for name in LIBRARIES}
    facts = {"python": platform.python_version(), "machine": platform.platform(), **versions}
    parameters = {name: model.model_dump(mode="json") for name, model in models.items()}
    return yaml.safe_dump({"versions": facts, **parameters}, sort_keys=False, width=120)
