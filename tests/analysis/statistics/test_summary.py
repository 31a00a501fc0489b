import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from satsynth.analysis.statistics.intervals import paired_interval
from satsynth.analysis.statistics.summary import (
    gains_by_class,
    in_words,
    printed,
    rises_in_words,
    single_seed,
    standard_error,
    summarise,
)
from trainings_made import HELPED, iou, tables_of

values = st.lists(st.floats(0, 1), min_size=2, max_size=8).map(np.array)


def summary_of(*tables):
    return summarise(*(pd.concat(part, ignore_index=True) for part in zip(*tables, strict=True)), iou)


def test_summary_by_hand():
    runs, confusion = tables_of(HELPED)
    # In another order than seeds, ratios and scenes, for the pairs must be found by their names.
    summary = summarise(runs.sample(frac=1, random_state=0), confusion.sample(frac=1, random_state=1), iou)
    summary = summary.set_index("ratio")
    assert summary.index.tolist() == [0, 1]
    assert summary["seeds"].tolist() == [3, 3]
    assert summary["scenes"].tolist() == [2, 2]
    assert summary["miou"].tolist() == pytest.approx([0.42, 0.52])
    assert summary["mf1"].tolist() == pytest.approx([0.21, 0.26])
    assert summary.loc[0, "miou_se"] == pytest.approx(0.02 / np.sqrt(3))
    assert summary.loc[1, "difference"] == pytest.approx(0.1)
    # Differences 0.10, 0.11, 0.09 in scenes that are all alike: standard error 0.01 / sqrt 3; t with 2 degrees of
    # freedom is 4.302653.
    assert summary.loc[1, "difference_low"] == pytest.approx(0.1 - 4.302653 * 0.01 / np.sqrt(3), abs=1e-6)
    assert summary.loc[1, "difference_high"] == pytest.approx(0.1 + 4.302653 * 0.01 / np.sqrt(3), abs=1e-6)
    assert summary.loc[0, ["difference", "difference_low", "difference_high"]].isna().all()
    assert summary["iou_a"].tolist() == pytest.approx([0.42, 0.52])
    assert summary["iou_c"].isna().all()
    assert summary["boundary_f1"].isna().all()


def test_the_interval_is_over_seeds_and_scenes():
    random = np.random.default_rng(0)
    runs, confusion = tables_of(HELPED)
    confusion["confusion"] = [list(random.integers(1, 99, 9)) for _ in range(len(confusion))]
    arms = [
        np.array(
            [
                [*part.sort_values("scene_id")["confusion"]]
                for _, part in confusion[confusion["ratio"] == r].groupby("seed")
            ]
        )
        for r in (0, 1)
    ]
    wanted = paired_interval(*(arm.reshape(3, 2, 3, 3) for arm in arms), iou)
    found = summarise(runs, confusion, iou).iloc[1]
    assert (found["difference"], found["difference_low"], found["scene_error"]) == pytest.approx(
        (wanted.difference, wanted.low, wanted.scene_error)
    )


def test_networks_are_kept_apart():
    summary = summary_of(tables_of(HELPED), tables_of({(0, 0): 0.9, (2, 0): 0.8}, "unet"))
    assert list(zip(summary["network"], summary["ratio"], strict=True)) == [
        ("fpn", 0),
        ("fpn", 1),
        ("unet", 0),
        ("unet", 2),
    ]
    assert summary["difference"].iloc[3] == pytest.approx(-0.1)


def test_arms_are_compared_with_real_pairs_of_the_same_augmentation():
    ones = {key: score for key, score in HELPED.items() if key[0] == 1}
    summary = summary_of(
        tables_of(HELPED),
        tables_of({key: score + 0.1 for key, score in ones.items()}, real_share=0.5),
        tables_of({key: score + 0.2 for key, score in ones.items()}, protocol="epoch_matched"),
        tables_of({key: score + 0.3 for key, score in HELPED.items()}, augmentation="cutmix"),
    )
    changes = {
        (row["augmentation"], row["protocol"], row["real_share"]): row["difference"]
        for row in summary[summary["ratio"] == 1].fillna({"real_share": 0}).to_dict("records")
    }
    assert changes == pytest.approx(
        {
            ("flips", "step_matched", 0): 0.1,
            ("flips", "step_matched", 0.5): 0.2,
            ("flips", "epoch_matched", 0): 0.3,
            ("cutmix", "step_matched", 0): 0.1,
        }
    )
    text = printed(summary)
    assert "fpn 50% real" in text and "fpn epoch_matched" in text and "fpn cutmix" in text


