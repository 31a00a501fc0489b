"""Progress of long work: a bar on a terminal, a log line every so often elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger(__name__)
_FIRST_SECONDS = 5.0


def on_terminal() -> bool:
    """Return whether somebody watches a terminal; on a build server nobody does."""
    return sys.stderr.isatty() and os.environ.get("CI", "").lower() in ("", "0", "false")


class Progress:
    """Counts done units of work and shows rate and time left.

    Args:
        total: Units in all.
        title: What is being done.
        unit: Name of one unit, in the plural.
        done: Units that were done before.
        every: Seconds between log lines where there is no terminal.
        shown: Whether anything is shown; it counts all the same.
    """

    def __init__(
        self, total: int, title: str, unit: str, done: int = 0, every: float = 30.0, shown: bool = True
    ) -> None:
        """Start the clock."""
        self.total, self.title, self.unit, self.done = total, title, unit, done
        self._first, self._start, self._every = done, time.monotonic(), every
        # The first line comes early: it is the first to say how long this will take.
        self._shown = shown
        self._said = self._start - max(0.0, every - _FIRST_SECONDS)
        self._bar = (
            tqdm(total=total, initial=done, desc=title, unit=f" {unit}", dynamic_ncols=True, leave=False)
            if shown and on_terminal()
            else None
        )

    def update(self, units: int = 1, note: str = "") -> None:
        """Count ``units`` more as done."""
        self.done += units
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(units)
        elif self._shown and time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            left = (self.total - self.done) / self.rate if self.rate else float("nan")
            log.info(
                "%s: %d of %d %s, %.3g/s, about %.0f s left%s",
                self.title,
                self.done,
                self.total,
                self.unit,
                self.rate,
                left,
                f", {note}" if note else "",
            )

    @property
    def rate(self) -> float:
        """Units a second since the start of this process's part."""
        seconds = time.monotonic() - self._start
        return (self.done - self._first) / seconds if seconds > 0 else 0.0

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
