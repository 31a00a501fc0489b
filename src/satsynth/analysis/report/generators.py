"""Families of generators side by side: the paper's Tables 1a and 1b for any data set, and their section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.measures.table import UNKNOWN, Row, rows_of, rows_table, values_of
from satsynth.analysis.report import tables
from satsynth.analysis.report.page import Section
from satsynth.analysis.report.paper import paper_distance, paper_score
from satsynth.analysis.statistics.summary import ARM, change_in_points, single_seed

SYNTHETIC = "synthetic"
# The family of rows that no generator has a share in.
REAL = "real pairs"
SPACES = ("pixels", "features")
# What the table has beside the measures of fidelity: heading, and what values are multiplied by.
BESIDE: dict[str, tuple[str, float]] = {
    "alignment.miou": ("judge agrees with masks,\nmIoU", 1),
    "alignment.accuracy": ("judge agrees with masks,\naccuracy", 1),
    "copies.pixels": ("suspiciously close\nin pixels, %", 100),
    "copies.features": ("suspiciously close\nin features, %", 100),
    "layouts.real": ("masks cut from\ntraining scenes", 1),
    "training.images": ("images trained on", 1),
    "training.seconds": ("seconds of training", 1),
    "drawing.seconds": ("seconds of drawing", 1),
}
NOTES = {
    "replay": "The pairs of `replay` are training pairs: it shows the best values that the measures can have.",
    "image_ddpm": "The masks of `image_ddpm` are the judge's own predictions: their alignment says nothing about it.",
}
PAINTED_NOTE = (
    "Masks of {} were cut anew from the training scenes and images painted for them, so measures of masks say nothing "
    "about it. `sampling.layouts: joint` draws all masks together with the images, as the paper does."
)
PAPER_NOTE = (
    "The paper's Tables 1a and 1b compare a GAN over image and mask with joint diffusion. Its figures stand beside "
    "those of this run where data set and tile size are the same; it trains far longer."
)


def comparison_rows(
    name: str,
    fidelity: pd.DataFrame,
    alignment: Mapping[str, Any],
    memorisation: Mapping[str, Any],
    work: Mapping[str, float | None],
) -> Iterator[Row]:
    """Yield all that is known of the pairs of one family.

    Args:
        name: The family.
        fidelity: The table `fidelity` of its pairs.
        alignment: Their metrics `alignment`.
        memorisation: Their metrics `memorisation`.
        work: ``layouts.real``, 1 where masks were cut anew and 0 elsewhere, ``training.images``, ``training.seconds``
            and ``drawing.seconds``; None where there is nothing known.
    """
    yield from (row._replace(set=name) for row in rows_of(fidelity[fidelity["set"] == SYNTHETIC]))
    yield from _alignment(name, alignment[SYNTHETIC])
    for space in SPACES:
        yield Row(name, f"copies.{space}", memorisation[space]["suspicious_share"])
    for measure, value in work.items():
        yield Row(name, measure, UNKNOWN if value is None else value)


def real_rows(fidelity: pd.DataFrame, alignment: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what real pairs reach, which is the same whatever the family.

    Args:
        fidelity: The table `fidelity` of any family's pairs.
        alignment: The metrics `alignment` of any family's pairs.
    """
    yield from rows_of(fidelity[fidelity["set"] != SYNTHETIC])
    yield from _alignment("val", alignment["val"])


def _alignment(name: str, scores: Mapping[str, Any]) -> Iterator[Row]:
    for score in ("miou", "accuracy"):
        yield Row(name, f"alignment.{score}", UNKNOWN if scores[score] is None else scores[score])


def comparison_table(rows: Sequence[Row], dataset: str, tile_size: int) -> pd.DataFrame:
    """Return rows as the table `generator_comparison`: ``set, measure, value, low, high, paper``.

    Args:
        rows: Rows of `comparison_rows` and `real_rows`.
        dataset: Name of the data set.
        tile_size: Side of a tile in pixels.
    """
    table = rows_table(rows)
    paper = [paper_distance(dataset, row.set, tile_size) if row.measure == "fid" else None for row in rows_of(table)]
    return table.assign(paper=pd.Series(paper, dtype="float64"))