def test_pairs_are_compared_with_the_best_arm_on_real_pairs():
    windows = {(0, seed): score + 0.07 for (ratio, seed), score in HELPED.items() if ratio == 0}
    tables = tables_of(HELPED), tables_of(windows, augmentation="geometric"), tables_of(HELPED, "unet")
    summary = summary_of(*tables).set_index(["network", "augmentation", "ratio"]).sort_index()
    row = summary.loc["fpn", "flips", 1]
    assert row["best_real"] == "geometric"
    # Differences 0.10, 0.11, 0.09 to flips, and 0.07 less to windows.
    assert row["best_difference"] == pytest.approx(0.03)
    half = 4.302653 * 0.01 / np.sqrt(3)
    assert row["best_difference_low"] == pytest.approx(0.03 - half, abs=1e-6)
    assert row["best_difference_high"] == pytest.approx(0.03 + half, abs=1e-6)
    # Neither real pairs, nor those whose own R = 0 is the best or the only one.
    others = summary.drop(("fpn", "flips", 1))
    assert others["best_real"].isna().all() and others["best_difference"].isna().all()
    text = " ".join(in_words(summary.reset_index()))
    assert "fpn, R = 1 against `geometric` on real pairs, the best arm without synthetic ones: +3.00 points" in text
    assert text.count("the best arm") == 1
    better = summary_of(tables_of(HELPED), tables_of({k: v - 0.5 for k, v in windows.items()}, augmentation="strong"))
    assert better["best_real"].isna().all()


def test_words_say_what_one_test_scene_and_more_steps_leave_open():
    runs, confusion = tables_of(HELPED, protocol="step_matched")
    one = confusion[confusion["scene_id"] == "s1"]
    (first, *_) = in_words(summarise(runs, one, iou))
    assert "95 % interval over 3 seeds [" in first and "one test scene with labels does not show" in first
    longer = {key: score for key, score in HELPED.items() if key[0] == 1}
    words = in_words(summary_of(tables_of(HELPED), tables_of(longer, protocol="epoch_matched")))
    assert [("more steps than R = 0" in sentence) for sentence in words[:2]] == [True, False]


def test_only_seeds_on_both_sides_are_compared():
    summary = summary_of(tables_of({**HELPED, (1, 7): 0.99}))
    assert summary["difference"].iloc[1] == pytest.approx(0.1)
    assert summary["seeds"].iloc[1] == 4


def test_one_seed_has_no_standard_error_and_an_interval_over_scenes():
    row = summary_of(tables_of({(0, 0): 0.4, (1, 0): 0.5})).iloc[1]
    assert row["difference"] == pytest.approx(0.1)
    assert np.isnan([row["miou_se"], row["mf1_se"], row["seed_error"]]).all()
    assert row["difference_low"] == pytest.approx(0.1)


def test_gains_by_class():
    runs, confusion = tables_of(HELPED)
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    assert gains["class"].tolist() == ["a", "b", "c"]
    assert gains["share"].tolist() == [0.7, 0.3, 0.0]
    assert gains["iou_real"].tolist()[:2] == pytest.approx([0.42] * 2)
    assert gains["iou"].tolist()[:2] == pytest.approx([0.52] * 2)
    assert gains["difference"].tolist()[:2] == pytest.approx([0.1] * 2)
    assert gains.iloc[2][["iou_real", "iou", "difference", "difference_low"]].isna().all()
    alone = gains_by_class(runs[runs["ratio"] == 0], confusion[confusion["ratio"] == 0], iou, {"a": 1.0})
    assert len(alone) == 0 and alone.columns.tolist() == gains.columns.tolist()


@given(values)
def test_standard_error_equals_scipy(sample):
    assert standard_error(sample) == pytest.approx(stats.sem(sample), abs=1e-12)


