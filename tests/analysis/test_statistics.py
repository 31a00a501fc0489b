import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from satsynth.analysis.statistics import in_words, printed, standard_error, summarise, t_interval

values = st.lists(st.floats(0, 1), min_size=2, max_size=8).map(np.array)


def runs_of(scores, network="fpn"):
    """Return runs from mIoU by (ratio, seed)."""
    return pd.DataFrame(
        [
            {"network": network, "ratio": r, "seed": s, "miou": m, "mf1": m / 2, "iou_a": m, "iou_b": None}
            for (r, s), m in scores.items()
        ]
    )


HELPED = {(0, 0): 0.40, (0, 1): 0.42, (0, 2): 0.44, (1, 0): 0.50, (1, 1): 0.53, (1, 2): 0.53}


def test_summary_by_hand():
    # In another order than seeds and ratios, for the pairs must be found by seed.
    runs = runs_of(HELPED).sample(frac=1, random_state=0)
    summary = summarise(runs).set_index("ratio")
    assert summary.index.tolist() == [0, 1]
    assert summary["seeds"].tolist() == [3, 3]
    assert summary["miou"].tolist() == pytest.approx([0.42, 0.52])
    assert summary["mf1"].tolist() == pytest.approx([0.21, 0.26])
    assert summary.loc[0, "miou_se"] == pytest.approx(0.02 / np.sqrt(3))
    assert summary.loc[1, "difference"] == pytest.approx(0.1)
    # Differences 0.10, 0.11, 0.09: standard error 0.01 / sqrt 3; t with 2 degrees of freedom is 4.302653.
    assert summary.loc[1, "difference_low"] == pytest.approx(0.1 - 4.302653 * 0.01 / np.sqrt(3), abs=1e-6)
    assert summary.loc[1, "difference_high"] == pytest.approx(0.1 + 4.302653 * 0.01 / np.sqrt(3), abs=1e-6)
    assert summary.loc[0, ["difference", "difference_low", "difference_high"]].isna().all()
    assert summary["iou_a"].tolist() == pytest.approx([0.42, 0.52])
    assert summary["iou_b"].isna().all()


def test_networks_are_kept_apart():
    runs = pd.concat([runs_of(HELPED), runs_of({(0, 0): 0.9, (2, 0): 0.8}, "unet")])
    summary = summarise(runs)
    assert list(zip(summary["network"], summary["ratio"], strict=True)) == [
        ("fpn", 0),
        ("fpn", 1),
        ("unet", 0),
        ("unet", 2),
    ]
    assert summary["difference"].iloc[3] == pytest.approx(-0.1)


def test_only_seeds_on_both_sides_are_compared():
    summary = summarise(runs_of({**HELPED, (1, 7): 0.99}))
    assert summary["difference"].iloc[1] == pytest.approx(0.1)
    assert summary["seeds"].iloc[1] == 4


def test_one_seed_has_neither_error_nor_interval():
    row = summarise(runs_of({(0, 0): 0.4, (1, 0): 0.5})).iloc[1]
    assert row["difference"] == pytest.approx(0.1)
    assert np.isnan([row["miou_se"], row["mf1_se"], row["difference_low"], row["difference_high"]]).all()


@given(values)
def test_standard_error_equals_scipy(sample):
    assert standard_error(sample) == pytest.approx(stats.sem(sample), abs=1e-12)


@given(values.filter(lambda v: v.std() > 1e-6), st.sampled_from([0.5, 0.95, 0.99]))
def test_interval_equals_scipy(sample, confidence):
    result = stats.ttest_1samp(sample, 0).confidence_interval(confidence)
    assert t_interval(sample, confidence) == pytest.approx((result.low, result.high), rel=1e-6, abs=1e-9)


def test_words_of_a_change():
    (sentence,) = in_words(summarise(runs_of(HELPED)))
    assert sentence.startswith("fpn, R = 1: mIoU changes by +0.1000 against R = 0")
    assert "zero lies outside" in sentence
    assert "no evidence" not in sentence


def test_words_of_no_change():
    scores = {**HELPED, (1, 0): 0.45, (1, 1): 0.40, (1, 2): 0.43}
    (sentence,) = in_words(summarise(runs_of(scores)))
    assert "zero lies inside, so this is no evidence of a change" in sentence


def test_words_of_a_loss():
    worse = {(ratio, seed): score if ratio == 0 else score - 0.2 for (ratio, seed), score in HELPED.items()}
    (sentence,) = in_words(summarise(runs_of(worse)))
    assert "changes by -0.1000" in sentence
    assert "zero lies outside" in sentence


def test_words_of_one_seed():
    (sentence,) = in_words(summarise(runs_of({(0, 0): 0.4, (1, 0): 0.5})))
    assert "1 seed(s) nothing can be said" in sentence


def test_printed_has_a_row_a_ratio():
    scores = {(r, s): 0.4 + 0.05 * r + 0.01 * s * (1 + r) for r in (0, 0.25, 1) for s in (0, 1)}
    head, *lines = printed(summarise(runs_of(scores))).splitlines()
    assert "mIoU %" in head
    assert [line.split()[:3] for line in lines] == [["fpn", "0", "2"], ["fpn", "0.25", "2"], ["fpn", "1", "2"]]
    assert "40.50 ± 0.50" in lines[0]
    assert "[" not in lines[0]
    assert "+5.50 [" in lines[2]


def test_printed_of_one_seed_has_no_errors():
    text = printed(summarise(runs_of({(0, 0): 0.4, (1, 0): 0.5})))
    assert "±" not in text
    assert "nan" not in text
    assert text.splitlines()[-1].endswith("+10.00")
