from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import unit_functions
from satsynth.work import folder as folders
from satsynth.work.errors import ResourceError
from satsynth.work.folder import Step, WorkFolder, shared_work_folder, work_folder
from satsynth.work.locks import SharedLock
from satsynth.work.placement import PartDone, Share
from satsynth.work.remembered import remembered
from satsynth.work.units import Unit, run_units
from satsynth.work.workspace import Workspace

STEP = Step("made", 1, {}, {})
NAMES = [f"unit {number}" for number in range(10)]


def units(folder: Path) -> list[Unit]:
    return [Unit(folder / f"{name}.txt", 1, (name,)) for name in NAMES]


@pytest.mark.parametrize("parts", [1, 3, 4, 16])
def test_parts_are_disjoint_and_whole_in_whatever_order(tmp_path: Path, parts: int) -> None:
    whole = units(tmp_path)
    dealt = [Share(part, parts).units(whole) for part in range(1, parts + 1)]
    assert sorted(unit.outcome for part in dealt for unit in part) == [unit.outcome for unit in whole]
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    for number, part in enumerate(dealt):
        assert Share(number + 1, parts).units(whole[::-1]) == part[::-1]


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "-1/2", "1/0", "a/b", "1/2/3", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no share"):
        Share.of(text)


def test_a_share_reads_as_it_is_written() -> None:
    assert Share.of("3/16") == Share(3, 16) and str(Share(3, 16)) == "3/16"


def test_a_part_does_its_units_and_says_how_many_are_left(tmp_path: Path) -> None:
    for part, left in ((2, 7), (1, 3), (1, 3), (3, 0)):
        with pytest.raises(PartDone) as done:
            run_units(unit_functions.write, units(tmp_path), "", "texts", share=Share(part, 3))
        assert (done.value.left, done.value.units) == (left, len(NAMES))
        assert len(list(tmp_path.glob("*.txt"))) == len(NAMES) - left
    assert "Part 3/3 of the step is done; 0 of its 10 units" in str(done.value)


def made(folder: WorkFolder) -> None:
    run_units(unit_functions.write, units(folder.result), "", "texts", share=folder.share)
    # Two that do this at the same time, or one before all units are done, would leave more than one line, or fail.
    with (folder.path / "assembled").open("a") as file:
        file.write("".join(path.read_text() for path in sorted(folder.result.glob("*.txt"))) + "\n")
    folder.finish({"kind": "made"}, [f"{name}.txt" for name in NAMES])


SCRIPT = """
import sys
from pathlib import Path
import test_shares, unit_functions
from satsynth.work.placement import PartDone, Share
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace
project, share = sys.argv[1:]
(Path(project) / f"ready {share[0]}").touch()
unit_functions.wait_for(Path(project) / "go on")
try:
    print("whole", remembered(Workspace(project=project), test_shares.STEP, test_shares.made, Share.of(share)).found)
except PartDone as done:
    print("part", done.left)
"""


def test_four_processes_do_the_parts_of_one_step_and_the_last_one_assembles(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path), f"{part}/4"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for part in range(1, 5)
    ]
    for part in range(1, 5):
        unit_functions.wait_for(tmp_path / f"ready {part}")
    (tmp_path / "go on").touch()
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert {kind for kind, _ in said} <= {"part", "whole"} and ["whole", "False"] in said
    assert all(int(left) > 0 for kind, left in said if kind == "part")
    folder = WorkFolder(Workspace(project=str(tmp_path)).work, STEP)
    assert folder.finished and folder.damage() is None
    assert (folder.path / "assembled").read_text() == "".join(NAMES) + "\n"


def test_a_run_without_a_share_takes_over_what_parts_have_done(tmp_path: Path) -> None:
    workspace = Workspace(project=str(tmp_path))
    with pytest.raises(PartDone):
        remembered(workspace, STEP, made, Share(1, 2))
    first = WorkFolder(workspace.work, STEP).result / "unit 0.txt"
    before = first.stat().st_mtime_ns
    assert not remembered(workspace, STEP, made).found
    assert first.stat().st_mtime_ns == before
    assert remembered(workspace, STEP, made, Share(2, 2)).found


def test_parts_share_a_folder_that_nobody_else_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "ASSEMBLY", 0.2)
    with shared_work_folder(tmp_path, STEP, Share(1, 2)) as one, shared_work_folder(tmp_path, STEP, Share(2, 2)) as two:
        assert one.path == two.path and (one.share, two.share) == (Share(1, 2), Share(2, 2))
        with pytest.raises(ResourceError, match="is at work on the step 'made'"), work_folder(tmp_path, STEP):
            pass
    with (
        work_folder(tmp_path, STEP),
        pytest.raises(ResourceError, match=r"Process \d+ on .* is at work"),
        shared_work_folder(tmp_path, STEP, Share(1, 2)),
    ):
        pass


def test_a_shared_lock_and_a_lock_of_one_exclude_each_other(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    first, second, alone = SharedLock(file), SharedLock(file), FileLock(file)
    assert first.acquire() and second.acquire()
    first.release()
    with pytest.raises(TimeoutError):
        alone.acquire(timeout=0)
    second.release()
    with alone:
        assert not first.acquire()
    assert first.acquire()
    first.release()


def test_a_lock_whose_file_was_removed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.lock"
    flock = fcntl.flock

    def removed(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        file.unlink()

    monkeypatch.setattr(fcntl, "flock", removed)
    assert not SharedLock(file).acquire()
