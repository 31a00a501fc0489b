"""What a process that does units sends back to the one that has started it, beside the events of its units."""

from __future__ import annotations

import copy
import logging
import pickle
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from satsynth.work.units import Report

OURS = "satsynth"


@dataclass(frozen=True)
class End:
    """A worker's last message about a unit; all others are events.

    Args:
        error: What the unit raised.
        trace: Where, as text: a traceback cannot leave its process.
    """

    error: BaseException | None = None
    trace: str = ""


class ToCaller(logging.Handler):
    """Sends what is logged to the process that has started this one: here nothing shows it."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record as text: what it is about may not leave its process."""
        sent = copy.copy(record)
        sent.msg, sent.args = self.format(record), None
        sent.exc_info = sent.exc_text = sent.stack_info = None
        self._report(sent)


def log_only_by(handler: logging.Handler, level: int) -> None:
    """Let a handler have all that this process logs, ours from a level on.

    A process that is started anew imports the program that was called, which may set up logging for a user. All would
    be said twice.
    """
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
    logging.root.addHandler(handler)
    logging.getLogger(OURS).setLevel(level)


def log_here(record: logging.LogRecord) -> None:
    """Log what a worker has logged, as this process logs."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def sendable(error: BaseException) -> BaseException:
    """Return an error, or its text where it does not survive pickling."""
    with suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")
