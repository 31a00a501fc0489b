from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import unit_functions
from satsynth.work.errors import DataError, ResourceError
from satsynth.work.progress import Progress
from satsynth.work.units import Unit, run_units

TEXTS = ["one", "three", "fifteen", "seven", "four", "sixteen"]
TOTAL = sum(map(len, TEXTS))
how_to_run = pytest.mark.parametrize("how", ["turn", "threads", "processes"])


def units(folder: Path, *more: Any) -> list[Unit]:
    return [Unit(folder / f"{text}.txt", len(text), (text, *more)) for text in TEXTS]


def run(function: Any, folder: Path, how: Any, *more: Any, **given: Any) -> None:
    run_units(function, units(folder, *more), "Writing", "letters", how, workers=2, **given)


def written(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}


@pytest.fixture
def amounts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Where each progress stands: how much is done of how much."""
    seen = []
    update = Progress.update

    def noted(self: Progress, units: int = 1, note: str = "") -> None:
        update(self, units, note)
        seen.append((self.done, self.total))

    monkeypatch.setattr(Progress, "update", noted)
    return seen


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
def test_the_first_error_comes_as_it_is_and_nothing_done_is_lost(tmp_path: Path, how: str) -> None:
    with pytest.raises(DataError, match="three is wrong") as error:
        run(unit_functions.fail_at, tmp_path, how, "three")
    assert (error.value.problem, error.value.remedy) == ("three is wrong.", "Correct it.")
    before = written(tmp_path)
    assert "three" not in before and "sixteen" not in before, "no unit starts after an error"
    run(unit_functions.fail_at, tmp_path, how, "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


@how_to_run
def test_ctrl_c_starts_no_more_and_the_same_call_goes_on(tmp_path: Path, how: str) -> None:
    def on_event(unit: Unit, event: Any) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(unit_functions.interrupt_at, tmp_path, how, "fifteen", on_event=on_event)
    found = written(tmp_path)
    assert "sixteen" not in found and found.get("one") == "one"
    if how == "processes":
        assert "fifteen" not in found, "workers are stopped in the middle of their units"
    assert time.monotonic() - began < 30
    run(unit_functions.interrupt_at, tmp_path, how, "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


def test_a_killed_worker_is_named_by_its_unit(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"was killed while it worked on .*fifteen\.txt") as error:
        run(unit_functions.die_at, tmp_path, "processes", "fifteen")
    assert "same command again" in error.value.remedy
    run(unit_functions.die_at, tmp_path, "processes", "none")
    assert written(tmp_path) == {text: text for text in TEXTS}


def test_large_reports_do_not_keep_a_worker_from_its_end_after_an_error(tmp_path: Path) -> None:
    sizes: list[int] = []
    with pytest.raises(DataError, match="three is wrong"):
        run(
            unit_functions.report_much,
            tmp_path,
            "processes",
            "three",
            on_event=lambda unit, event: sizes.append(len(event)),
        )
    assert sizes == [1 << 20] * 8 and written(tmp_path) == {"one": "one"}


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