def worth_table(
    summaries: Mapping[str, pd.DataFrame], dataset: str, networks: Mapping[str, tuple[str, str]], tile_size: int
) -> pd.DataFrame:
    """Return the table `generator_worth`: a row for each network on real pairs, and for each family, network and arm.

    Args:
        summaries: Rows of `summarise` by family, all against the same trainings on real pairs.
        dataset: Name of the data set.
        networks: Architecture and encoder by name of the network.
        tile_size: Side of a tile in pixels.

    Returns:
        ``family``, the columns of `summarise`, ``paper_miou``, ``paper_mf1`` and ``note``.
    """
    parts = [table[table["ratio"] > 0].assign(family=name) for name, table in summaries.items()]
    first = next(iter(summaries.values()))
    whole = pd.concat([first[first["ratio"] == 0].assign(family=REAL), *parts], ignore_index=True)
    paper = [
        # The paper puts only the pairs of joint diffusion to work.
        paper_score(dataset, *networks[row["network"]], tile_size, row["protocol"])
        if row["family"] == "diffusion" and row["protocol"] != "synthetic_only"
        else {}
        for _, row in whole.iterrows()
    ]
    for column in ("paper_miou", "paper_mf1", "note"):
        whole[column] = [found.get(column) for found in paper]
    leading = ["family", *ARM, "ratio"]
    return whole[[*leading, *(column for column in whole.columns if column not in leading)]]


def ranking(worth: pd.DataFrame) -> list[str]:
    """Return a sentence for each network and use of pairs: what each family changes, the best first."""
    sentences = []
    used = worth[worth["ratio"] > 0]
    for (network, protocol, ratio), part in used.groupby(["network", "protocol", "ratio"], sort=False):
        ordered = part.sort_values("difference", ascending=False, kind="stable")
        changes = (f"{row['family']} {change_in_points(dict(row))}" for _, row in ordered.iterrows())
        pairs = "synthetic pairs only" if protocol == "synthetic_only" else "real and synthetic pairs"
        sentences.append(
            f"{network}, {pairs}, R = {ratio:g}: change of mIoU against real pairs only, in points, by "
            f"{', '.join(changes)}."
        )
    return sentences


def beside_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return what the comparison has beside measures of fidelity, a row for each family, and the paper's FID."""
    found = {measure: values_of(comparison, measure) for measure in BESIDE}
    paper = comparison.dropna(subset=["paper"]).set_index("set")["paper"].to_dict()
    rows = []
    for name in dict.fromkeys(comparison["set"]):
        values = {title: scale * found[m].get(name, np.nan) for m, (title, scale) in BESIDE.items()}
        if not all(np.isnan(value) for value in values.values()):
            rows.append({"pairs of": name, **values, **({"paper's FID": paper.get(name)} if paper else {})})
    return pd.DataFrame(rows).astype(object)


def paper_worth(worth: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of `score_table`, with the paper's beside them where it has any."""
    table = tables.score_table(worth)
    if worth["paper_miou"].notna().any():
        table["paper, mIoU"] = (100 * pd.to_numeric(worth["paper_miou"])).to_numpy()
        table["note"] = worth["note"].to_numpy()
    return table


def class_table(worth: pd.DataFrame) -> pd.DataFrame:
    """Return the IoU of each class in percent, a row for each row of the worth."""
    classes = [column for column in worth.columns if column.startswith("iou_")]
    table = tables.score_table(worth)[["arm", "R"]]
    for column in classes:
        table[column.removeprefix("iou_")] = (100 * pd.to_numeric(worth[column])).round(2).to_numpy()
    return table


def generators_section(comparison: pd.DataFrame, worth: pd.DataFrame, gallery: np.ndarray) -> Section:
    """Return the section that compares families of generators.

    Args:
        comparison: The table `generator_comparison`.
        worth: The table `generator_worth`.
        gallery: The picture `generator_gallery`.
    """
    families = set(worth["family"])
    painted = [f"`{name}`" for name, value in values_of(comparison, "layouts.real").items() if value == 1]
    text = [
        "Each family was trained, drew the same number of pairs, and went through the same measures and trainings. Val "
        "shows what real images of other scenes reach.",
        *ranking(worth),
        *single_seed(worth),
        "Where intervals of two families overlap, these trainings do not show which family is better. This holds for "
        "these generators, the pairs drawn from them, and this test area.",
        *(note for name, note in NOTES.items() if name in families),
        *([PAINTED_NOTE.format(" and ".join(painted))] if painted else []),
        PAPER_NOTE,
    ]
    found = [paper_worth(worth), class_table(worth), tables.fidelity_table(comparison), beside_table(comparison)]
    return Section("Families of generators side by side", text, found, images={"Pairs of each family": gallery})
