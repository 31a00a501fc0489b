"""Starting the processes of a training by PyTorch's elastic launcher, and hearing from them.

They are started from within the one step that trains. Under ``torchrun kedro run`` each process would be a whole run,
with all steps before the training and all its tracking.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import distributed

from satsynth.training.device import choose_device, require_gpus
from satsynth.training.ranks import ALONE, LostRankError, Ranks
from satsynth.training.reporting import Report
from satsynth.training.settings import ComputeSettings
from satsynth.work.messages import OURS, End, ToCaller, log_here, log_only_by, sendable
from satsynth.work.processes import end_with_parent

# A look of the first process may take long, for which the others wait. The launcher finds processes that have died.
PATIENCE = timedelta(days=1)
_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
_LIBRARIES = ("torch.distributed.", "torch.multiprocessing.")


def in_ranks(
    function: Callable[..., object], arguments: Sequence[Any], compute: ComputeSettings, report: Report
) -> None:
    """Do a training in as many processes as are asked for; one is this process.

    Args:
        function: A top-level function of ``(*arguments, compute, report, ranks)``, which leaves its outcome in files.
        arguments: What all processes are given; picklable.
        compute: How many processes, and where.
        report: Takes what the first process reports, one call at a time.

    Raises:
        ResourceError: There are fewer GPUs than processes, or one of the processes was lost.
        Exception: The error of a process or of the report.
    """
    if compute.processes == 1:
        function(*arguments, compute, report, ALONE)
        return
    require_gpus(compute)
    threads = max(1, torch.get_num_threads() // compute.processes)
    listener = _Listener(report, compute.processes)
    level = logging.getLogger(OURS).getEffectiveLevel()
    exit_codes: list[int] = []
    try:
        exit_codes = _launch(
            compute.processes, _work, function, (*arguments, compute), compute, listener.senders, level, threads
        )
    finally:
        listener.close()
    if listener.failure is not None:
        raise listener.failure
    if exit_codes:
        raise _cause(listener.ends, exit_codes)


def _launch(processes: int, entry: Callable[..., object], *arguments: Any) -> list[int]:
    """Run a function in processes to its end, and return exit codes of those that failed first; none is good."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    received: signal.Signals | None = None
    with _own_signals(), _quiet():
        try:
            elastic_launch(config, entry)(*arguments)
        except ChildFailedError as error:
            return [failure.exitcode for failure in error.failures.values()]
        except SignalException as error:
            received = error.sigval
    if received is not None:
        # What it does where nothing is launched, such as KeyboardInterrupt at Ctrl-C.
        signal.raise_signal(received)
    return []


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back the handlers of signals that the launcher replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the launcher from logging what is said in one message of ours."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(_LIBRARIES)]
    loggers = [logger for name in names if not (logger := logging.getLogger(name)).disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


def _cause(ends: Sequence[End], exit_codes: Sequence[int]) -> BaseException:
    """Return why a training ended: the first error that is not the loss of another process."""
    for end in ends:
        if end.error is not None and not isinstance(end.error, LostRankError):
            end.error.add_note(f"In a process of the training:\n{end.trace}")
            return end.error
    killed = [signal.Signals(-code).name for code in exit_codes if code < 0]
    return LostRankError(f"was killed ({killed[0]})") if killed else LostRankError()


@dataclass(frozen=True)
class _Call:
    """A call of a method of the report.

    Args:
        method: Its name.
        arguments: Its arguments.
    """

    method: str
    arguments: tuple[Any, ...]


class _Sent:
    """A report that sends what it is told to the process that has started this one.

    Args:
        send: Sends a message.
    """

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Send metrics."""
        self._send(_Call("metrics", (step, dict(values))))

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        """Send pairs that were drawn."""
        self._send(_Call("pictures", (step, images, masks)))


class _Unheard(_Sent):
    """The report of the processes that do not lead."""

    def __init__(self) -> None:
        super().__init__(lambda message: None)


class _Listener:
    """Hears processes, in a thread of its own: the launcher needs the main thread, for signals.

    Args:
        report: Takes what they report.
        processes: How many there are.
    """

    def __init__(self, report: Report, processes: int) -> None:
        pipes = [Pipe(duplex=False) for _ in range(processes)]
        self._receivers = [receiver for receiver, _ in pipes]
        self.senders = [sender for _, sender in pipes]
        self.ends: list[End] = []
        self.failure: BaseException | None = None
        self._report = report
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take in what is left; all processes have ended."""
        for sender in self.senders:
            sender.close()
        self._thread.join()

    def _listen(self) -> None:
        try:
            self._hear()
        except BaseException as error:
            self.failure = error
        finally:
            # A process whose report nobody takes ends.
            for receiver in self._receivers:
                receiver.close()

    def _hear(self) -> None:
        known = list(self._receivers)
        while known:
            for receiver in connection.wait(known):
                assert isinstance(receiver, Connection)
                try:
                    message = receiver.recv()
                except (EOFError, OSError):
                    known.remove(receiver)
                    continue
                if isinstance(message, logging.LogRecord):
                    log_here(message)
                elif isinstance(message, End):
                    self.ends.append(message)
                else:
                    getattr(self._report, message.method)(*message.arguments)


def _work(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    compute: ComputeSettings,
    senders: Sequence[Connection],
    level: int,
    threads: int,
) -> None:
    """Do a training's part of one process; the launcher says in the environment which."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Ctrl-C reaches all processes of a terminal; the one that has started this one says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    for number, sender in enumerate(senders):
        if number != ranks.number:
            sender.close()
    lock = threading.Lock()

    def send(message: Any) -> None:
        with lock:
            senders[ranks.number].send(message)

    torch.set_num_threads(threads)
    log_only_by(ToCaller(send) if ranks.leads else logging.NullHandler(), level)
    try:
        with _group(compute):
            function(*arguments, _Sent(send) if ranks.leads else _Unheard(), ranks)
    except BaseException as error:
        with suppress(OSError):
            send(End(sendable(error), traceback.format_exc()))
        # Not by the usual way out, which would wait for processes that are no more.
        os._exit(1)


@contextmanager
def _group(compute: ComputeSettings) -> Iterator[None]:
    """Join the other processes; on CUDA, with the GPU of this one's number."""
    if choose_device(compute).type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    yield
    # Not after an error: it could wait for processes that are no more.
    distributed.destroy_process_group()
