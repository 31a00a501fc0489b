"""Functions over units of work that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from satsynth.work.errors import DataError
from satsynth.work.files import atomic
from satsynth.work.units import Advance


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


def fail_at(outcome: Path, text: str, wrong: str, report: Any) -> None:
    """Write a text, but not the wrong one."""
    if text == wrong:
        raise DataError(f"{text} is wrong.", "Correct it.")
    time.sleep(0.05)
    write(outcome, text, report)


def interrupt_at(outcome: Path, text: str, last: str, report: Any) -> None:
    """Write a text; at the last one ask for an interruption and wait long."""
    if text == last:
        report("now")
        time.sleep(1.0)
    write(outcome, text, report)


def die_at(outcome: Path, text: str, last: str, report: Any) -> None:
    """Write a text, and be killed at one."""
    if text == last:
        os.kill(os.getpid(), signal.SIGKILL)
    write(outcome, text, report)


def report_much(outcome: Path, text: str, wrong: str, report: Any) -> None:
    """Report far more than a pipe holds while another unit fails."""
    if text == wrong:
        raise DataError(f"{text} is wrong.", "Correct it.")
    for _ in range(8):
        time.sleep(0.1)
        report(b"0" * (1 << 20))
    write(outcome, text, report)
