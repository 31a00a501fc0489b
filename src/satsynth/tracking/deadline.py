"""Calls that end in time, whatever answers them: a timeout of a socket begins anew with every byte that arrives."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class LateError(Exception):
    """A call was not answered in time."""


def in_time(action: Callable[[], Result], seconds: float, what: str) -> Result:
    """Do something in a thread of its own, and leave it there if it does not end.

    Args:
        action: What to do.
        seconds: How long to wait.
        what: Its name, for the error.

    Raises:
        LateError: It did not end in time.
        Exception: Whatever it raised.
    """
    outcome: Future[Result] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(action))
        except BaseException as error:
            outcome.set_exception(error)

    # A daemon, for the process must not wait at its end for what nobody answers.
    threading.Thread(target=work, name="tracking call", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        if outcome.done():
            raise
        raise LateError(f"no answer to {what} within {seconds:.0f} s") from None


class Punctual:
    """An object of which every method ends in time.

    Args:
        inner: The object.
        seconds: Called at each call; how long it may take.
    """

    def __init__(self, inner: Any, seconds: Callable[[], float]) -> None:
        self._inner, self._seconds = inner, seconds

    def __getattr__(self, name: str) -> Any:
        """Return an attribute, or a method that raises `LateError` if it does not end in time."""
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        return lambda *values, **named: in_time(lambda: found(*values, **named), self._seconds(), name)
