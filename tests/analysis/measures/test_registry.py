from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import satsynth.analysis.measures as package
from made_sets import CLASSES, SIZES, made_inputs
from satsynth.analysis.fidelity import measured
from satsynth.analysis.measures.adjacency_divergence import adjacency_counts
from satsynth.analysis.measures.class_divergence import class_shares
from satsynth.analysis.measures.color_distance import color_histogram, histogram_distance
from satsynth.analysis.measures.feature_space import standardise
from satsynth.analysis.measures.frechet_distance import frechet_distance, principal
from satsynth.analysis.measures.inputs import Lazy, scene_halves
from satsynth.analysis.measures.jensen_shannon import jensen_shannon
from satsynth.analysis.measures.kernel_distance import bandwidth_of, kernel_distance
from satsynth.analysis.measures.mask_statistics import mask_statistics
from satsynth.analysis.measures.neighbourhoods import neighbourhoods
from satsynth.analysis.measures.registry import all_measures, headings
from satsynth.analysis.measures.spectrum_distance import radial_spectrum, spectrum_distance
from satsynth.analysis.measures.table import Row, row_of, rows_table, values_of
from satsynth.analysis.settings import ComparisonSettings

NEW = """
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row


def rows(inputs):
    for name in inputs.compared:
        yield Row(name, "brightness", float(inputs.images[name].mean()))


MEASURE = Measure("brightness", 1, frozenset({"images"}), rows, {"brightness": Heading("brightness")})
"""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return measured(made_inputs())


def test_every_measure_of_the_package_is_registered() -> None:
    measures = all_measures()
    assert {measure.name for measure in measures} == {
        "adjacency_divergence",
        "class_divergence",
        "color_distance",
        "frechet_distance",
        "imagenet_distance",
        "inception",
        "kernel_distance",
        "mask_statistics",
        "neighbourhoods",
        "set_sizes",
        "spectrum_distance",
        "two_sample_accuracy",
    }
    assert len({measure.name for measure in measures}) == len(measures)
    assert all(measure.version >= 1 and measure.needs for measure in measures)


def test_a_new_measure_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brightness.py").write_text(NEW)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    all_measures.cache_clear()
    try:
        found = values_of(measured(made_inputs()), "brightness")
        assert headings()["brightness"].title == "brightness"
    finally:
        all_measures.cache_clear()
    assert found == {name: float(made_inputs().images[name].mean()) for name in ("val", "synthetic")}


def test_no_two_measures_share_a_name_in_the_table(table: pd.DataFrame) -> None:
    assert not table.duplicated(["set", "measure"]).any()
    assert table.columns.tolist() == ["set", "measure", "value", "low", "high"]
    assert set(table["set"]) == {*SIZES, "train_halves"}
    # Without features of the network that they need, the measures of ImageNet features have no rows.
    switched_off = {"fid", "sfid", "inception_score", "inception_score_deviation"}
    switched_off |= {"imagenet_distance", "two_sample_accuracy"}
    assert set(headings()) - set(table["measure"]) == switched_off


def test_intervals_contain_their_values_or_are_unknown(table: pd.DataFrame) -> None:
    known = table[table["low"].notna()]
    assert (known["low"] <= known["value"] + 1e-12).all() and (known["value"] <= known["high"] + 1e-12).all()
    assert known["high"].notna().all()
    share = {f"share.{name}" for name in CLASSES}
    with_interval = {"kernel_distance", "precision", "recall", "density", "coverage", "isolated", "small", "regions"}
    assert set(known["measure"]) == with_interval | share


def test_each_row_has_the_value_of_its_function(table: pd.DataFrame) -> None:
    inputs = made_inputs()
    train, val, synthetic = standardise(*(inputs.features[name] for name in SIZES))
    first, second = train[inputs.halves], train[~inputs.halves]
    width = bandwidth_of(train)
    assert values_of(table, "kernel_distance") == {
        "val": kernel_distance(train, val, width),
        "synthetic": kernel_distance(train, synthetic, width),
        "train_halves": kernel_distance(first, second, width),
    }
    base, *reduced = principal(train, val, synthetic, first, second)
    assert values_of(table, "frechet_distance") == {
        "val": frechet_distance(base, reduced[0]),
        "synthetic": frechet_distance(base, reduced[1]),
        "train_halves": frechet_distance(*reduced[2:]),
    }
    # Halves of 6 images span 5 dimensions.
    assert values_of(table, "frechet_dimensions") == {"train": 5}
    for name, part in (("val", val), ("synthetic", synthetic)):
        for measure, value in neighbourhoods(train, part).items():
            assert row_of(table, measure, name).value == pytest.approx(value, abs=0)
    for measure, value in neighbourhoods(first, second).items():
        assert row_of(table, measure, "train_halves").value == value
    for name in ("val", "synthetic"):
        histograms, spectra = (
            [function(inputs.images[part]) for part in ("train", name)]
            for function in (color_histogram, radial_spectrum)
        )
        assert row_of(table, "color_distance", name).value == histogram_distance(*histograms)
        assert row_of(table, "spectrum_distance", name).value == spectrum_distance(*spectra)
        shares, adjacent = (
            [count(inputs.masks[part]) for part in (name, "train")]
            for count in (
                lambda masks: class_shares(masks, 3),
                lambda masks: sum(adjacency_counts(mask, 3) for mask in masks),
            )
        )
        assert row_of(table, "class_divergence", name).value == jensen_shannon(*shares)
        assert row_of(table, "adjacency_divergence", name).value == jensen_shannon(*adjacent)
    for name in SIZES:
        for measure, value in mask_statistics(inputs.masks[name], CLASSES).items():
            assert row_of(table, measure, name).value == value
    assert values_of(table, "images") == SIZES
    assert [row_of(table, f"images.{half}_half", "train_halves").value for half in ("first", "second")] == [6, 6]


