"""An engine that runs units of work on Ray: by workers of this machine, or of all machines of a cluster.

Units write their outcomes to folders that all machines share, so nothing large travels through Ray. What a unit reports
comes back while it works. A unit whose worker or machine was lost is started again, and loses nothing but itself.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from satsynth.work.errors import ResourceError
from satsynth.work.messages import OURS, End, ToCaller, log_here, sendable
from satsynth.work.placement import Placement
from satsynth.work.ray_cluster import connected, in_words, require_ray, rooms

if TYPE_CHECKING:
    from satsynth.work.units import Function, OnDone, OnEvent, Unit

log = logging.getLogger(__name__)
# Seconds until a worker should see a file that was just written: network file systems remember what was not there.
_SEEN_WITHIN = 5.0
# Seconds between looks at which machines the cluster has, where nothing is reported.
_LOOK = 5.0


class _Begun:
    """A worker's first message about a unit."""


def by_ray(function: Function, units: Sequence[Unit], placement: Placement, on_event: OnEvent, on_done: OnDone) -> None:
    """Run units by workers of Ray: an engine as `satsynth.work.units` describes it.

    After an error the other units at work come to their end, and those that only wait are withdrawn; at Ctrl-C, and
    after an error of a callback, all are stopped.

    Args:
        function: A top-level function of ``(outcome, *arguments, report)``.
        units: The units, in the order in which they start.
        placement: How they run on Ray.
        on_event: Called with a unit's number and an event that it reports.
        on_done: Called with a unit's number when it is done.

    Raises:
        ResourceError: There is no cluster, no machine that can run a unit, or none that sees the folders of results; or
            a unit lost its worker too often.
        Exception: The first error of a unit.
    """
    require_ray()
    with connected(placement.ray), _token(units) as token:
        crew = _Crew(function, units, token, placement)
        try:
            failure = crew.run(on_event, on_done)
        except BaseException:
            crew.stop()
            raise
    if failure is not None:
        raise failure


@contextmanager
def _token(units: Sequence[Unit]) -> Iterator[Path]:
    """Write a file by which a worker finds out whether it sees the folders into which units write."""
    common = Path(os.path.commonpath([unit.outcome.parent for unit in units])).parent
    folder = next(place for place in (common, *common.parents) if place.exists())
    # A killed run leaves it where half-written files are swept.
    token = folder / f".ray-{uuid.uuid4().hex[:8]}.tmp"
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


@dataclass(eq=False)
class _Attempt:
    """A unit that Ray runs or has yet to run.

    Args:
        number: Its number.
        messages: Yields references to its messages.
        begun: Whether a worker has taken it.
        advanced: How far it is.
    """

    number: int
    messages: Any
    begun: bool = False
    advanced: int = 0


