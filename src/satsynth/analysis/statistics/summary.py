"""Statistics of runs: means, standard errors, paired differences to R = 0, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.statistics.intervals import UNKNOWN, Interval, PerClass, paired_interval

# What distinguishes arms, apart from R.
ARM = ["network", "augmentation", "protocol", "real_share"]
SCORES = ["miou", "mf1", "accuracy", "boundary_f1"]
# Of the order of the standard errors over seeds: less cannot be told from chance, more could be the gain that is looked
# for. The learning rate falls to zero in the last quarter, which raises mIoU by itself, so this warns rather too often.
STILL_RISING = 0.01
Row = dict[str, Any]
# The augmentation of the best arm on real pairs only, and the difference of mIoU to it with its interval.
BEST = ["best_real", "best_difference", "best_difference_low", "best_difference_high"]
NO_BEST: Row = {"best_real": None} | dict.fromkeys(BEST[1:], float("nan"))


def summarise(
    runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass, against: str | None = None
) -> pd.DataFrame:
    """Return one row for each arm and ratio.

    The difference to R = 0 of the same network and augmentation is paired by seed and test scene, with a 95 % interval
    over both (see `paired_interval`). With one seed there is no standard error (NaN).

    Args:
        runs: Table with `ARM`, ``ratio, seed``, `SCORES` and ``iou_<class>``, a row for each training; ``val_rise``,
            the rise of mIoU on val in about the last quarter of the training, where it is known.
        confusion: Table with `ARM`, ``ratio, seed, scene_id`` and ``confusion``, a flat list of K x K counts, rows =
            target; a row for each training and test scene.
        per_class: As in `paired_interval`.
        against: Augmentation of the runs at R = 0 that all arms are compared with; without, each with its own.

    Returns:
        `ARM`, ``ratio, seeds, scenes``, each score and its standard error (``<score>_se``), ``difference,
        difference_low, difference_high, seed_error, scene_error``, the mean ``iou_<class>``, the mean ``val_rise`` and
        the columns of `BEST`: at R > 0, the difference to the best arm on real pairs only, where that is another
        augmentation than the row's own.
    """
    classes = [column for column in runs.columns if column.startswith("iou_")]
    best, rows = _to_best(runs, confusion, per_class), []
    for key, part, interval, scenes in compared(runs, confusion, per_class, against):
        known = {name: pd.to_numeric(part[name]) for name in [*SCORES, *classes]}
        row: Row = {**key, "seeds": len(part), "scenes": scenes}
        for name in SCORES:
            row |= {name: known[name].mean(), f"{name}_se": standard_error(known[name].to_numpy())}
        row |= _difference(interval) | {name: known[name].mean() for name in classes}
        row["val_rise"] = pd.to_numeric(part["val_rise"]).mean() if "val_rise" in part else float("nan")
        rows.append(row | best.get(tuple(key.values()), NO_BEST))
    return pd.DataFrame(rows)


def _to_best(runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass) -> dict[tuple[Any, ...], Row]:
    """Return, by arm and ratio, the difference to the best arm on real pairs only that has another augmentation."""
    found: dict[tuple[Any, ...], Row] = {}
    real = runs[(runs["ratio"] == 0) & (runs["protocol"] == "step_matched")]
    for network, part in real.groupby("network"):
        if part["augmentation"].nunique() < 2:
            continue
        best = str(pd.to_numeric(part["miou"]).groupby(part["augmentation"]).mean().idxmax())
        own, matrices = (table[table["network"] == network] for table in (runs, confusion))
        for key, _, interval, _ in compared(own, matrices, per_class, against=best):
            if interval is not None and key["ratio"] > 0 and key["augmentation"] != best:
                values = (best, interval.difference, interval.low, interval.high)
                found[tuple(key.values())] = dict(zip(BEST, values, strict=True))
    return found


def gains_by_class(
    runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass, shares: Mapping[str, float]
) -> pd.DataFrame:
    """Return one row for each arm, ratio above zero and class: its IoU at R = 0 and at R, and the difference.

    Args:
        runs: As in `summarise`.
        confusion: As in `summarise`.
        per_class: As in `paired_interval`.
        shares: Share of real training pixels of each class, in order of the class index.

    Returns:
        `ARM`, ``ratio, class, share, scenes`` (test scenes that have the class), ``iou_real, iou, difference,
        difference_low, difference_high``; in [0, 1], NaN for a class that no test scene has.
    """
    rows = []
    for k, (name, share) in enumerate(shares.items()):

        def one(matrices: np.ndarray, k: int = k) -> np.ndarray:
            return per_class(matrices)[..., k : k + 1]

        for key, part, interval, _ in compared(runs, confusion, one):
            if interval is not None:
                iou = float(pd.to_numeric(part[f"iou_{name}"]).mean())
                row: Row = {**key, "class": name, "share": share, "scenes": interval.scenes}
                row |= {"iou_real": iou - interval.difference, "iou": iou}
                rows.append({**row, **_difference(interval)})
    columns = ["class", "share", "scenes", "iou_real", "iou", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*ARM, "ratio", *columns])


def _difference(interval: Interval | None) -> dict[str, float]:
    found = interval or UNKNOWN
    return {
        "difference": found.difference,
        "difference_low": found.low,
        "difference_high": found.high,
        "seed_error": found.seed_error,
        "scene_error": found.scene_error,
    }


def compared(
    runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass, against: str | None = None
) -> Iterator[tuple[Row, pd.DataFrame, Interval | None, int]]:
    """Yield key, runs, difference (None of what is compared with) and number of test scenes of each arm and ratio."""
    # Missing shares do not equal one another.
    known, tables = (
        table.assign(real_share=pd.to_numeric(table["real_share"]).fillna(-1)) for table in (runs, confusion)
    )
    matrices = {key: _scenes(part) for key, part in tables.groupby([*ARM, "ratio", "seed"], sort=False)}
    for values, part in known.groupby([*ARM, "ratio"], sort=True):
        key: Row = dict(zip([*ARM, "ratio"], values, strict=True))
        baseline = (key["network"], against or key["augmentation"], "step_matched", -1, 0)
        pairs = [
            (real, matrices[(*values, seed)])
            for seed in part["seed"]
            if (real := matrices.get((*baseline, seed))) is not None
        ]
        interval = None
        if tuple(values) != baseline and pairs:
            base, other = (np.stack(side) for side in zip(*pairs, strict=True))
            interval = paired_interval(base, other, per_class)
        share = None if key["real_share"] < 0 else key["real_share"]
        yield {**key, "real_share": share}, part, interval, len(matrices[(*values, part["seed"].iloc[0])])


def _scenes(part: pd.DataFrame) -> np.ndarray:
    """Return the matrices ``(G, K, K)`` of one training, in order of the scenes' names."""
    flat = np.stack(part.sort_values("scene_id")["confusion"].to_list())
    side = round(flat.shape[1] ** 0.5)
    return flat.reshape(-1, side, side)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean; NaN for fewer than two values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _rows(table: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def arm_title(row: Mapping[str, Any]) -> str:
    """Return network and what is not the default of an arm, and its family of generators, for tables and plots."""
    named = [row["network"]]
    named += [
        row[name] for name, usual in (("augmentation", "flips"), ("protocol", "step_matched")) if row[name] != usual
    ]
    if row["real_share"] is not None and not np.isnan(row["real_share"]):
        named.append(f"{row['real_share']:.0%} real")
    # Where several families of generators are compared.
    return f"{row['family']}: {' '.join(named)}" if "family" in row else " ".join(named)


def printed(summary: pd.DataFrame) -> str:
    """Return the summary as a text table, scores in percent."""
    rows = _rows(summary)
    width = max(24, *(len(arm_title(row)) for row in rows))
    lines = [f"{'network':<{width}} {'R':>4} {'seeds':>5} {'mIoU %':>15} {'mF1 %':>15}  {'difference to R = 0':<28}"]
    for row in rows:
        change = change_in_points(row)
        scores = (with_error(row[name], row[f"{name}_se"]) for name in ("miou", "mf1"))
        arm = f"{arm_title(row):<{width}} {row['ratio']:>4g} {row['seeds']:>5}"
        lines.append(f"{arm} {next(scores):>15} {next(scores):>15}  {change}".rstrip())
    return "\n".join(lines)


def with_error(mean: float, error: float) -> str:
    """Return a score in percent with its standard error; empty where it is not known."""
    if np.isnan(mean):
        return ""
    return f"{100 * mean:.2f}" + ("" if np.isnan(error) else f" ± {100 * error:.2f}")


def change_in_points(row: Mapping[str, Any], of: str = "difference") -> str:
    """Return a difference with its interval in points, by the name of its column; empty where there is none."""
    difference, low, high = (row[name] for name in (of, f"{of}_low", f"{of}_high"))
    if np.isnan(difference):
        return ""
    change = f"{100 * difference:+.2f}"
    return change if np.isnan(low) else f"{change} [{100 * low:+.2f}, {100 * high:+.2f}]"


def smallest_shown(row: Mapping[str, Any]) -> float:
    """Return the smallest difference that the interval of a row could have told from zero: its half-width."""
    return float(row["difference_high"] - row["difference_low"]) / 2


def in_words(summary: pd.DataFrame) -> list[str]:
    """Return one sentence for each ratio above zero: did the synthetic pairs help, and how certain is this?

    The last sentences say what the result depends on, and which classes were not scored.
    """
    sentences = []
    for row in _rows(summary[summary["ratio"] > 0]):
        change = f"{arm_title(row)}, R = {row['ratio']:g}: mIoU changes by {100 * row['difference']:+.2f} points"
        if np.isnan(row["difference"]):
            sentences.append(f"{arm_title(row)}, R = {row['ratio']:g}: there is no run at R = 0 to compare with.")
            continue
        if np.isnan(row["difference_low"]):
            sentences.append(f"{change}; one seed and one scene do not show how certain this is.")
            continue
        verdict = _about_zero(row["difference_low"], row["difference_high"])
        over, single = "1 test scene" if row["scenes"] == 1 else f"{row['scenes']} test scenes", ""
        if row["seeds"] == 1:
            over, single = f"{over} of one seed", "; one seed does not show how much trainings vary"
        elif np.isnan(row["scene_error"]):
            over, single = f"{row['seeds']} seeds", "; one test scene with labels does not show how much places vary"
        else:
            over = f"{over} and {row['seeds']} seeds"
        interval = f"[{100 * row['difference_low']:+.2f}, {100 * row['difference_high']:+.2f}]"
        shown = f"a difference below {100 * smallest_shown(row):.2f} points could not have been shown"
        more = "; it had more steps than R = 0, which may be why" if row["protocol"] == "epoch_matched" else ""
        sentences.append(f"{change}, 95 % interval over {over} {interval}: {verdict}{single}{more}; {shown}.")
        sentences += _beside_best(row)
    if sentences:
        sentences += still_rising(summary)
        sentences.append("This holds for this generator, the pairs drawn from it, and this test area.")
    classes = [column for column in summary.columns if column.startswith("iou_")]
    absent = [name.removeprefix("iou_") for name in classes if summary[name].isna().all()]
    if absent:
        sentences.append(f"No test scene has {', '.join(absent)}: not scored, and left out of the means.")
    return sentences


def _about_zero(low: float, high: float) -> str:
    return "zero lies inside, so this is no evidence of a change" if low <= 0 <= high else "zero lies outside"


def _beside_best(row: Row) -> list[str]:
    """Return how a row stands beside the best arm on real pairs only, where that is another than its own R = 0."""
    if not isinstance(row.get("best_real"), str):
        return []
    low, high = row["best_difference_low"], row["best_difference_high"]
    certain = "" if np.isnan(low) else f" [{100 * low:+.2f}, {100 * high:+.2f}]: {_about_zero(low, high)}"
    return [
        f"{arm_title(row)}, R = {row['ratio']:g} against `{row['best_real']}` on real pairs, the best arm without "
        f"synthetic ones: {100 * row['best_difference']:+.2f} points{certain}. What counts is this difference."
    ]


def single_seed(summary: pd.DataFrame) -> list[str]:
    """Return what intervals over one seed leave out, where a difference was measured with one."""
    if not (summary.loc[summary["ratio"] > 0, "seeds"] == 1).any():
        return []
    return ["Intervals over one seed are over its test scenes only: one seed does not show how much trainings vary."]


def still_rising(summary: pd.DataFrame) -> list[str]:
    """Return of which networks R = 0 had not reached its plateau, as far as looks on val were kept."""
    return [
        f"{arm_title(row)}, R = 0 was still improving when its budget ended: its mIoU on val rose by "
        f"{100 * row['val_rise']:.1f} points in about the last quarter of its steps. A gain or loss at this budget may "
        "be one of the budget: raise `segmentation.training.images` where it is given (or the network's own `images`), "
        "`segmentation.training.epochs` elsewhere."
        for row in _rows(summary[summary["ratio"] == 0])
        if row.get("val_rise", np.nan) > STILL_RISING
    ]


def rises_in_words(summary: pd.DataFrame) -> list[str]:
    """Return in a sentence how mIoU on val changed at the end of the trainings at R = 0, where it is known."""
    rows = [row for row in _rows(summary[summary["ratio"] == 0]) if not np.isnan(row.get("val_rise", np.nan))]
    if not rows:
        return []
    changes = ", ".join(f"{arm_title(row)} {100 * row['val_rise']:+.1f} points" for row in rows)
    return [
        f"Change of mIoU on val in about the last quarter of the trainings at R = 0, mean over seeds: {changes}. Above "
        f"{100 * STILL_RISING:g} point(s), the verdict says that R = 0 was still improving."
    ]
