from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import unit_functions
from satsynth.work.errors import DataError, ResourceError
from satsynth.work.processes import cores
from satsynth.work.units import Unit, run_units

TEXTS = ["one", "three", "fifteen", "seven", "four", "sixteen"]
TOTAL = sum(map(len, TEXTS))
how_to_run = pytest.mark.parametrize("how", ["turn", "threads", "processes"])


def units(folder: Path, *more: Any) -> list[Unit]:
    return [Unit(folder / f"{text}.txt", len(text), (text, *more)) for text in TEXTS]


def run(function: Any, folder: Path, how: Any, *more: Any, workers: int = 2, **given: Any) -> None:
    run_units(function, units(folder, *more), "Writing", "letters", how, workers, **given)


def written(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}


@how_to_run
def test_all_units_are_done_and_counted(tmp_path: Path, how: str, amounts: list[tuple[int, int]]) -> None:
    run(unit_functions.write, tmp_path, how)
    assert written(tmp_path) == {text: text for text in TEXTS}
    assert len(amounts) == len(TEXTS) and amounts[-1] == (TOTAL, TOTAL)


@how_to_run
def test_units_that_are_done_are_not_done_again(tmp_path: Path, how: str, amounts: list[tuple[int, int]]) -> None:
    (tmp_path / "three.txt").write_text("before")
    run(unit_functions.write, tmp_path, how)
    assert written(tmp_path) == {**{text: text for text in TEXTS}, "three": "before"}
    assert amounts[0][0] > len("three") and amounts[-1] == (TOTAL, TOTAL)
    amounts.clear()
    run(unit_functions.write, tmp_path, how)
    assert not amounts, "nothing is left, so nothing is shown"


@how_to_run
def test_what_units_report_comes_in_their_order_to_the_calling_process(
    tmp_path: Path, how: str, amounts: list[tuple[int, int]]
) -> None:
    events: dict[str, list[Any]] = {}
    callers, at_once, inside = set(), [0], [0]

    def on_event(unit: Unit, event: Any) -> None:
        inside[0] += 1
        at_once[0] = max(at_once[0], inside[0])
        callers.add(os.getpid())
        events.setdefault(unit.outcome.stem, []).append(event)
        inside[0] -= 1

    done: list[str] = []
    run(
        unit_functions.write_and_tell,
        tmp_path,
        how,
        on_event=on_event,
        on_done=lambda unit: done.append((unit.outcome.stem, len(events[unit.outcome.stem]))),
    )
    processes = {found.pop()[1] for found in events.values()}
    assert {text: [letter for _, letter in found] for text, found in events.items()} == {t: list(t) for t in TEXTS}
    assert callers == {os.getpid()} and at_once == [1]
    assert (os.getpid() in processes) == (how != "processes")
    # Each end comes after all events of its unit.
    assert dict(done) == {text: len(text) + 1 for text in TEXTS}
    assert amounts[-1] == (TOTAL, TOTAL) and len(amounts) == TOTAL


@how_to_run
def test_units_start_in_their_order(tmp_path: Path, how: str) -> None:
    done: list[str] = []
    run(unit_functions.write, tmp_path, how, workers=1, on_done=lambda unit: done.append(unit.outcome.stem))
    assert done == TEXTS


