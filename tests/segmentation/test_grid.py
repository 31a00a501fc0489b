from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_data import made_pairs, write_store
from satsynth.pairs.store import PairStore
from satsynth.segmentation import training
from satsynth.segmentation.cells import cells_of
from satsynth.segmentation.grid import confusion_table, train_grid, train_judge, training_table
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings
from satsynth.segmentation.trainings import FinishedTraining, plan_trainings
from satsynth.segmentation.units import Stores, train_all
from satsynth.training.reporting import Report
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.finished import TIMING
from satsynth.work.units import How
from satsynth.work.workspace import Workspace
from threads import single_thread

CPU = ComputeSettings(device="cpu")


class Recorder:
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[list[tuple[int, dict[str, float]]], list[str]]] = {}
        self.ends: list[tuple[str, str]] = []
        self.reuses: list[tuple[str, dict[str, float | None]]] = []

    @contextmanager
    def training(
        self, title: str, params: Mapping[str, Any], folder: Any, inputs: Mapping[str, PairStore]
    ) -> Iterator[Report]:
        logged: list[tuple[int, dict[str, float]]] = []
        self.records[title] = logged, list(inputs)
        assert folder.path.exists()

        class Log:
            def metrics(self, step: int, values: Mapping[str, float]) -> None:
                logged.append((step, dict(values)))

        try:
            yield Log()
        except BaseException as error:
            self.ends.append((title, type(error).__name__))
            raise
        self.ends.append((title, "done"))

    def reused(self, title: str, params: Any, folder: Any, values: Any, inputs: Any) -> None:
        self.reuses.append((title, dict(values)))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    root = tmp_path_factory.mktemp("stores")
    real = [pair for split in ("train", "val", "test") for pair in made_pairs(4, side=32, split=split)]
    drawn = made_pairs(8, side=32, split="synthetic", seed=1)
    return Stores(write_store(root / "real", real, side=32), write_store(root / "drawn", drawn, side=32))


@pytest.fixture(scope="module")
def settings(small_network: SegmentationNetwork) -> SegmentationSettings:
    """Two names of one network, so that half of the trainings are others under another name."""
    return SegmentationSettings(
        networks={"one": small_network, "two": small_network},
        judge={"network": "one"},
        ratios=(0, 1),
        seeds=(0,),
        training={"images": 16, "batch_size": 4, "evaluations": 2},
    )


@pytest.fixture(scope="module")
def trained(
    stores: Stores, settings: SegmentationSettings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recorder, Workspace, list[Any]]:
    """A tracker, a workspace, and a grid that was trained there in turn, after its judge."""
    recorder, workspace = Recorder(), Workspace(project=str(tmp_path_factory.mktemp("project")))
    assert stores.synthetic is not None
    with single_thread():
        train_judge(stores.tiles, settings, CPU, workspace, recorder)
        finished = train_grid(stores.tiles, stores.synthetic, settings, CPU, workspace, recorder)
    return recorder, workspace, finished


def test_equal_settings_are_trained_once_and_each_cell_has_its_row(
    trained: tuple[Recorder, Workspace, list[Any]], settings: SegmentationSettings, stores: Stores
) -> None:
    recorder, _, finished = trained
    assert [one.cell for one in finished] == list(cells_of(settings))
    assert [one.found for one in finished] == [True, False, True, True]
    assert recorder.ends == [("one R=0 seed=0", "done"), ("one R=1 seed=0", "done")]
    assert [title for title, _ in recorder.reuses] == ["one R=0 seed=0", "two R=0 seed=0", "two R=1 seed=0"]
    metrics, seen = recorder.records["one R=1 seed=0"]
    assert seen == ["tiles", "synthetic_pairs"] and recorder.records["one R=0 seed=0"][1] == ["tiles"]
    assert metrics[0] == (0, {"ratio": 1.0}) and [step for step, values in metrics if "val_miou" in values] == [3, 4]
    table = training_table(finished)
    assert (table["images"] == 16).all()
    assert table["network"].tolist() == ["one", "one", "two", "two"]
    assert table["synthetic_pairs"].tolist() == [0, 4, 0, 4] and (table["real_pairs"] == 4).all()
    assert recorder.reuses[-1][1]["test_miou"] == table["miou"].iloc[-1] == table["miou"].iloc[1]


def test_what_the_grid_can_show_is_said_with_its_plan_from_what_is_done(
    trained: tuple[Recorder, Workspace, list[Any]], settings: SegmentationSettings, stores: Stores
) -> None:
    _, workspace, finished = trained
    assert stores.synthetic is not None
    seen: list[tuple[list[dict[str, Any]], int, int]] = []

    def foresight(done: Sequence[FinishedTraining], seeds: int, scenes: int) -> str:
        seen.append(([one.row for one in done], seeds, scenes))
        raise InterruptedError("said")

    more = settings.model_copy(update={"seeds": (0, 1)})
    with single_thread(), pytest.raises(InterruptedError):
        train_grid(stores.tiles, stores.synthetic, more, CPU, workspace, foresight=foresight)
    assert seen == [([one.row for one in finished], 2, 3)]
    with single_thread():
        # Where all is done, the verdict says it.
        train_grid(stores.tiles, stores.synthetic, settings, CPU, workspace, foresight=foresight)
    assert len(seen) == 1


