"""Interactive figures (plotly)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from satsynth.analysis.measures.curves import CHANNELS
from satsynth.analysis.statistics.summary import ARM, arm_title

# Shares of labels that span more than this factor have a logarithmic axis.
WIDE_SHARES = 4
_SPLIT_COLORS = {"train": "#4C78A8", "val": "#9ECAE9", "test": "#BAB0AC", "synthetic": "#F58518"}


def _style(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title=title,
        xaxis_title=x,
        yaxis_title=y,
        template="plotly_white",
        legend={"orientation": "h", "y": -0.2},
        margin={"t": 60, "l": 60, "r": 20},
    )
    return figure


def class_distribution_figure(table: pd.DataFrame, divergence: Mapping[str, float]) -> go.Figure:
    """Return pixel shares by class and split (the paper's Figure 2c), with the divergences to train.

    Args:
        table: Rows of `class_rows`, over all tiles.
        divergence: Jensen-Shannon divergence to train in bits, by split, over tiles comparable with those of train.
    """
    figure = go.Figure()
    for split, part in table.groupby("split", sort=False):
        name = str(split) if split == "train" else f"{split} (JSD {divergence[str(split)]:.3f} bit)"
        shares = part["pixel_share"] * 100
        figure.add_bar(
            x=part["class"],
            y=shares,
            error_y={
                "array": part["pixel_share_high"] * 100 - shares,
                "arrayminus": shares - part["pixel_share_low"] * 100,
                "thickness": 1,
                "width": 2,
            },
            name=name,
            marker_color=_SPLIT_COLORS.get(str(split)),
            hovertemplate="%{x}: %{y:.2f} %",
        )
    return _style(
        figure,
        "Class distribution; Jensen-Shannon divergence (JSD) to train",
        "class",
        "share of pixels in %",
    )


def ratio_figure(summary: pd.DataFrame) -> go.Figure:
    """Return mIoU against R with standard errors (the paper's Figure 5), a line for each arm of `summarise`."""
    figure = go.Figure()
    for _, part in summary.groupby(ARM, dropna=False, sort=False):
        first = part.iloc[0]
        same = summary[(summary["network"] == first["network"]) & (summary["augmentation"] == first["augmentation"])]
        if part["ratio"].max() == 0 < same["ratio"].max():
            continue  # This row is the start of other lines.
        line = pd.concat([same[same["ratio"] == 0], part[part["ratio"] > 0]])
        figure.add_scatter(
            x=line["ratio"],
            y=line["miou"] * 100,
            error_y={"array": line["miou_se"].fillna(0) * 100},
            name=arm_title(dict(first)),
            mode="lines+markers",
        )
    figure.update_xaxes(tickvals=sorted(summary["ratio"].unique()))
    return _style(
        figure,
        "mIoU on real test scenes (bars: standard error over seeds)",
        "synthetic pairs per real pair, R",
        "mIoU in %",
    )


def label_figure(worth: pd.DataFrame) -> go.Figure:
    """Return mIoU against the number of labelled scenes with standard errors, a line for each network and R.

    Args:
        worth: Rows of `budget_table`.
    """
    figure = go.Figure()
    for (network, ratio), part in worth.groupby(["network", "ratio"], sort=False):
        line = part.sort_values("labelled_scenes")
        figure.add_scatter(
            x=line["labelled_scenes"],
            y=line["miou"] * 100,
            error_y={"array": line["miou_se"].fillna(0) * 100},
            customdata=line[["share", "real_pairs"]],
            name=f"{network}, R = {ratio:g}",
            mode="lines+markers",
            hovertemplate="%{x} scenes (share %{customdata[0]}, %{customdata[1]} real pairs): %{y:.2f} %",
        )
    wide = worth["share"].max() > WIDE_SHARES * worth["share"].min()
    figure.update_xaxes(type="log" if wide else "linear", tickvals=sorted(worth["labelled_scenes"].unique()))
    return _style(
        figure,
        "mIoU on real test scenes by labels (bars: standard error over seeds)",
        f"labelled training scenes{' (log)' if wide else ''}",
        "mIoU in %",
    )


def class_gain_figure(gains: pd.DataFrame) -> go.Figure:
    """Return the gain in IoU of each class at the largest R against its share of real pixels (the paper's Figure 7).

    The title names Pearson's correlation with the logarithm of the share where it is defined.

    Args:
        gains: Rows of `gains_by_class`; a class without real training pixels is left out.
    """
    figure = go.Figure()
    correlations = []
    for _, part in gains[gains["share"] > 0].groupby(ARM, dropna=False, sort=False):
        most = part[part["ratio"] == part["ratio"].max()]
        name, shares = arm_title(dict(most.iloc[0])), most["share"].to_numpy() * 100
        change, low, high = (
            most[column].to_numpy(dtype=float) * 100 for column in ("difference", "difference_low", "difference_high")
        )
        figure.add_scatter(
            x=shares,
            y=change,
            error_y={"array": np.nan_to_num(high - change), "arrayminus": np.nan_to_num(change - low), "thickness": 1},
            text=most["class"],
            mode="markers+text",
            textposition="middle right",
            name=f"{name}, R = {most['ratio'].iloc[0]:g}",
            cliponaxis=False,
        )
        known = np.isfinite(change)
        if known.sum() > 2 and np.std(change[known]) > 0:
            correlations.append(f"{name}: r = {np.corrcoef(np.log(shares[known]), change[known])[0, 1]:.2f}")
    figure.add_hline(y=0, line_dash="dot", line_color="#888888")
    figure.update_xaxes(type="log")
    title = "Gain of each class against its frequency" + (f" ({', '.join(correlations)})" if correlations else "")
    return _style(figure, title, "share of real training pixels in % (log)", "change of IoU in points (95 % interval)")


def spectrum_figure(curves: pd.DataFrame) -> go.Figure:
    """Return radial power spectra by set, from rows of `curve_rows`; zero frequency is left out."""
    figure = go.Figure()
    for name, part in curves[(curves["curve"] == "spectrum") & (curves["x"] > 0)].groupby("set", sort=False):
        figure.add_scatter(x=part["x"], y=part["y"], name=str(name), line_color=_SPLIT_COLORS.get(str(name)))
    figure.update_yaxes(type="log")
    return _style(figure, "Radial power spectrum of grey images", "cycles per image", "power")


def color_figure(curves: pd.DataFrame) -> go.Figure:
    """Return colour histograms by set, a row for each channel, from rows of `curve_rows`."""
    figure = make_subplots(rows=len(CHANNELS), cols=1, shared_xaxes=True, vertical_spacing=0.03)
    for row, channel in enumerate(CHANNELS, 1):
        for name, part in curves[curves["curve"] == channel].groupby("set", sort=False):
            color = _SPLIT_COLORS.get(str(name))
            figure.add_scatter(
                x=part["x"], y=part["y"] * 100, name=str(name), line_color=color, showlegend=row == 1, row=row, col=1
            )
        figure.update_yaxes(title_text=f"{channel}, %", row=row, col=1)
    _style(figure, "Colour histograms", "", f"{CHANNELS[0]}, %")
    return figure.update_xaxes(title_text="grey level", row=len(CHANNELS), col=1)
