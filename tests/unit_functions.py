"""Functions over units of work that worker processes can import."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from satsynth.work.errors import DataError
from satsynth.work.files import atomic
from satsynth.work.units import Advance

LARGE = 1 << 20  # bytes: more than a pipe holds


class OddError(Exception):
    """An error that is pickled, but cannot be read again."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right} are odd")


def wait_for(mark: Path) -> None:
    """Wait for a file, or a minute."""
    for _ in range(6000):
        if mark.exists():
            return
        time.sleep(0.01)


def write(outcome: Path, text: str, report: Any) -> None:
    """Write a text."""
    with atomic(outcome) as temporary:
        temporary.write_text(text)


def write_and_tell(outcome: Path, text: str, report: Any) -> None:
    """Write a text, letter by letter."""
    for place, letter in enumerate(text):
        report((place, letter))
        report(Advance(1, letter))
    write(outcome, text, report)
    report(("process", os.getpid()))


def meet_and_tell(outcome: Path, text: str, report: Any) -> None:
    """Write a text, letter by letter, as soon as another process is there for other texts."""
    outcome.with_name(f"{os.getpid()}.here").touch()
    for _ in range(6000):
        if len(list(outcome.parent.glob("*.here"))) > 1:
            break
        time.sleep(0.01)
    write_and_tell(outcome, text, report)


def fail_at(outcome: Path, text: str, wrong: str, report: Any) -> None:
    """Write a text, but not the wrong one."""
    if text == wrong:
        raise DataError(f"{text} is wrong.", "Correct it.")
    write(outcome, text, report)


def fail_oddly(outcome: Path, text: str, report: Any) -> None:
    """Raise an error that cannot be sent from one process to another."""
    raise OddError(1, 3)


def fail_beside(outcome: Path, text: str, wrong: str, report: Any) -> None:
    """Fail at the wrong text; all others wait for that and report much."""
    mark = outcome.with_name("failed")
    if text == wrong:
        mark.touch()
        raise DataError(f"{text} is wrong.", "Correct it.")
    wait_for(mark)
    for _ in range(8):
        report(b"0" * LARGE)
    write(outcome, text, report)


def fail_when_told(outcome: Path, text: str, wrong: str, report: Any) -> None:
    """Fail at the wrong text when there is a file `go`; all others report, and wait for that."""
    failed = outcome.with_name("failed")
    if text == wrong:
        wait_for(outcome.with_name("go"))
        failed.touch()
        raise DataError(f"{text} is wrong.", "Correct it.")
    report(text)
    wait_for(failed)
    write(outcome, text, report)


def interrupt_at(outcome: Path, text: str, last: str, report: Any) -> None:
    """Write a text; at the last one ask for an interruption and wait."""
    if text == last:
        report("now")
        wait_for(outcome.with_name("go on"))
    write(outcome, text, report)


def die_at(outcome: Path, text: str, last: str, report: Any) -> None:
    """Write a text, and be killed at one."""
    if text == last:
        os.kill(os.getpid(), signal.SIGKILL)
    write(outcome, text, report)


def report_much(outcome: Path, text: str, report: Any) -> None:
    """Report the process and then far more than a pipe holds."""
    report(os.getpid())
    for _ in range(8):
        report(b"0" * LARGE)
    write(outcome, text, report)


def tell_threads(outcome: Path, text: str, report: Any) -> None:
    """Report how many threads libraries may start."""
    report(os.environ["OMP_NUM_THREADS"])
    write(outcome, text, report)


def linger(outcome: Path, text: str, report: Any) -> None:
    """Leave the number of the process beside the outcome, and wait without an end."""
    with atomic(outcome.with_suffix(".pid")) as temporary:
        temporary.write_text(str(os.getpid()))
    wait_for(outcome.with_name("go on"))


def talk(outcome: Path, text: str, report: Any) -> None:
    """Log what a unit may log, and write the text."""
    log = logging.getLogger("satsynth.made")
    log.debug("%s in detail", text)
    log.info("%s begins", text)
    try:
        raise ValueError(text)
    except ValueError:
        log.warning("%s is odd", text, exc_info=True)
    write(outcome, text, report)


def tell_place(outcome: Path, text: str, report: Any) -> None:
    """Report how far it is, and the process and the machine of Ray at the first attempt, which then does not go on."""
    import ray

    report(Advance(1))
    first = outcome.with_suffix(".first")
    if not first.exists():
        first.touch()
        report((os.getpid(), ray.get_runtime_context().get_node_id()))
        wait_for(outcome.with_name("go on"))
    write(outcome, text, report)
