import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from satsynth.analysis.measures.distributions import class_rows
from satsynth.analysis.report.figures import (
    class_distribution_figure,
    class_gain_figure,
    color_figure,
    ratio_figure,
    spectrum_figure,
)
from satsynth.analysis.statistics.summary import gains_by_class, summarise
from trainings_made import iou, tables_of

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    sets = {name: random.integers(0, 4, (3, 8, 8), np.uint8) for name in ("train", "val", "test", "synthetic")}
    return pd.concat([class_rows(name, masks, NAMES) for name, masks in sets.items()], ignore_index=True)


@pytest.fixture
def tables():
    random = np.random.default_rng(1)
    scores = {(ratio, seed): random.uniform(0.2, 0.8) for ratio in (0.0, 0.5, 1.0) for seed in (0, 1)}
    both = [tables_of(scores, network) for network in ("fpn", "unet")]
    runs, confusion = (pd.concat(part, ignore_index=True) for part in zip(*both, strict=True))
    confusion["confusion"] = [random.integers(1, 99, 16).tolist() for _ in range(len(confusion))]
    return runs.assign(**{f"iou_{name}": random.uniform(size=len(runs)) for name in NAMES}), confusion


@pytest.fixture
def summary(tables):
    return summarise(*tables, iou)


@pytest.fixture
def gains(tables):
    return gains_by_class(*tables, iou, {"a": 0.6, "b": 0.3, "c": 0.1, "d": 0.0})


def read_back(figure):
    """Return a figure as a browser would read it: JSON without NaN."""
    text = figure.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    return go.Figure(json.loads(text))


def test_bars_equal_the_table(table):
    divergence = {"val": 0.0128, "test": 0.02, "synthetic": 0.003}
    figure = class_distribution_figure(table, divergence)
    assert len(read_back(figure).data) == 4
    for bar, (split, part) in zip(figure.data, table.groupby("split", sort=False), strict=True):
        assert list(bar.x) == list(NAMES)
        assert list(bar.y) == pytest.approx(100 * part["pixel_share"].to_numpy())
        assert sum(bar.y) == pytest.approx(100)
        assert bar.name.startswith(str(split))
        if split != "train":
            assert f"{divergence[split]:.3f}" in bar.name
    assert "Jensen-Shannon" in figure.layout.title.text


def test_points_of_the_ratio_curve_equal_the_summary(summary):
    figure = ratio_figure(summary)
    read_back(figure)
    for line, (network, part) in zip(figure.data, summary.groupby("network"), strict=True):
        assert line.name == network
        assert list(line.x) == [0, 0.5, 1]
        assert list(line.y) == pytest.approx(100 * part["miou"].to_numpy())
        assert list(line.error_y.array) == pytest.approx(100 * part["miou_se"].to_numpy())
    assert list(figure.layout.xaxis.tickvals) == [0, 0.5, 1]


def test_one_seed_has_bars_of_no_length(summary):
    figure = ratio_figure(summary.assign(miou_se=np.nan))
    assert [list(line.error_y.array) for line in figure.data] == [[0, 0, 0]] * 2


def test_an_arm_without_real_runs_of_its_own_begins_at_r_0_of_its_network(summary):
    shared = summary[summary["ratio"] == 1].assign(protocol="epoch_matched")
    alone = summary[summary["ratio"] == 0].assign(augmentation="none")
    figure = ratio_figure(pd.concat([summary, shared, alone], ignore_index=True))
    found = {line.name: list(line.x) for line in figure.data}
    assert found["fpn epoch_matched"] == [0, 1]
    assert found["fpn none"] == [0]
    assert found["unet"] == [0, 0.5, 1]


def test_gains_against_frequency(gains):
    figure = class_gain_figure(gains)
    read_back(figure)
    title = figure.layout.title.text
    for points, (network, part) in zip(figure.data, gains.groupby("network"), strict=True):
        most = part[(part["ratio"] == 1) & (part["share"] > 0)]
        # A class without training pixels has no place on a logarithmic axis.
        assert list(points.text) == ["a", "b", "c"]
        assert list(points.x) == pytest.approx([60, 30, 10])
        change = 100 * most["difference"].to_numpy()
        assert list(points.y) == pytest.approx(change)
        assert list(points.y + np.array(points.error_y.array)) == pytest.approx(
            100 * most["difference_high"].to_numpy()
        )
        assert points.name == f"{network}, R = 1"
        assert f"{network}: r = {np.corrcoef(np.log([60, 30, 10]), change)[0, 1]:.2f}" in title
    assert figure.layout.xaxis.type == "log"


def test_gains_of_an_absent_class_and_of_too_few_classes(gains):
    lost = gains.copy()
    lost.loc[lost["class"] != "a", ["difference", "difference_low", "difference_high"]] = np.nan
    figure = class_gain_figure(lost)
    read_back(figure)
    assert "r =" not in figure.layout.title.text


def test_without_synthetic_pairs_there_are_no_gains(gains):
    figure = class_gain_figure(gains.iloc[:0])
    read_back(figure)
    assert not figure.data


@pytest.fixture
def curves():
    parts = []
    for name, shift in (("train", 0.0), ("synthetic", 1.0)):
        parts.append(pd.DataFrame({"set": name, "curve": "spectrum", "x": [0, 1, 2], "y": [9.0, 1 + shift, 0.5]}))
        for k, channel in enumerate(("red", "green", "blue")):
            parts.append(pd.DataFrame({"set": name, "curve": channel, "x": [64, 192], "y": [0.2 + 0.1 * k, 0.3]}))
    return pd.concat(parts, ignore_index=True)


def test_spectra_leave_the_mean_out(curves):
    figure = spectrum_figure(curves)
    read_back(figure)
    assert [line.name for line in figure.data] == ["train", "synthetic"]
    assert [list(line.x) for line in figure.data] == [[1, 2], [1, 2]]
    assert [list(line.y) for line in figure.data] == [[1.0, 0.5], [2.0, 0.5]]
    assert figure.layout.yaxis.type == "log"


def test_colours_have_a_row_for_each_channel_and_one_legend(curves):
    figure = color_figure(curves)
    read_back(figure)
    assert [(line.name, line.yaxis, line.showlegend) for line in figure.data] == [
        (name, f"y{row if row > 1 else ''}", row == 1) for row in (1, 2, 3) for name in ("train", "synthetic")
    ]
    assert [line.y[0] for line in figure.data] == pytest.approx([20, 20, 30, 30, 40, 40])
    assert [figure.layout[axis].title.text for axis in ("yaxis", "yaxis2", "yaxis3")] == [
        "red, %",
        "green, %",
        "blue, %",
    ]
