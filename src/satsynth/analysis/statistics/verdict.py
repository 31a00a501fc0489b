"""The answer in words: did the synthetic pairs help, for which classes, how real are they, are they copies?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.statistics.summary import ARM, arm_title, in_words

# Of held-out images 1 % are as near; a share several times that is no accident.
MANY = 0.05


def verdict(
    summary: pd.DataFrame,
    gains: pd.DataFrame,
    fidelity: Mapping[str, Any],
    alignment: Mapping[str, Any],
    memorisation: Mapping[str, Any],
) -> dict[str, list[str]]:
    """Return sentences by question.

    Args:
        summary: Rows of `summarise`.
        gains: Rows of `gains_by_class`.
        fidelity: Metrics `fidelity`.
        alignment: Metrics `alignment`.
        memorisation: Metrics `memorisation`.
    """
    return {
        "Did they help?": in_words(summary) or ["Nothing was trained on synthetic pairs."],
        "For which classes?": _classes(gains),
        "How real are they?": [_distance(fidelity), _shares(fidelity), _agreement(alignment)],
        "Are they copies?": _copies(memorisation, fidelity["images"]["val"]),
    }


def _classes(gains: pd.DataFrame) -> list[str]:
    sentences = []
    for _, part in gains.groupby([*ARM, "ratio"], dropna=False):
        title = f"{arm_title(dict(part.iloc[0]))}, R = {part['ratio'].iloc[0]:g}"
        named = []
        for word, rows in (("gains", part[part["difference_low"] > 0]), ("loses", part[part["difference_high"] < 0])):
            for _, row in rows.iterrows():
                alone = " (in the one test scene that has it)" if row["scenes"] == 1 else ""
                named.append(f"{row['class']} {word} {100 * abs(row['difference']):.1f} points{alone}")
        sentences.append(f"{title}: {', '.join(named) or 'no class has a 95 % interval that excludes zero'}.")
    if any("points" in sentence for sentence in sentences):
        sentences.append("Of 20 classes without any change, one is named by chance.")
    return sentences


def _distance(fidelity: Mapping[str, Any]) -> str:
    found = fidelity["kernel_distance"]
    synthetic, val, halves = (found[name] for name in ("synthetic", "val", "train_halves"))
    nearer = "nearer than" if synthetic < val else "farther than"
    apart = "" if np.isnan(halves) else f"; two halves of the training scenes lie {halves:.4f} apart"
    return (
        f"In the judge's features the synthetic images lie {synthetic:.4f} from the training images (kernel distance), "
        f"{nearer} real images of val scenes ({val:.4f}){apart}."
    )


def _shares(fidelity: Mapping[str, Any]) -> str:
    found = fidelity["class_divergence"]
    return (
        f"Their class shares differ from those of train by {found['synthetic']:.4f} bit (Jensen-Shannon), "
        f"those of val, in tiles of the kind that train has, by {found['val']:.4f}."
    )


def _agreement(alignment: Mapping[str, Any]) -> str:
    synthetic, val = (
        {name: value for name, value in alignment[part]["iou"].items() if value is not None}
        for part in ("synthetic", "val")
    )
    both = [name for name in synthetic if name in val]
    if not both:
        return "No class lies both in the synthetic and in the val masks: whether masks fit cannot be compared."
    means = [np.mean([found[name] for name in both]) for found in (synthetic, val)]
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
        found = memorisation[space]
        share, limit = found["suspicious_share"], found["suspicious_below"]
        if limit == 0:
            sentences.append(
                f"In {space}, more than 1 % of {held_out} real held-out images equal a training image, so "
                "copies cannot be told from chance: look at the closest pairs."
            )
            continue
        sign = "a sign of copying" if share > MANY else "no sign of copying"
        sentences.append(
            f"In {space}, {share:.1%} of the synthetic images lie nearer to a training image than 99 % of {held_out} "
            f"real held-out images do (below {limit:.4f}): {sign}."
        )
    return sentences


def printable(value: Any) -> str:
    """Return a cell of a table as text: numbers short, what is not known as a dash."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
