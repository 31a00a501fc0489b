"""Units of work: a function mapped over pieces of work whose outcome is a file each.

A unit is done when its outcome is there, so the same call goes on after any interruption. The function is a plain
top-level function ``function(outcome, *arguments, report)`` that puts the outcome into place itself. What it has to say
on the way it says by ``report(event)``: an `Advance` moves the progress, any other event (small and picklable, such as
metrics) reaches the caller's ``on_event`` in the calling process, one at a time. So progress and tracking are the same
whether units run in turn, by threads, by processes or elsewhere.

An engine runs the units that are not done: ``engine(function, units, workers, on_event, on_done)``. It starts them in
their order, calls ``on_event(number, event)`` and then ``on_done(number)`` in the calling process, one call at a time.
At the first error or Ctrl-C it starts no more and raises it as it is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from satsynth.work.errors import ResourceError
from satsynth.work.progress import Progress

Report = Callable[[Any], None]
Function = Callable[..., object]
OnEvent = Callable[[int, Any], None]
OnDone = Callable[[int], None]
How = Literal["turn", "threads", "processes"]
# Seconds between looks at what worker processes report.
_POLL = 0.05


@dataclass(frozen=True)
class Unit:
    """A piece of work.

    Args:
        outcome: The file that is there when it is done.
        size: How much it counts in the progress, such as its number of pairs.
        arguments: What the function is given beside the outcome: explicit, small and picklable.
    """

    outcome: Path
    size: int
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Advance:
    """A unit's report that a part of it is done.

    Args:
        amount: How much, as in `Unit.size`.
        note: A few words beside the progress.
    """

    amount: int
    note: str = ""


Engine = Callable[[Function, Sequence[Unit], int, OnEvent, OnDone], None]


def run_units(
    function: Function,
    units: Sequence[Unit],
    title: str,
    noun: str,
    how: How = "turn",
    workers: int = 1,
    on_event: Callable[[Unit, Any], None] = lambda unit, event: None,
    on_done: Callable[[Unit], None] = lambda unit: None,
) -> None:
    """Run all units that are not done.

    Args:
        function: A top-level function of ``(outcome, *arguments, report)``.
        units: The units, in the order in which they start.
        title: What is being done, for the progress; empty shows none, where units show their own.
        noun: What sizes count, in the plural.
        how: In turn in this process, by threads of it, or by processes of their own.
        workers: How many threads or processes.
        on_event: Called with a unit and an event that it reports, other than an `Advance`.
        on_done: Called with a unit when it is done.

    Raises:
        ResourceError: A worker process was killed.
        Exception: The first error of a unit, as the unit raised it; finished units keep their outcomes.
    """
    missing = [unit for unit in units if not unit.outcome.exists()]
    if not missing:
        return
    total, done = sum(unit.size for unit in units), sum(unit.size for unit in units if unit.outcome.exists())
    left = [unit.size for unit in missing]
    with _progress(total, title, noun, done) as advance:

        def event_of(number: int, event: Any) -> None:
            if isinstance(event, Advance):
                left[number] -= event.amount
                advance(event.amount, event.note)
            else:
                on_event(missing[number], event)

        def done_with(number: int) -> None:
            # Units need not report how far they are.
            if left[number]:
                advance(left[number], "")
            on_done(missing[number])

        _ENGINES[how](function, missing, workers, event_of, done_with)


@contextmanager
def _progress(total: int, title: str, noun: str, done: int) -> Iterator[Callable[[int, str], None]]:
    if not title:
        yield lambda amount, note: None
        return
    with Progress(total, title, noun, done) as progress:
        yield progress.update


def _in_turn(function: Function, units: Sequence[Unit], workers: int, on_event: OnEvent, on_done: OnDone) -> None:
    for number, unit in enumerate(units):
        function(unit.outcome, *unit.arguments, partial(on_event, number))
        on_done(number)


def _by_threads(function: Function, units: Sequence[Unit], workers: int, on_event: OnEvent, on_done: OnDone) -> None:
    lock = threading.Lock()

    def report(number: int, event: Any) -> None:
        with lock:
            on_event(number, event)

    def finished(number: int) -> None:
        with lock:
            on_done(number)

    def start(pool: Executor, number: int) -> Future[Any]:
        unit = units[number]
        return pool.submit(function, unit.outcome, *unit.arguments, partial(report, number))

    pool = ThreadPoolExecutor(workers)
    try:
        _feed(pool, start, len(units), workers, finished, lambda: None, None)
    finally:
        # Threads cannot be stopped: those at work come to the end of their unit.
        pool.shutdown(wait=True, cancel_futures=True)


def _by_processes(function: Function, units: Sequence[Unit], workers: int, on_event: OnEvent, on_done: OnDone) -> None:
    # A forked process would share locks of threads, and could not use CUDA.
    context = multiprocessing.get_context("spawn")
    events = context.SimpleQueue()
    threads = max(1, cores() // workers)
    pool = ProcessPoolExecutor(workers, context, _begin_worker, (events, threads))

    def start(pool: Executor, number: int) -> Future[Any]:
        return pool.submit(_in_worker, function, number, units[number])

    def drain() -> None:
        while not events.empty():
            on_event(*events.get())

    running: dict[Future[Any], int] = {}
    try:
        _feed(pool, start, len(units), workers, on_done, drain, _POLL, running)
    except BrokenProcessPool:
        names = ", ".join(units[number].outcome.name for number in sorted(running.values()))
        raise ResourceError(
            f"A worker process was killed while it worked on {names}; perhaps memory ran out.",
            "Type the same command again: all that was finished is kept. Fewer workers need less memory.",
        ) from None
    except Exception:
        for future in running:
            future.cancel()
        # Units at work come to their end. A worker whose reports nobody takes would wait for ever.
        while not all(future.done() for future in running):
            wait(running, _POLL)
            drain()
        raise
    except BaseException:
        _stop(pool)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _feed(
    pool: Executor,
    start: Callable[[Executor, int], Future[Any]],
    number: int,
    workers: int,
    on_done: OnDone,
    drain: Callable[[], None],
    poll: float | None,
    running: dict[Future[Any], int] | None = None,
) -> None:
    """Keep a pool busy.

    No more units are submitted than there are workers: memory is bounded, and after an error none is left that a pool
    would still start.
    """
    running = {} if running is None else running
    waiting = iter(range(number))
    while True:
        while len(running) < workers and (following := next(waiting, None)) is not None:
            running[start(pool, following)] = following
        if not running:
            return
        finished, _ = wait(running, poll, FIRST_COMPLETED)
        drain()
        for future in sorted(finished, key=running.__getitem__):
            future.result()
            on_done(running.pop(future))


# Set in worker processes.
_events: Any = None


def _begin_worker(events: Any, threads: int) -> None:
    global _events
    _events = events
    # Ctrl-C reaches all processes of a terminal; the first one decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Read when PyTorch is imported, which is later.
    os.environ["OMP_NUM_THREADS"] = str(threads)


def _in_worker(function: Function, number: int, unit: Unit) -> None:
    # A put ends when the event is on its way, so all events of a unit are there before its end is known.
    function(unit.outcome, *unit.arguments, lambda event: _events.put((number, event)))


def _stop(pool: ProcessPoolExecutor) -> None:
    """Stop the worker processes at once."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()


_ENGINES: dict[str, Engine] = {"turn": _in_turn, "threads": _by_threads, "processes": _by_processes}


def cores() -> int:
    """Return the number of cores that this process may use: a scheduler may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
