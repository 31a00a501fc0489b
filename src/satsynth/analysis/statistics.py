"""Statistics of runs: means, standard errors, paired differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats


def summarise(runs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return one row for each network and ratio.

    The difference to R = 0 is paired by seed; its interval is Student's t over seeds, so it speaks of the training's
    randomness under this one generator and this one test area. With one seed there is neither standard error nor
    interval (NaN).

    Args:
        runs: Table with ``network, ratio, seed, miou, mf1`` and ``iou_<class>``, a row a training.
        confidence: Coverage of the interval.

    Returns:
        ``network, ratio, seeds, miou, miou_se, mf1, mf1_se, difference, difference_low, difference_high`` and the mean
        ``iou_<class>``.
    """
    classes = [column for column in runs.columns if column.startswith("iou_")]
    rows = []
    for (network, ratio), part in runs.groupby(["network", "ratio"], sort=True):
        base = runs[(runs["network"] == network) & (runs["ratio"] == 0)].set_index("seed")["miou"]
        difference = (part.set_index("seed")["miou"] - base).dropna().to_numpy()
        low, high = t_interval(difference, confidence) if ratio else (np.nan, np.nan)
        rows.append(
            {
                "network": network,
                "ratio": ratio,
                "seeds": len(part),
                "miou": part["miou"].mean(),
                "miou_se": standard_error(part["miou"].to_numpy()),
                "mf1": part["mf1"].mean(),
                "mf1_se": standard_error(part["mf1"].to_numpy()),
                "difference": difference.mean() if ratio and len(difference) else np.nan,
                "difference_low": low,
                "difference_high": high,
                **{name: pd.to_numeric(part[name]).mean() for name in classes},
            }
        )
    return pd.DataFrame(rows)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean; NaN for fewer than two values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def t_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return Student's t interval of the mean; NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * standard_error(values)
    return float(values.mean() - half), float(values.mean() + half)


def printed(summary: pd.DataFrame) -> str:
    """Return the summary as a text table, scores in percent."""
    lines = [f"{'network':<24} {'R':>4} {'seeds':>5} {'mIoU %':>15} {'mF1 %':>15}  {'difference to R = 0':<28}"]
    for row in summary.to_dict("records"):
        change = "" if row["ratio"] == 0 else f"{100 * row['difference']:+.2f}"
        if change and not np.isnan(row["difference_low"]):
            change += f" [{100 * row['difference_low']:+.2f}, {100 * row['difference_high']:+.2f}]"
        scores = (_with_error(row[name], row[f"{name}_se"]) for name in ("miou", "mf1"))
        facts = f"{row['network']:<24} {row['ratio']:>4g} {row['seeds']:>5}"
        lines.append(f"{facts} {next(scores):>15} {next(scores):>15}  {change}".rstrip())
    return "\n".join(lines)


def _with_error(mean: float, error: float) -> str:
    return f"{100 * mean:.2f}" + ("" if np.isnan(error) else f" ± {100 * error:.2f}")


def in_words(summary: pd.DataFrame) -> list[str]:
    """Return one sentence for each ratio above zero: did the synthetic pairs help, and how sure is that?"""
    sentences = []
    for row in summary[summary["ratio"] > 0].to_dict("records"):
        change = f"{row['network']}, R = {row['ratio']:g}: mIoU changes by {row['difference']:+.4f} against R = 0"
        if np.isnan(row["difference_low"]):
            sentences.append(f"{change}; with {row['seeds']} seed(s) nothing can be said of its uncertainty.")
            continue
        inside = row["difference_low"] <= 0 <= row["difference_high"]
        verdict = "zero lies inside, so this is no evidence of a change" if inside else "zero lies outside"
        interval = f"[{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
        sentences.append(
            f"{change}, 95 % interval over seeds {interval}: {verdict}; it holds for this generator and this test area."
        )
    return sentences
