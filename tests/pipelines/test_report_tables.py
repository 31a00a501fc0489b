from __future__ import annotations

import pandas as pd

from satsynth.pipelines.report.tables import adjacency_table


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
