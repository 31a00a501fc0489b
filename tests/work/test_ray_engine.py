from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

import unit_functions
from made_data import make_data
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.tiling import cut_scenes
from satsynth.training.settings import ComputeSettings
from satsynth.work import ray_engine
from satsynth.work.errors import DataError, ResourceError
from satsynth.work.finished import TIMING
from satsynth.work.folder import Step, work_folder
from satsynth.work.placement import Placement, RaySettings, Resources
from satsynth.work.processes import cores
from satsynth.work.ray_cluster import rooms
from satsynth.work.units import Unit, run_units
from threads import single_thread

TEXTS = ["one", "three", "fifteen", "seven", "four", "sixteen"]
TOTAL = sum(map(len, TEXTS))
NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of two machines, each of which runs one unit at a time."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(unit_functions.__file__).parent), *filter(None, sys.path)])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args=NODE)
    made.add_node(**NODE)
    made.wait_for_nodes()
    # Joined once: workers that have imported what units need stay for the next test.
    ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def placement(cluster: Cluster) -> Placement:
    return Placement("ray", RaySettings(address=cluster.address))


def units(folder: Path, *more: Any) -> list[Unit]:
    return [Unit(folder / f"{text}.txt", len(text), (text, *more)) for text in TEXTS]


def run(function: Any, folder: Path, placement: Placement, *more: Any, **given: Any) -> None:
    run_units(function, units(folder, *more), "Writing", "letters", placement=placement, **given)


def written(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}


def gone(process: int) -> bool:
    """Return whether a process ends within half a minute."""
    for _ in range(3000):
        if not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_units_run_on_both_machines_and_report_in_their_order(
    tmp_path: Path, placement: Placement, amounts: list[tuple[int, int]]
) -> None:
    events: dict[str, list[Any]] = {}
    done: list[tuple[str, int]] = []
    run(
        unit_functions.meet_and_tell,
        tmp_path,
        placement,
        on_event=lambda unit, event: events.setdefault(unit.outcome.stem, []).append(event),
        on_done=lambda unit: done.append((unit.outcome.stem, len(events[unit.outcome.stem]))),
    )
    processes = {found.pop()[1] for found in events.values()}
    assert len(processes) == 2 and os.getpid() not in processes
    assert {text: [letter for _, letter in found] for text, found in events.items()} == {t: list(t) for t in TEXTS}
    # Each end comes after all events of its unit.
    assert dict(done) == {text: len(text) + 1 for text in TEXTS}
    assert written(tmp_path) == {text: text for text in TEXTS}
    assert amounts[-1] == (TOTAL, TOTAL) and len(amounts) == TOTAL
    assert not list(tmp_path.parent.rglob(".ray-*")) and ray.is_initialized(), "it was joined before"


def test_the_first_error_comes_as_it_is_and_units_at_work_end(tmp_path: Path, placement: Placement) -> None:
    def tell(unit: Unit, event: Any) -> None:
        (tmp_path / "go").touch()

    with pytest.raises(DataError, match="three is wrong") as error:
        run(unit_functions.fail_when_told, tmp_path, placement, "three", on_event=tell)
    assert (error.value.problem, error.value.remedy) == ("three is wrong.", "Correct it.")
    assert "in fail_when_told" in error.value.__notes__[0], "the place of the error is kept"
    # The unit beside it came to its end, and none began after the error.
    assert written(tmp_path) == {"one": "one"}


def test_what_units_log_is_logged_here(tmp_path: Path, placement: Placement, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "satsynth"):
        run(unit_functions.talk, tmp_path, placement)
    found = [(record.name, record.levelname, record.getMessage().splitlines()[0]) for record in caplog.records]
    for text in TEXTS:
        assert found.count(("satsynth.made", "INFO", f"{text} begins")) == 1
        assert found.count(("satsynth.made", "WARNING", f"{text} is odd")) == 1
    assert not any("in detail" in message for _, _, message in found)