def test_the_confusion_of_all_scenes_gives_the_scores(trained: tuple[Recorder, Workspace, list[Any]]) -> None:
    _, _, finished = trained
    table, rows = confusion_table(finished), training_table(finished)
    assert len(table) == 4 * 3, "three test scenes each"
    for _, row in rows.iterrows():
        part = table[(table["network"] == row["network"]) & (table["ratio"] == row["ratio"])]
        matrix = np.sum(part["confusion"].tolist(), axis=0).reshape(3, 3)
        assert np.trace(matrix) / matrix.sum() == pytest.approx(row["accuracy"])


def test_by_threads_and_by_processes_the_same_bytes_as_in_turn(
    trained: tuple[Recorder, Workspace, list[Any]],
    settings: SegmentationSettings,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A worker process would take as many as it may have, another number than the plan's.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    ways: tuple[tuple[How, int], ...] = (("threads", 2), ("processes", 1))
    expected = _results(Path(trained[1].project))
    assert len(expected) == 3, "two manifests and the weights of R = 0"
    for how, workers in ways:
        recorder, other = Recorder(), Workspace(project=str(tmp_path / how))
        done: list[FinishedTraining] = []
        with single_thread():
            planned = plan_trainings(cells_of(settings), stores.tiles, stores.synthetic, settings, CPU)
            train_all(planned, stores, CPU, other, recorder, done.append, how, workers)
        assert {one.cell for one in done} == {one.cell for one in planned}
        assert _results(tmp_path / how) == expected
        for title, (metrics, _) in recorder.records.items():
            assert [(step, set(values)) for step, values in metrics] == [
                (step, set(values)) for step, values in trained[0].records[title][0]
            ]


def _results(project: Path) -> dict[str, bytes]:
    results = [path for path in project.rglob("result/*") if path.name != TIMING]
    return {str(path.relative_to(project)): path.read_bytes() for path in results}


def test_an_error_reaches_the_record_of_its_training(
    settings: SegmentationSettings, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_network", fail)
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        train_judge(stores.tiles, settings, CPU, Workspace(project=str(tmp_path)), recorder)
    assert recorder.ends == [("one R=0 seed=0", "KeyboardInterrupt")] and not recorder.reuses


def test_a_run_that_begins_anew_trains_anew_but_once(
    trained: tuple[Recorder, Workspace, list[Any]], settings: SegmentationSettings, stores: Stores
) -> None:
    _, workspace, _ = trained
    fresh, recorder, again = workspace.model_copy(update={"fresh": True, "run": "anew"}), Recorder(), Recorder()
    with single_thread():
        train_judge(stores.tiles, settings, CPU, fresh, recorder)
        train_judge(stores.tiles, settings, CPU, fresh, again)
    assert list(recorder.records) == ["one R=0 seed=0"]
    assert not again.records, "this run has done it itself"


def test_tiles_that_do_not_fit_a_network_are_refused_before_anything_is_trained(
    settings: SegmentationSettings, tmp_path: Path
) -> None:
    tiles = write_store(tmp_path / "store", made_pairs(3, side=40), side=40)
    recorder, workspace = Recorder(), Workspace(project=str(tmp_path))
    with pytest.raises(SatSynthError, match=r"`tiling\.tile_size` is 40"):
        train_judge(tiles, settings, CPU, workspace, recorder)
    with pytest.raises(SatSynthError, match=r"`tiling\.tile_size` is 40"):
        train_grid(tiles, tiles, settings, CPU, workspace, recorder)
    assert not recorder.records and not (workspace.work / "segmentation").exists()


def test_windows_across_tiles_are_an_arm_of_their_own(
    stores: Stores, small_network: SegmentationNetwork, tmp_path: Path
) -> None:
    grid = SegmentationSettings(
        networks={"one": small_network},
        judge={"network": "one"},
        ratios=(0, 1),
        seeds=(0,),
        augmentations=("flips", "geometric"),
        training={"images": 16, "batch_size": 4, "evaluations": 1},
    )
    assert stores.synthetic is not None
    finished = train_grid(stores.tiles, stores.synthetic, grid, CPU, Workspace(project=str(tmp_path)))
    table = training_table(finished)
    assert list(zip(table["augmentation"], table["ratio"], strict=True)) == [
        ("flips", 0), ("flips", 1), ("geometric", 0), ("geometric", 1)
    ]  # fmt: skip
    assert len({one.folder.path for one in finished}) == 4
    # They see other pairs, so they come to other weights.
    assert table["miou"].nunique() > 1
