from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from made_sets import made_inputs
from satsynth.analysis import fidelity
from satsynth.analysis.fidelity import measured, remembered_measures
from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.registry import Measure, all_measures
from satsynth.analysis.measures.table import Row, values_of
from satsynth.analysis.settings import ComparisonSettings
from satsynth.work.workspace import Workspace

OF_FEATURES = {"kernel_distance", "frechet_distance", "neighbourhoods"}
STORES, JUDGE = {"tiles": "t", "synthetic_pairs": "s"}, {"judge": "j"}


class Counted:
    """All measures, some of them changed, and how often each was computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.computed: Counter[str] = Counter()
        self.measures = [self._counted(measure) for measure in all_measures()]
        monkeypatch.setattr(fidelity, "all_measures", lambda: tuple(self.measures))

    def _counted(self, measure: Measure) -> Measure:
        def rows(inputs: MeasureInputs) -> Iterator[Row]:
            self.computed[measure.name] += 1
            yield from measure.rows(inputs)

        return replace(measure, rows=rows)

    def add(self, measure: Measure) -> None:
        self.measures.append(self._counted(measure))

    def raise_version(self, name: str) -> None:
        self.measures = [replace(m, version=m.version + 1) if m.name == name else m for m in self.measures]

    def again(self) -> set[str]:
        """Return what was computed since the last call."""
        names, self.computed = set(self.computed), Counter()
        return names


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(project=str(tmp_path))


def of(workspace: Workspace, **changes: object) -> pd.DataFrame:
    given: dict[str, Any] = {"stores": STORES, "features": JUDGE, "selection": {"images": 5000}, **changes}
    return remembered_measures(made_inputs(), workspace=workspace, **given)


def test_remembered_measures_are_those_computed_now(counted: Counted, workspace: Workspace) -> None:
    wanted = measured(made_inputs())
    counted.again()
    for computed in (True, False):
        pd.testing.assert_frame_equal(of(workspace), wanted)
        assert bool(counted.again()) is computed


def test_a_new_measure_computes_nothing_else(counted: Counted, workspace: Workspace) -> None:
    of(workspace)
    on = {measure.name for measure in all_measures() if measure.settings(ComparisonSettings()) is not None}
    assert counted.again() == on and "inception" not in on

    def rows(inputs: MeasureInputs) -> Iterator[Row]:
        yield Row("val", "brightness", float(inputs.images["val"].mean()))

    counted.add(Measure("brightness", 1, frozenset({"images"}), rows))
    assert list(values_of(of(workspace), "brightness")) == ["val"]
    assert counted.again() == {"brightness"}


@pytest.mark.parametrize("name", ["neighbourhoods", "color_distance"])
def test_a_changed_measure_computes_nothing_else(counted: Counted, workspace: Workspace, name: str) -> None:
    of(workspace)
    counted.again()
    counted.raise_version(name)
    of(workspace)
    assert counted.again() == {name}


def test_only_measures_of_features_depend_on_the_judge(counted: Counted, workspace: Workspace) -> None:
    of(workspace)
    everything = counted.again()
    of(workspace, features={"judge": "another"})
    assert counted.again() == OF_FEATURES
    for changed in ({"stores": {**STORES, "synthetic_pairs": "others"}}, {"selection": {"images": 10}}):
        of(workspace, **changed)
        assert counted.again() == everything


def test_other_weights_of_inception_compute_nothing_else(
    counted: Counted, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(workspace)
    counted.again()

    def rows(inputs: MeasureInputs) -> Iterator[Row]:
        yield Row("val", "fid", 1.0)

    counted.measures = [replace(m, rows=rows) if m.name == "inception" else m for m in counted.measures]
    inputs = made_inputs(comparison=ComparisonSettings(inception="download"))
    table = remembered_measures(inputs, STORES, JUDGE, {"images": 5000}, workspace)
    assert values_of(table, "fid") == {"val": 1.0}
    assert not counted.again()
