from __future__ import annotations

import pandas as pd

from made_sets import made_inputs
from satsynth.analysis.fidelity import measured
from satsynth.analysis.measures.table import Row, rows_table
from satsynth.analysis.report.tables import adjacency_table, fidelity_table, score_table
from satsynth.analysis.statistics.summary import BEST, summarise
from trainings_made import HELPED, iou, tables_of


def test_classes_that_touch_most_in_train_come_first_with_their_intervals_in_each_set() -> None:
    rows = [
        ("train", "a", "b", 0.2, 0.1, 0.3),
        ("train", "a", "c", 0.75, 0.7, 0.8),
        ("train", "b", "c", 0.05, 0.0, 0.1),
        ("synthetic", "a", "b", 0.5, 0.45, 0.55),
        ("synthetic", "a", "c", 0.5, 0.45, 0.55),
        ("synthetic", "b", "c", 0.0, 0.0, 0.0),
    ]
    adjacency = pd.DataFrame(rows, columns=["split", "class", "neighbour", "share", "share_low", "share_high"])
    assert adjacency_table(adjacency, most=2).to_dict("list") == {
        "side by side": ["a and c", "a and b"],
        "% in train": ["75.00 [70.00, 80.00]", "20.00 [10.00, 30.00]"],
        "% in synthetic": ["50.00 [45.00, 55.00]", "50.00 [45.00, 55.00]"],
    }


def test_adjacency_of_one_scene_has_no_brackets() -> None:
    columns = ["split", "class", "neighbour", "share", "share_low", "share_high"]
    table = adjacency_table(pd.DataFrame([("train", "a", "b", 0.25, float("nan"), float("nan"))], columns=columns))
    assert table["% in train"].tolist() == ["25.00"]


def test_fidelity_has_a_row_for_each_measure_and_a_column_for_each_set() -> None:
    rows = [
        *(Row(name, "images", number) for name, number in (("train", 12), ("val", 10), ("synthetic", 9))),
        *(Row("train_halves", f"images.{half}_half", 6) for half in ("first", "second")),
        Row("val", "kernel_distance", 0.02749, -0.05919, 0.11419),
        Row("train_halves", "kernel_distance", float("nan")),
        Row("synthetic", "frechet_distance", 1210.2),
        Row("train", "share.water", 0.5, 0.4, 0.6),
        Row("train", "isolated", 0.005, 0.004, 0.0063),
    ]
    assert fidelity_table(rows_table(rows)).to_dict("records") == [
        {
            "measure": "Fréchet distance",
            "train\n12 images": "–",
            "halves of train\n6 and 6": "–",
            "val\n10 images": "–",
            "synthetic\n9 images": "1210",
            "interval over": "none",
        },
        {
            "measure": "kernel distance",
            "train\n12 images": "–",
            "halves of train\n6 and 6": "–",
            "val\n10 images": "0.02749\n[-0.0592, 0.114]",
            "synthetic\n9 images": "–",
            "interval over": "scenes of both sets",
        },
        {
            "measure": "isolated pixels, %",
            "synthetic\n9 images": "–",
            "val\n10 images": "–",
            "halves of train\n6 and 6": "–",
            "train\n12 images": "0.5\n[0.4, 0.63]",
            "interval over": "scenes of the set",
        },
    ]


def test_fidelity_shows_every_measure_that_has_a_heading() -> None:
    table = fidelity_table(measured(made_inputs()))
    assert table["measure"].tolist() == [
        "Fréchet distance",
        "kernel distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "colour distance",
        "spectrum distance",
        "divergence of\nadjacent classes, bit",
        "divergence of\nclass shares, bit",
        "isolated pixels, %",
        "pixels in regions\nunder 20 pixels, %",
        "regions per mask",
    ]


def test_scores_stand_beside_the_best_arm_on_real_pairs_where_there_are_several() -> None:
    column = "change against the best real-only arm"
    windows = {(0, seed): score + 0.07 for (ratio, seed), score in HELPED.items() if ratio == 0}
    made = tables_of(HELPED), tables_of(windows, augmentation="geometric")
    summary = summarise(*(pd.concat(part, ignore_index=True) for part in zip(*made, strict=True)), iou)
    found = score_table(summary)
    assert found[column].tolist() == ["", "+3.00 [+0.52, +5.48] (geometric)", ""]
    one = summarise(*tables_of(HELPED), iou)
    # Tables of earlier versions lack the columns.
    for table in (one, one.drop(columns=BEST)):
        assert column not in score_table(table)