class _Crew:
    """Workers of Ray, and the units that they do.

    Args:
        function: Does a unit.
        units: The units.
        token: What every worker must see.
        placement: How they run.
    """

    def __init__(self, function: Function, units: Sequence[Unit], token: Path, placement: Placement) -> None:
        import ray

        self._ray: Any = ray
        used = placement.resources
        memory: dict[str, Any] = {} if used.memory_gb is None else {"memory": int(used.memory_gb * 1e9)}
        # A worker does many units, so that it loads a generator once. Ray's own retries would not say that a unit
        # begins again.
        self._task: Any = self._ray.remote(
            num_cpus=used.cores, num_gpus=used.gpus, max_calls=0, max_retries=0, num_returns="streaming", **memory
        )(_work)
        self._function, self._units, self._token = function, units, token
        self._settings, self._used = placement.ray, used
        self._waiting = deque(range(len(units)))
        self._lost = [0] * len(units)
        self._running: dict[Any, _Attempt] = {}
        self._failure: BaseException | None = None

    def run(self, on_event: OnEvent, on_done: OnDone) -> BaseException | None:
        """Do all units; return the first error of one."""
        while True:
            self._start()
            if not self._running:
                return self._failure
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK)
            for messages in ready:
                self._take(self._running[messages], on_event, on_done)

    def stop(self) -> None:
        """Stop all units at once."""
        for messages in self._running:
            self._ray.cancel(messages, force=True)

    def _start(self) -> None:
        """Start as many units as there is room for."""
        begun = any(one.begun for one in self._running.values())
        if self._failure is not None or (not self._waiting and (begun or not self._running)):
            return
        room = rooms([node["Resources"] for node in self._ray.nodes() if node["Alive"]], self._used)
        if not room and not begun and self._settings.at_once is None:
            raise ResourceError(
                f"No machine of the Ray cluster has what a unit needs: {in_words(self._used)}.",
                "Lower `compute.ray.cores`, `compute.ray.gpus` or `compute.ray.memory_gb`, or add such a machine.",
            )
        while self._waiting and len(self._running) < (self._settings.at_once or room):
            number = self._waiting.popleft()
            level = logging.getLogger(OURS).getEffectiveLevel()
            messages = self._task.remote(self._function, self._units[number], self._token, level)
            self._running[messages] = _Attempt(number, messages)

    def _take(self, attempt: _Attempt, on_event: OnEvent, on_done: OnDone) -> None:
        """Take the next message of a unit."""
        from satsynth.work.units import Advance

        try:
            message = self._ray.get(next(attempt.messages))
        except self._ray.exceptions.TaskCancelledError:
            del self._running[attempt.messages]
            return
        except (StopIteration, self._ray.exceptions.RayError) as error:
            del self._running[attempt.messages]
            self._again(attempt, error, on_event)
            return
        if isinstance(message, _Begun):
            attempt.begun = True
        elif isinstance(message, logging.LogRecord):
            log_here(message)
        elif isinstance(message, End):
            del self._running[attempt.messages]
            if message.error is None:
                on_done(attempt.number)
            else:
                message.error.add_note(f"In a worker of Ray:\n{message.trace}")
                self._fail(message.error)
        else:
            if isinstance(message, Advance):
                attempt.advanced += message.amount
            on_event(attempt.number, message)

    def _again(self, attempt: _Attempt, error: Exception, on_event: OnEvent) -> None:
        """Put a unit whose worker was lost first in the queue."""
        from satsynth.work.units import Advance

        outcome, number = self._units[attempt.number].outcome, attempt.number
        if isinstance(error, self._ray.exceptions.RayTaskError):
            # The worker could not even begin: it lacks a module, for example.
            self._fail(RuntimeError(f"A worker of Ray cannot do {outcome}: {error}"))
            return
        kind = type(error).__name__
        self._lost[number] += 1
        if self._lost[number] > self._settings.retries:
            self._fail(
                ResourceError(
                    f"The worker of Ray at {outcome} was lost {self._lost[number]} times ({kind}); perhaps memory "
                    "ran out.",
                    "Run the same command again: all that was finished is kept. Declare more memory by "
                    "`compute.ray.memory_gb`, so that fewer units run at a time.",
                )
            )
            return
        log.warning("The worker of Ray at %s was lost (%s); it is started again.", outcome, kind)
        on_event(number, Advance(-attempt.advanced))
        self._waiting.appendleft(number)

    def _fail(self, error: BaseException) -> None:
        """Keep the first error, and withdraw the units that no worker has begun."""
        self._failure = self._failure or error
        for messages, attempt in self._running.items():
            if not attempt.begun:
                self._ray.cancel(messages)


def _work(function: Function, unit: Unit, token: Path, level: int) -> Iterator[Any]:
    """Do a unit in a worker of Ray; yield what it reports and logs, and its end."""
    yield _Begun()
    if not _seen(token, _SEEN_WITHIN):
        yield End(
            ResourceError(
                f"A worker of Ray on the machine {socket.gethostname()} does not see {token.parent}, into which units "
                "write their results.",
                "Share the project's folder `data/` between all machines of the cluster, under the same path; or set "
                "--params=compute.engine=local.",
            )
        )
        return
    mailbox: SimpleQueue[Any] = SimpleQueue()
    handler = ToCaller(mailbox.put)
    logging.getLogger().addHandler(handler)
    logging.getLogger(OURS).setLevel(level)

    def work() -> None:
        try:
            function(unit.outcome, *unit.arguments, mailbox.put)
        except BaseException as error:
            mailbox.put(End(sendable(error), traceback.format_exc()))
        else:
            mailbox.put(End())

    # Ray takes messages from the thread of the task only.
    threading.Thread(target=work, daemon=True).start()
    message = None
    while not isinstance(message, End):
        message = mailbox.get()
        yield message
    logging.getLogger().removeHandler(handler)


def _seen(file: Path, within: float) -> bool:
    """Return whether a file is there, or is within some seconds."""
    until = time.monotonic() + within
    while not file.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
