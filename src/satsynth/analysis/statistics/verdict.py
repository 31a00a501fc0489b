"""The verdict in words: did the synthetic pairs help, for which classes, how real are they, are they copies?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.measures.inputs import HALVES
from satsynth.analysis.measures.table import Row, row_of
from satsynth.analysis.statistics.summary import ARM, arm_title, in_words, single_seed

# By construction 1 % of held-out images are as close; a share several times that is not chance.
MANY = 0.05


def verdict(
    summary: pd.DataFrame,
    gains: pd.DataFrame,
    fidelity: pd.DataFrame,
    alignment: Mapping[str, Any],
    memorisation: Mapping[str, Any],
) -> dict[str, list[str]]:
    """Return sentences by question.

    Args:
        summary: Rows of `summarise`.
        gains: Rows of `gains_by_class`.
        fidelity: The table `fidelity`, a row for each set and measure.
        alignment: Metrics `alignment`.
        memorisation: Metrics `memorisation`.
    """
    return {
        "Did they help?": in_words(summary) or ["Nothing was trained on synthetic pairs."],
        "For which classes?": [*_classes(gains), *single_seed(summary)],
        "How real are they?": [*_realism(fidelity), _distance(fidelity), _shares(fidelity), _agreement(alignment)],
        "Are they copies?": _copies(memorisation, round(row_of(fidelity, "images", "val").value)),
    }


def _classes(gains: pd.DataFrame) -> list[str]:
    sentences = []
    for _, part in gains.groupby([*ARM, "ratio"], dropna=False):
        title = f"{arm_title(dict(part.iloc[0]))}, R = {part['ratio'].iloc[0]:g}"
        changes = []
        for word, rows in (("gains", part[part["difference_low"] > 0]), ("loses", part[part["difference_high"] < 0])):
            for _, row in rows.iterrows():
                single = " (in the one test scene that has it)" if row["scenes"] == 1 else ""
                changes.append(f"{row['class']} {word} {100 * abs(row['difference']):.1f} points{single}")
        sentences.append(f"{title}: {', '.join(changes) or 'no class has a 95 % interval that excludes zero'}.")
    if any("points" in sentence for sentence in sentences):
        sentences.append("Of 20 classes without any change, one is expected to be named by chance.")
    return sentences


def _realism(fidelity: pd.DataFrame) -> list[str]:
    """Return what features that never saw the data say, where they were measured: they lead."""
    accuracy = {name: row_of(fidelity, "two_sample_accuracy", name).value for name in ("synthetic", "val")}
    if np.isnan(row_of(fidelity, "imagenet_distance", "synthetic").value):
        return []
    return [
        f"{_distance(fidelity, 'imagenet_distance', 'features of an ImageNet network that never saw the data')} A "
        f"linear test on held-out halves tells them from training images with an accuracy of "
        f"{accuracy['synthetic']:.0%}, and real images of val scenes with {accuracy['val']:.0%} (50 % is chance)."
    ]


def _distance(fidelity: pd.DataFrame, measure: str = "kernel_distance", space: str = "the judge's features") -> str:
    synthetic, val, halves = (row_of(fidelity, measure, name) for name in ("synthetic", "val", HALVES))
    less, more = sorted((synthetic, val), key=lambda row: row.value)
    closer = "closer than" if synthetic.value < val.value else "farther than"
    # The errors of independent measures add by their squares; without an interval nothing is clear.
    if not more.value - less.value > np.hypot(less.high - less.value, more.value - more.low):
        closer = "not clearly closer or farther than"
    apart = "" if np.isnan(halves.value) else f"; two halves of the training scenes are {_interval(halves)} apart"
    return (
        f"In {space} the synthetic images are {_interval(synthetic)} from the training images (kernel "
        f"distance), {closer} real images of val scenes at {_interval(val)}{apart}."
    )


def _interval(row: Row) -> str:
    return f"{row.value:.4f}" + ("" if np.isnan(row.low) else f" [{row.low:.4f}, {row.high:.4f}]")


def _shares(fidelity: pd.DataFrame) -> str:
    synthetic, val = (row_of(fidelity, "class_divergence", name).value for name in ("synthetic", "val"))
    return (
        f"Their class shares differ from those of train by {synthetic:.4f} bit (Jensen-Shannon divergence), those of "
        f"val by {val:.4f}, over tiles of the kind that train has."
    )


def _agreement(alignment: Mapping[str, Any]) -> str:
    synthetic, val = (
        {name: value for name, value in alignment[part]["iou"].items() if value is not None}
        for part in ("synthetic", "val")
    )
    both = [name for name in synthetic if name in val]
    if not both:
        return "No class is in both the synthetic and the val masks: whether masks fit cannot be compared."
    means = [np.mean([scores[name] for name in both]) for scores in (synthetic, val)]
    weak = [name for name in both if val[name] > 2 * synthetic[name]]
    fewer = f"; less than half as well for {', '.join(weak)}" if weak else ""
    missing = [name for name in val if name not in synthetic]
    without = f" No synthetic mask has {', '.join(missing)}." if missing else ""
    return (
        f"Over {', '.join(both)}, the judge, trained on real pairs, agrees with the synthetic masks at a mean IoU of "
        f"{means[0]:.3f} and with those of real val pairs at {means[1]:.3f}{fewer}.{without}"
    )


def _copies(memorisation: Mapping[str, Any], held_out: int) -> list[str]:
    sentences = []
    for space in ("pixels", "features"):
        share, limit = memorisation[space]["suspicious_share"], memorisation[space]["suspicious_below"]
        if limit == 0:
            sentences.append(
                f"In {space}, more than 1 % of {held_out} real held-out images equal a training image, so copies "
                "cannot be distinguished from chance: look at the closest pairs."
            )
            continue
        sign = "a sign of copying" if share > MANY else "no sign of copying"
        sentences.append(
            f"In {space}, {share:.1%} of the synthetic images are closer to a training image than 99 % of {held_out} "
            f"real held-out images are (below {limit:.4f}): {sign}."
        )
    return sentences
