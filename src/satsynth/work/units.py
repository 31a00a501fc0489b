"""Units of work: a function mapped over pieces of work, each of which leaves a file.

``run_units(function, units, title, noun, how="turn", workers=1, on_event=..., on_done=...)`` runs the units whose
outcome does not exist, so the same call goes on after any interruption. ``function(outcome, *arguments, report)`` is a
plain top-level function that renames its outcome into place. While it works it may call ``report(event)``: an `Advance`
moves the progress, and any other small, picklable event, such as metrics, reaches ``on_event(unit, event)``.

The callbacks run in the calling process, one call at a time: with threads in any of them, otherwise in the calling
thread. A function therefore tracks nothing by itself, and it is the same whether it runs in turn, by threads, by
processes or elsewhere. An empty title shows no progress, for units that show their own, such as trainings.

An engine runs the units that are not done: ``engine(function, units, workers, on_event, on_done)``. The engines of this
machine are registered in ``_ENGINES`` by their name in `How`; a `Placement` sends the same units to Ray instead. An
engine starts units in their order and calls ``on_event(number, event)`` for each report and ``on_done(number)`` after
the last report of a unit that succeeded. After the first error it starts no more, lets units at work end where it can,
and raises the error itself. At Ctrl-C it starts no more and raises KeyboardInterrupt.

With a `Share` only the units of one part run: several processes, on whatever machines, do the parts of one step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from satsynth.work.placement import HERE, PartDone, Placement, Share
from satsynth.work.processes import by_processes
from satsynth.work.progress import Progress

Report = Callable[[Any], None]
Function = Callable[..., object]
OnEvent = Callable[[int, Any], None]
OnDone = Callable[[int], None]
How = Literal["turn", "threads", "processes"]


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
        amount: How much, as in `Unit.size`; less than 0 where a unit begins again and what it did before is lost.
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
    placement: Placement = HERE,
    share: Share | None = None,
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
        placement: Where; Ray decides by itself how many units run at a time, and ``how`` and ``workers`` do not count.
        share: The part of the units that is done here; None does all.

    Raises:
        PartDone: The units of a share are done. It always ends so, also where the other parts have nothing left.
        ResourceError: A worker process was killed.
        Exception: The first error of a unit, as the unit raised it; finished units keep their outcomes.
    """
    if share is not None:
        run_units(function, share.units(units), title, noun, how, workers, on_event, on_done, placement)
        raise PartDone(share, sum(not unit.outcome.exists() for unit in units), len(units))
    missing = [unit for unit in units if not unit.outcome.exists()]
    if not missing:
        return
    left = [unit.size for unit in missing]
    total = sum(unit.size for unit in units)
    with _progress(total, title, noun, total - sum(left)) as advance:

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

        if placement.engine == "ray":
            # Ray is an extra.
            from satsynth.work.ray_engine import by_ray

            by_ray(function, missing, placement, event_of, done_with)
        else:
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

    waiting = iter(enumerate(units))
    running: dict[Future[object], int] = {}
    failure: BaseException | None = None
    # Threads cannot be stopped: the pool waits until those at work come to the end of their units.
    with ThreadPoolExecutor(workers) as pool:
        while True:
            # No more units are submitted than there are workers: memory is bounded, and after an error none is left
            # that the pool would still start.
            for number, unit in islice(waiting, 0 if failure else workers - len(running)):
                running[pool.submit(function, unit.outcome, *unit.arguments, partial(report, number))] = number
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(finished, key=running.__getitem__):
                number, error = running.pop(future), future.exception()
                failure = failure or error
                if error is None:
                    with lock:
                        on_done(number)
    if failure is not None:
        raise failure


_ENGINES: dict[str, Engine] = {"turn": _in_turn, "threads": _by_threads, "processes": by_processes}