def test_words_of_a_change():
    sentence, condition, absent = in_words(summary_of(tables_of(HELPED)))
    assert sentence.startswith(
        "fpn, R = 1: mIoU changes by +10.00 points, 95 % interval over 2 test scenes and 3 seeds"
    )
    assert "zero lies outside" in sentence
    assert "no evidence" not in sentence
    # By hand, as above: half the width of the interval.
    half = 100 * 4.302653 * 0.01 / np.sqrt(3)
    assert sentence.endswith(f"; a difference below {half:.2f} points could not have been shown.")
    assert "this generator, the pairs drawn from it, and this test area" in condition
    assert absent == "No test scene has c: not scored, and left out of the means."


@pytest.mark.parametrize(("rises", "improving"), [((0.03, -0.01, 0.013), True), ((0.03, -0.01, 0.009), False)])
def test_where_real_pairs_were_not_used_up_the_verdict_says_so(rises, improving):
    runs, confusion = tables_of(HELPED)
    # What R = 1 does at its end does not count.
    runs["val_rise"] = [*rises, 0.5, 0.5, 0.5]
    summary = summarise(runs, confusion, iou)
    assert summary["val_rise"].tolist() == pytest.approx([sum(rises) / 3, 0.5])
    found = [sentence for sentence in in_words(summary) if "still improving" in sentence]
    assert len(found) == improving
    assert all(
        "fpn, R = 0" in sentence and "1.1 points" in sentence and "`segmentation.training.epochs`" in sentence
        for sentence in found
    )
    (note,) = rises_in_words(summary)
    assert f"fpn {100 * sum(rises) / 3:+.1f} points" in note


def test_of_trainings_whose_looks_are_not_known_nothing_is_said():
    known, unknown = (tables_of(HELPED, network) for network in ("fpn", "unet"))
    known[0]["val_rise"] = 0.02
    summary = summary_of(known, unknown)
    (sentence,) = (sentence for sentence in in_words(summary) if "still improving" in sentence)
    assert sentence.startswith("fpn, R = 0 was")
    assert "unet" not in rises_in_words(summary)[0]
    assert rises_in_words(summary_of(unknown)) == []


def test_words_of_no_change():
    scores = {**HELPED, (1, 0): 0.45, (1, 1): 0.40, (1, 2): 0.43}
    sentence = in_words(summary_of(tables_of(scores)))[0]
    assert "zero lies inside, so this is no evidence of a change" in sentence


def test_words_of_a_loss():
    worse = {(ratio, seed): score if ratio == 0 else score - 0.2 for (ratio, seed), score in HELPED.items()}
    sentence = in_words(summary_of(tables_of(worse)))[0]
    assert "changes by -10.00 points" in sentence
    assert "zero lies outside" in sentence


def test_words_of_one_seed():
    sentence = in_words(summary_of(tables_of({(0, 0): 0.4, (1, 0): 0.5})))[0]
    assert "over 2 test scenes of one seed" in sentence and "does not show how much trainings vary" in sentence


def test_one_seed_is_said_where_a_difference_rests_on_it():
    several = summary_of(tables_of(HELPED))
    one = summary_of(tables_of({(0, 0): 0.4, (1, 0): 0.5}))
    assert not single_seed(several) and not single_seed(one[one["ratio"] == 0])
    for table in (one, pd.concat([several, one])):
        (sentence,) = single_seed(table)
        assert "one seed does not show how much trainings vary" in sentence


def test_printed_has_a_row_a_ratio():
    scores = {(r, s): 0.4 + 0.05 * r + 0.01 * s * (1 + r) for r in (0, 0.25, 1) for s in (0, 1)}
    head, *lines = printed(summary_of(tables_of(scores))).splitlines()
    assert "mIoU %" in head
    assert [line.split()[:3] for line in lines] == [["fpn", "0", "2"], ["fpn", "0.25", "2"], ["fpn", "1", "2"]]
    assert "40.50 ± 0.50" in lines[0]
    assert "[" not in lines[0]
    assert "+5.50 [" in lines[2]


def test_printed_of_one_seed_has_no_errors():
    text = printed(summary_of(tables_of({(0, 0): 0.4, (1, 0): 0.5})))
    assert "±" not in text
    assert "nan" not in text
    assert text.splitlines()[-1].endswith("+10.00 [+10.00, +10.00]")