def test_a_killed_worker_loses_only_its_unit_which_begins_again(
    tmp_path: Path, placement: Placement, amounts: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []

    def kill(unit: Unit, event: Any) -> None:
        if unit.outcome.stem == "three":
            killed.append(event[0])
            os.kill(event[0], signal.SIGKILL)
            # Not before: its worker would have ended it, and be at another unit when its event is heard.
            (tmp_path / "go on").touch()

    run(unit_functions.tell_place, tmp_path, placement, on_event=kill)
    assert len(killed) == 1 and written(tmp_path) == {text: text for text in TEXTS}
    (warning,) = [record.getMessage() for record in caplog.records if "was lost" in record.getMessage()]
    assert "three.txt" in warning and "is started again" in warning
    # What the killed worker had advanced was taken back.
    assert amounts[-1] == (TOTAL, TOTAL)


def test_a_unit_that_kills_its_workers_is_given_up(tmp_path: Path, cluster: Cluster) -> None:
    placement = Placement("ray", RaySettings(address=cluster.address, retries=1))
    with pytest.raises(ResourceError, match=r"The worker of Ray at \S*three\.txt was lost 2 times") as error:
        run(unit_functions.die_at, tmp_path, placement, "three")
    assert "same command again" in error.value.remedy
    assert written(tmp_path).keys() >= {"one"} and "three" not in written(tmp_path)


def test_a_removed_machine_loses_only_its_units(tmp_path: Path, cluster: Cluster, placement: Placement) -> None:
    head = cluster.head_node.node_id
    places: dict[str, str] = {}

    def remove(unit: Unit, event: Any) -> None:
        places[unit.outcome.stem] = event[1]
        if event[1] != head:
            (node,) = cluster.worker_nodes
            cluster.remove_node(node, allow_graceful=False)
            # A worker outlives its machine for a moment, in which it would do its unit and begin another.
            assert gone(event[0])
            (tmp_path / "go on").touch()

    try:
        run(unit_functions.tell_place, tmp_path, placement, on_event=remove)
    finally:
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()
    assert len([place for place in places.values() if place != head]) == 1, "only one unit was lost with it"
    assert written(tmp_path) == {text: text for text in TEXTS}


def test_an_error_of_the_caller_stops_the_work(tmp_path: Path, placement: Placement) -> None:
    workers: list[int] = []

    def on_event(unit: Unit, event: Any) -> None:
        workers.append(event[0])
        raise ValueError("no room to note it")

    with pytest.raises(ValueError, match="no room"):
        run(unit_functions.tell_place, tmp_path, placement, on_event=on_event)
    assert gone(workers[0]) and not written(tmp_path)


SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
import unit_functions
from satsynth.work.placement import Placement, RaySettings
from satsynth.work.units import Unit, run_units
folder, address = Path(sys.argv[1]), sys.argv[2] or None
units = [Unit(folder / f"{name}.txt", 1, (name,)) for name in ("a", "b", "c")]
try:
    run_units(unit_functions.linger, units, "", "letters", placement=Placement("ray", RaySettings(address=address)))
except KeyboardInterrupt:
    print("stopped")
"""


@contextmanager
def started(folder: Path, address: str = "") -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run units by a process of its own, in a group as a terminal has it; yield it and its workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        marks = [folder / f"{name}.pid" for name in ("a", "b")[: cores() if not address else 2]]
        for mark in marks:
            unit_functions.wait_for(mark)
        yield process, [int(mark.read_text()) for mark in marks]
    finally:
        process.kill()


def test_a_killed_driver_ends_its_workers_and_the_same_call_goes_on(tmp_path: Path, placement: Placement) -> None:
    with started(tmp_path, str(placement.ray.address)) as (process, workers):
        process.kill()
        process.communicate(timeout=60)
        assert all(map(gone, workers)) and not written(tmp_path)
    (tmp_path / "go on").touch()
    rest = [Unit(tmp_path / f"{name}.txt", 1, (name,)) for name in ("a", "b", "c")]
    run_units(unit_functions.write, rest, "", "letters", placement=placement)
    assert written(tmp_path) == {name: name for name in ("a", "b", "c")}


def test_ctrl_c_stops_the_workers_and_a_ray_of_its_own_with_one_message(tmp_path: Path, cluster: Cluster) -> None:
    with started(tmp_path) as (process, workers):
        own = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert set(workers) < set(own)
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "stopped\n"
        assert all(map(gone, own))


def test_a_worker_that_does_not_see_the_folder_of_results_says_so(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def elsewhere(units: Any) -> Iterator[Path]:
        yield tmp_path / "not shared" / "token"

    monkeypatch.setattr(ray_engine, "_token", elsewhere)
    with pytest.raises(ResourceError, match=r"A worker of Ray on the machine \S+ does not see \S+/not shared") as error:
        run_units(unit_functions.write, units(tmp_path)[:1], "", "letters", placement=placement)
    assert "Share the project's folder `data/`" in error.value.remedy and not written(tmp_path)


def test_a_unit_that_fits_no_machine_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    placement = Placement("ray", RaySettings(address=cluster.address), Resources(64, 0.5, 3))
    with pytest.raises(ResourceError, match=r"64 core\(s\), 0.5 GPU\(s\), 3 GB of memory"):
        run(unit_functions.write, tmp_path, placement)


FEW = {"images": 8, "batch_size": 4, "evaluations": 1}
NETWORK = {"architecture": "fpn", "encoder": "tu-mobilenetv3_small_050", "weights": None}


def test_tiles_pairs_and_trainings_have_the_bytes_of_this_machine(tmp_path: Path, placement: Placement) -> None:
    import satsynth

    data = make_data(tmp_path / "raw")
    tiling = TilingSettings(tile_size=32, stride=16, shard_tiles=16)
    generator = None
    for engine in ("local", "ray"):
        project, compute = tmp_path / engine, {"device": "cpu", "engine": engine}
        where = ComputeSettings(**compute)
        with single_thread(), work_folder(project / "data/.work", Step("tiling", 1, {}, {})) as folder:
            tiles = cut_scenes(folder, data.scenes(), data.reader(), tiling, 1, where.placement)
            model = {"network": {"stem": 4, "widths": [8, 16]}}
            drawing = {"steps": 3}
            generator = generator or satsynth.train(tiles, project=tmp_path, model=model, images=8, batch_size=4)
            given = {"max_pairs": 10, "shard_pairs": 4, "batch_size": 2}
            drawn = satsynth.sample(generator, tiles, project, compute, drawing, ratio=1, **given)
            grid = {"networks": {"one": NETWORK}, "judge": {"network": "one"}, "ratios": [0], "seeds": [0]}
            found = satsynth.evaluate(tiles, drawn, project, compute, training=FEW, **grid)
        assert len(found.trainings) == 1 and (found.trainings["seconds"] > 0).all() and drawn.seconds is not None
    local, by_ray = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("result/*") if path.name != TIMING}
        for root in (tmp_path / "local", tmp_path / "ray")
    )
    assert len(local) == 11 and by_ray == local


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (Resources(1), 12),
        (Resources(3), 3),
        (Resources(1, 1), 4),
        (Resources(1, 0.5), 8),
        (Resources(1, 0, 10), 3),
        (Resources(16), 0),
        (Resources(1, 1, 100), 0),
    ],
)
def test_a_machine_runs_as_many_units_as_its_scarcest_resource_allows(used: Resources, expected: int) -> None:
    machines = [{"CPU": 8.0, "GPU": 4.0, "memory": 25e9}, {"CPU": 4.0, "memory": 15e9}, {"object_store_memory": 1e9}]
    assert rooms(machines, used) == expected
