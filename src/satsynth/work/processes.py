"""An engine that runs units of work by worker processes, each with its share of the cores."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from satsynth.work.errors import ResourceError
from satsynth.work.messages import OURS, End, ToCaller, log_here, log_only_by, sendable

if TYPE_CHECKING:
    from satsynth.work.units import Function, OnDone, OnEvent, Unit

_THREADS = "OMP_NUM_THREADS"


def cores() -> int:
    """Return the number of cores that this process may use: a scheduler may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(eq=False)
class _Worker:
    """A worker process.

    Args:
        process: The process.
        pipe: Takes units to it, and events and ends from it. Each worker has its own, because the death of a worker
            ends its pipe. That names its unit, and nobody waits for the rest of a message.
        number: Number of the unit at which it works.
    """

    process: BaseProcess
    pipe: Connection
    number: int = -1

    def take(self, number: int, unit: Unit) -> None:
        """Begin a unit."""
        self.number = number
        # The death of a worker is found where its messages are read.
        with suppress(OSError):
            self.pipe.send(unit)

    def message(self, unit: Unit) -> Any:
        """Return an event or the end of its unit.

        Raises:
            ResourceError: The process is dead.
        """
        try:
            received = self.pipe.recv_bytes()
        except (EOFError, OSError):
            self.process.join()
            raise _lost(unit, self.process.exitcode or 0) from None
        return pickle.loads(received)


def by_processes(function: Function, units: Sequence[Unit], workers: int, on_event: OnEvent, on_done: OnDone) -> None:
    """Run units by worker processes: an engine as `satsynth.work.units` describes it.

    After an error the other units at work come to their end; at Ctrl-C, and after an error of a callback, their
    processes are stopped.

    Args:
        function: A top-level function of ``(outcome, *arguments, report)``.
        units: The units, in the order in which they start.
        workers: How many processes.
        on_event: Called with a unit's number and an event that it reports.
        on_done: Called with a unit's number when it is done.

    Raises:
        ResourceError: A worker process was killed.
        Exception: The first error of a unit.
    """
    waiting = iter(enumerate(units))
    failure: BaseException | None = None
    team: list[_Worker] = []
    try:
        _start(team, function, min(workers, len(units)), max(1, cores() // workers))
        idle, running = list(team), dict[Any, _Worker]()
        while True:
            for number, unit in islice(waiting, 0 if failure else len(idle)):
                worker = idle.pop(0)
                running[worker.pipe] = worker
                worker.take(number, unit)
            if not running:
                break
            ready = [running[pipe] for pipe in connection.wait(list(running))]
            for worker in sorted(ready, key=lambda worker: worker.number):
                message = worker.message(units[worker.number])
                if isinstance(message, logging.LogRecord):
                    log_here(message)
                    continue
                if not isinstance(message, End):
                    on_event(worker.number, message)
                    continue
                idle.append(running.pop(worker.pipe))
                if message.error is None:
                    on_done(worker.number)
                elif failure is None:
                    failure = message.error
                    failure.add_note(f"In a worker process:\n{message.trace}")
    except BaseException:
        for worker in team:
            worker.process.terminate()
        raise
    finally:
        # A worker returns at the end of its pipe.
        for worker in team:
            worker.pipe.close()
        for worker in team:
            worker.process.join()
    if failure is not None:
        raise failure


def _start(team: list[_Worker], function: Function, number: int, threads: int) -> None:
    """Start worker processes and add them to ``team``, each with its share of the cores."""
    # A forked process would share locks of threads, and could not use CUDA.
    context = multiprocessing.get_context("spawn")
    # It unblocks SIGINT while it starts, so it must be there before SIGINT is blocked.
    resource_tracker.ensure_running()
    # A new process inherits blocked signals and the environment, so both hold while it imports its modules. Ctrl-C
    # reaches all processes of a terminal, but only this one acts on it. Libraries read the number of threads when they
    # are imported.
    before = os.environ.get(_THREADS)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        os.environ[_THREADS] = str(min(threads, int(before)) if before and before.isdigit() else threads)
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(function, theirs, logging.getLogger(OURS).getEffectiveLevel())
            )
            process.start()
            team.append(_Worker(process, ours))
            # The pipe ends with the worker only if nobody else holds its side.
            theirs.close()
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(function: Function, pipe: Connection, level: int) -> None:
    """Do units, in a worker process, until the pipe ends; what they log from a level on is sent too."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def report(event: Any) -> None:
        with lock:
            pipe.send(event)

    log_only_by(ToCaller(report), level)
    while True:
        try:
            received = pipe.recv_bytes()
        except EOFError:
            return
        try:
            unit: Unit = pickle.loads(received)
            function(unit.outcome, *unit.arguments, report)
        except BaseException as error:
            report(End(sendable(error), traceback.format_exc()))
        else:
            report(End())


def end_with_parent() -> None:
    """End a worker whose parent was killed: the same command may have begun its unit again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _lost(unit: Unit, code: int) -> ResourceError:
    """Return the error of a worker that ended in the middle of a unit."""
    if code >= 0:
        return ResourceError(
            f"A worker process ended while it worked on {unit.outcome} (exit code {code}).",
            "See the lines above for its own message. The same command goes on: all that was finished is kept.",
        )
    return ResourceError(
        f"A worker process was killed while it worked on {unit.outcome} ({signal.Signals(-code).name}); "
        "perhaps memory ran out.",
        "Run the same command again: all that was finished is kept. Fewer workers need less memory.",
    )