def test_what_is_far_away_is_measured_as_far_away(table: pd.DataFrame) -> None:
    for measure in ("kernel_distance", "frechet_distance", "color_distance", "class_divergence"):
        assert row_of(table, measure, "synthetic").value > row_of(table, measure, "val").value
    assert row_of(table, "precision", "synthetic").value < row_of(table, "precision", "val").value


def test_one_training_scene_has_no_halves_and_does_not_change_the_frechet_dimensions() -> None:
    random, sizes = np.random.default_rng(0), {"train": 90, "val": 70, "synthetic": 80}
    found = measured(
        made_inputs(
            images={name: random.integers(0, 256, (size, 8, 8, 3), np.uint8) for name, size in sizes.items()},
            masks={name: random.integers(0, 3, (size, 8, 8), np.uint8) for name, size in sizes.items()},
            features={name: random.normal(size=(size, 100)) for name, size in sizes.items()},
            scenes={"train": ["one"] * 90, "val": ["two"] * 70, "synthetic": None},
        )
    )
    assert values_of(found, "frechet_dimensions") == {"train": 64}
    for measure in ("kernel_distance", "frechet_distance", "precision"):
        values = values_of(found, measure)
        assert np.isnan(values.pop("train_halves")) and np.isfinite(list(values.values())).all()


def test_a_measure_reads_only_what_it_declares() -> None:
    measure = next(measure for measure in all_measures() if measure.name == "class_divergence")
    with pytest.raises(RuntimeError, match=r"class_divergence' reads masks.*Add 'masks'"):
        replace(measure, needs=frozenset({"images"})).table(made_inputs())
    unasked = Lazy(tuple(SIZES), lambda name: pytest.fail(f"{name} was loaded"))
    assert len(measure.table(made_inputs(images=unasked, features=unasked)))


def test_arrays_are_loaded_once() -> None:
    loaded: list[str] = []

    def load(name: str) -> np.ndarray:
        loaded.append(name)
        return np.zeros(2)

    arrays = Lazy(("a", "b"), load)
    assert list(arrays) == ["a", "b"] and len(arrays) == 2 and not loaded
    assert arrays["b"] is arrays["b"] and loaded == ["b"]
    with pytest.raises(KeyError):
        arrays["c"]


def test_inception_is_measured_only_where_it_is_switched_on() -> None:
    inception = next(measure for measure in all_measures() if measure.name == "inception")
    assert inception.settings(ComparisonSettings()) is None
    assert inception.settings(ComparisonSettings(inception="download")) == {"weights": "torch-fidelity's own"}


def test_halves_have_no_common_scene() -> None:
    scenes = list("ccabbbacd")
    halves = scene_halves(scenes)
    first, second = (
        {scene for scene, half in zip(scenes, halves, strict=True) if half == side} for side in (True, False)
    )
    assert not first & second and len(first) == len(second) == 2
    inputs = made_inputs()
    assert inputs.scenes_of_half(True) == list("aaaccc") and inputs.scenes_of_half(False) == list("bbbddd")


def test_what_was_not_measured_is_unknown() -> None:
    table = rows_table([Row("val", "a", 1.0)])
    assert values_of(table, "b") == {} and np.isnan(row_of(table, "b", "val").value)
    assert row_of(table, "a", "val")[:3] == ("val", "a", 1.0)


def test_where_no_image_differs_there_is_no_interval() -> None:
    table = rows_table([Row("val", "precision", 1.0, 1.0, 1.0), Row("val", "recall", 0.5, 0.4, 0.6)])
    assert np.isnan(row_of(table, "precision", "val")[3:]).all() and row_of(table, "precision", "val").value == 1
    assert row_of(table, "recall", "val")[3:] == (0.4, 0.6)