@how_to_run
def test_the_first_error_comes_as_it_is_and_no_unit_starts_after_it(tmp_path: Path, how: str) -> None:
    with pytest.raises(DataError, match="three is wrong") as error:
        run(unit_functions.fail_at, tmp_path, how, "three", workers=1)
    assert (error.value.problem, error.value.remedy) == ("three is wrong.", "Correct it.")
    if how == "processes":
        assert "in fail_at" in error.value.__notes__[0], "the place of the error is kept"
    assert written(tmp_path) == {"one": "one"}
    run(unit_functions.fail_at, tmp_path, how, "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_units_at_work_come_to_their_end_after_an_error(tmp_path: Path, how: str) -> None:
    sizes: list[int] = []
    done: list[str] = []
    with pytest.raises(DataError, match="three is wrong"):
        run(
            unit_functions.fail_beside,
            tmp_path,
            how,
            "three",
            on_event=lambda unit, event: sizes.append(len(event)),
            on_done=lambda unit: done.append(unit.outcome.stem),
        )
    assert "one" in done and set(done) == set(written(tmp_path))
    assert sizes == [unit_functions.LARGE] * 8 * len(done)


@how_to_run
def test_an_error_that_cannot_be_sent_keeps_its_text(tmp_path: Path, how: str) -> None:
    with pytest.raises(Exception, match="1 and 3 are odd") as error:
        run(unit_functions.fail_oddly, tmp_path, how)
    assert isinstance(error.value, RuntimeError if how == "processes" else unit_functions.OddError)


@how_to_run
def test_an_error_of_the_caller_stops_the_work(tmp_path: Path, how: str) -> None:
    def on_event(unit: Unit, event: Any) -> None:
        raise ValueError("no room to note it")

    with pytest.raises(ValueError, match="no room"):
        run(unit_functions.report_much, tmp_path, how, on_event=on_event)
    assert not written(tmp_path)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@how_to_run
def test_ctrl_c_starts_no_more_and_the_same_call_goes_on(tmp_path: Path, how: str, interruptible: None) -> None:
    def on_event(unit: Unit, event: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        # Reached by a thread beside the main one, which is interrupted.
        (tmp_path / "go on").touch()

    with pytest.raises(KeyboardInterrupt):
        run(unit_functions.interrupt_at, tmp_path, how, "fifteen", workers=1, on_event=on_event)
    # A thread comes to the end of its unit; a process is stopped in the middle of it.
    assert set(written(tmp_path)) == {"one", "three", *(["fifteen"] if how == "threads" else [])}
    run(unit_functions.interrupt_at, tmp_path, how, "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


def test_a_killed_worker_is_named_by_its_unit(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"was killed while it worked on \S*fifteen\.txt \(SIGKILL\)") as error:
        run(unit_functions.die_at, tmp_path, "processes", "fifteen")
    assert "same command again" in error.value.remedy
    run(unit_functions.die_at, tmp_path, "processes", "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


def test_a_worker_killed_within_a_report_holds_nothing_up(tmp_path: Path) -> None:
    def on_event(unit: Unit, process: Any) -> None:
        # Until then it has filled the pipe, which nobody reads, with half a report.
        time.sleep(0.3)
        os.kill(process, signal.SIGKILL)

    with pytest.raises(ResourceError, match=r"was killed while it worked on \S*one\.txt"):
        run(unit_functions.report_much, tmp_path, "processes", workers=1, on_event=on_event)


@pytest.mark.parametrize("given", [None, "1", "4096"])
def test_worker_processes_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    for workers in (1, 2):
        share, found = max(1, cores() // workers), set[str]()
        folder = tmp_path / str(workers)
        run(
            unit_functions.tell_threads,
            folder,
            "processes",
            workers=workers,
            on_event=lambda unit, event, found=found: found.add(event),
        )
        assert found == {str(min(share, int(given or share)))}, "a user's smaller number holds"
    assert os.environ.get("OMP_NUM_THREADS") == given


SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
import {module}
from satsynth.work.units import Unit, run_units
if __name__ == "__main__":
    units = [Unit(Path(sys.argv[1]) / f"{{name}}.txt", 1, (name,)) for name in ("a", "b")]
    try:
        run_units({module}.{function}, units, "", "letters", "processes", 2)
    except KeyboardInterrupt:
        print("stopped")
"""


def started(folder: Path, module: str, function: str) -> subprocess.Popen[str]:
    """Run units in a Python of its own, in a group of processes as a terminal has it."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(module=module, function=function))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


SLOW_IMPORT = """
import multiprocessing, os
from pathlib import Path
import unit_functions
from satsynth.work.files import atomic

here = Path(__file__).parent
name = multiprocessing.current_process().name
if name != "MainProcess":
    with atomic(here / name) as temporary:
        temporary.write_text(str(os.getpid()))
    unit_functions.wait_for(here / "go on")

def work(outcome, text, report):
    unit_functions.write(outcome, text, report)
"""


def test_ctrl_c_does_not_reach_workers_that_still_import(tmp_path: Path) -> None:
    (tmp_path / "importing.py").write_text(SLOW_IMPORT)
    process = started(tmp_path, "importing", "work")
    try:
        for name in ("SpawnProcess-1", "SpawnProcess-2"):
            unit_functions.wait_for(tmp_path / name)
            os.kill(int((tmp_path / name).read_text()), signal.SIGINT)
        (tmp_path / "go on").touch()
        assert process.communicate(timeout=60)[0] == ""
        assert written(tmp_path) == {"a": "a", "b": "b"}
    finally:
        process.kill()


def test_ctrl_c_at_a_terminal_shows_one_message(tmp_path: Path) -> None:
    process = started(tmp_path, "unit_functions", "linger")
    try:
        for name in ("a", "b"):
            unit_functions.wait_for(tmp_path / f"{name}.pid")
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "stopped\n"
    finally:
        (tmp_path / "go on").touch()
        process.kill()


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process = started(tmp_path, "unit_functions", "linger")
    try:
        numbers = [tmp_path / f"{name}.pid" for name in ("a", "b")]
        for number in numbers:
            unit_functions.wait_for(number)
        workers = [psutil.Process(int(number.read_text())) for number in numbers]
        process.kill()
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
    finally:
        (tmp_path / "go on").touch()
        process.kill()


def test_threads_do_their_units_side_by_side(tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(outcome: Path, text: str, report: Any) -> None:
        meeting.wait()
        unit_functions.write(outcome, text, report)

    run(meet, tmp_path, "threads")
    assert len(written(tmp_path)) == len(TEXTS)


def test_without_a_title_no_progress_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_units(unit_functions.write_and_tell, units(tmp_path), "", "letters")
    assert not caplog.messages and len(written(tmp_path)) == len(TEXTS)


@how_to_run
def test_what_units_log_is_logged_here(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "satsynth"):
        run(unit_functions.talk, tmp_path, how)
    found = [(record.name, record.levelname, record.getMessage().splitlines()[0]) for record in caplog.records]
    for text in TEXTS:
        assert found.count(("satsynth.made", "INFO", f"{text} begins")) == 1
        assert found.count(("satsynth.made", "WARNING", f"{text} is odd")) == 1
    assert not any("in detail" in message for _, _, message in found)
    assert caplog.text.count("ValueError: ") == len(TEXTS)
