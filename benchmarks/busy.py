"""How fast training, sampling and a segmentation training are on a busy machine, with and without satsynth's setting.

    python benchmarks/busy.py

Sizes are those of `conf/base`, on made data. Each rate is that of a process of its own: on the idle machine, beside
1, 2 and 4 processes that compute without end, and beside a second satsynth that trains a generator. `default` is GNU
OpenMP's own way of waiting, `satsynth` what satsynth sets; others are given as in `--settings default
GOMP_SPINCOUNT=3000 OMP_WAIT_POLICY=PASSIVE`. All settings take turns in every round, so that a drift of the machine
meets all of them; the table has medians over rounds, and shares of what is fair: c / (c + n) of the first setting's
idle rate in the same round, beside n processes on c cores (a second satsynth counts as c).

Everything runs in one session: Linux shares cores among sessions first (autogroup), then among their processes.
A measurement in which other programs took more than a tenth of a core is repeated, up to ten times in a row.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil
import torch
from measures import NETWORK, parameters
from torch.nn import functional as F

from satsynth.diffusion.averaged import optimizer_for
from satsynth.diffusion.drawing import JointDrawer
from satsynth.diffusion.generator import Generator
from satsynth.diffusion.losses import denoising_step
from satsynth.diffusion.settings import DiffusionSettings
from satsynth.generation.drawers import Request
from satsynth.generation.settings import SamplingSettings
from satsynth.segmentation.networks import build_network
from satsynth.training.settings import ComputeSettings, cores

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SETTINGS = {"default": {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}, "satsynth": {}}
SIDE, CLASSES, SEGMENTATION_BATCH = 128, 7, 16
DENOISING_STEPS = 5
OTHERS, ATTEMPTS = 0.1, 10
# Ends with the benchmark, also when that is killed: it would disturb all that is measured later.
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
CPU, COMPUTE = torch.device("cpu"), ComputeSettings(device="cpu")
SATSYNTH = "satsynth"


def training() -> tuple[Callable[[int], object], float]:
    """Return a step of training the generator and the number of images in it."""
    settings = DiffusionSettings(**parameters().diffusion)
    generator = Generator(settings.model, CLASSES)
    network = generator.denoiser.to(memory_format=torch.channels_last)
    optimizer = optimizer_for(network, settings)
    step_loss = denoising_step(generator, settings, CPU, COMPUTE)
    images, masks = _batch(settings.batch_size)

    def step(number: int) -> None:
        for loss, _ in step_loss(images, masks, number):
            loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()

    return step, settings.batch_size


def sampling() -> tuple[Callable[[int], object], float]:
    """Return the drawing of a batch in a few denoising steps and the number of pairs that this is worth."""
    settings, batch = DiffusionSettings(**parameters().diffusion), SamplingSettings().batch_size
    generator = Generator(settings.model, CLASSES)
    generator.denoiser.to(memory_format=torch.channels_last).eval()
    few = settings.drawing.model_copy(update={"steps": DENOISING_STEPS})
    drawer = JointDrawer(generator, SIDE, few, CPU, COMPUTE)
    worth = batch * DENOISING_STEPS / settings.drawing.steps
    return lambda number: drawer.draw(range(batch), Request(0)), worth


def segmentation() -> tuple[Callable[[int], object], float]:
    """Return a step of a segmentation training and the number of images in it."""
    network = build_network(NETWORK, CLASSES).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    images, masks = _batch(SEGMENTATION_BATCH)

    def step(number: int) -> None:
        F.cross_entropy(network(images), masks).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, SEGMENTATION_BATCH


def _batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(size, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    return images, torch.randint(0, CLASSES, (size, SIDE, SIDE))


WORK = {"training": training, "sampling": sampling, "segmentation": segmentation}


def work(kind: str) -> None:
    """Do one kind of work whenever a line on standard input says for how many seconds, and answer with the rate."""
    step, images = WORK[kind]()
    print("ready", flush=True)
    for line in sys.stdin:
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < float(line):
            step(steps)
            steps += 1
        print(steps * images / (time.perf_counter() - began), flush=True)


class Worker:
    """A process that works when it is asked to.

    Args:
        kind: What it does.
        setting: Name of a setting, or NAME=VALUE of the environment.
    """

    def __init__(self, kind: str, setting: str) -> None:
        """Start it; its first answer says that it is ready."""
        own = {name: value for name, value in os.environ.items() if name not in WAITING}
        given = SETTINGS[setting] if setting in SETTINGS else dict([setting.split("=", 1)])
        command = [sys.executable, __file__, "--process", kind]
        pipe = subprocess.PIPE
        self.kind = kind
        self.process = subprocess.Popen(command, env=own | given, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def ask(self, seconds: float) -> None:
        """Let it work for some seconds, and the rest of a step."""
        assert self.process.stdin
        self.process.stdin.write(f"{seconds}\n")

    def answer(self) -> str:
        """Wait for its answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The process of {self.kind} ended early.")
        return line.strip()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep some processes computing."""
    processes = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(number)]
    time.sleep(0.3)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _used() -> tuple[float, float]:
    """Return the processor seconds that all processes have used and those of this one and its children."""
    times = psutil.cpu_times()
    known = [psutil.Process(), *psutil.Process().children()]
    own = sum(process.cpu_times().user + process.cpu_times().system for process in known)
    return sum(times) - times.idle - getattr(times, "iowait", 0.0), own


def quiet_rate(worker: Worker, neighbour: Worker | None, seconds: float) -> float:
    """Return the rate of a worker, measured again where other programs disturbed it.

    Raises:
        SystemExit: They disturbed it each time.
    """
    for _ in range(ATTEMPTS):
        if neighbour is not None:
            neighbour.ask(seconds + 1)
            time.sleep(0.5)
        (all_before, own_before), began = _used(), time.monotonic()
        worker.ask(seconds)
        rate = float(worker.answer())
        (all_after, own_after), took = _used(), time.monotonic() - began
        if neighbour is not None:
            neighbour.answer()
        others = (all_after - all_before - (own_after - own_before)) / took
        if others < OTHERS:
            return rate
        print(f"Other programs took {others:.0%} of a core: measured again.", file=sys.stderr)
    raise SystemExit("Other programs keep this machine busy: end them, and start the benchmark again.")


def measured(
    kind: str, settings: Sequence[str], beside: Sequence[str], rounds: int, seconds: float
) -> dict[tuple[str, str], list[float]]:
    """Return the rates in each round, by what runs beside and by setting."""
    rates: dict[tuple[str, str], list[float]] = {(load, setting): [] for load in beside for setting in settings}
    with ExitStack() as stack:
        workers = {setting: Worker(kind, setting) for setting in settings}
        neighbours = {setting: Worker("training", setting) for setting in settings if SATSYNTH in beside}
        for worker in (*workers.values(), *neighbours.values()):
            stack.callback(worker.close)
        for worker in (*workers.values(), *neighbours.values()):
            worker.answer()
        for worker in (*workers.values(), *neighbours.values()):
            worker.ask(1.0)  # Warms up, one after another.
            worker.answer()
        for turn in range(rounds):
            order = [*settings[turn % len(settings) :], *settings[: turn % len(settings)]]
            for load in beside:
                with busy_processes(0 if load == SATSYNTH else int(load)):
                    for setting in order:
                        neighbour = neighbours[setting] if load == SATSYNTH else None
                        rate = quiet_rate(workers[setting], neighbour, seconds)
                        rates[load, setting].append(rate)
                        print(f"{kind} beside {load}, {setting}: {rate:.2f}", file=sys.stderr)
    return rates


def rows(kind: str, settings: Sequence[str], rates: dict[tuple[str, str], list[float]]) -> Iterator[dict[str, str]]:
    """Return a row for each load."""
    names = {"0": "nothing", SATSYNTH: "a second satsynth"}
    base = rates["0", settings[0]]
    for load in dict.fromkeys(load for load, _ in rates):
        processes = cores() if load == SATSYNTH else int(load)
        fair = cores() / (cores() + processes)
        row = {"work": kind, "beside": names.get(load, f"{load} busy"), "fair": f"{fair:.0%}"}
        for setting in settings:
            found = rates[load, setting]
            share = statistics.median(rate / idle for rate, idle in zip(found, base, strict=True))
            row[f"{setting}, images/s"] = f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})"
            row[f"{setting}, of idle"] = f"{share:.0%}"
            row[f"{setting}, of fair"] = f"{share / fair:.0%}"
        yield row


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", nargs="+", default=list(WORK), choices=WORK)
    arguments.add_argument("--settings", nargs="+", default=list(SETTINGS), help="`default`, `satsynth` or NAME=VALUE")
    arguments.add_argument("--beside", nargs="+", default=["1", "2", "4", SATSYNTH], help="numbers, or `satsynth`")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=3.0, help="length of a measurement")
    arguments.add_argument("--process", choices=WORK, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.process:
        work(given.process)
        return
    found: list[dict[str, str]] = []
    for kind in given.work:
        rates = measured(kind, given.settings, ["0", *given.beside], given.rounds, given.seconds)
        found += rows(kind, given.settings, rates)
    for line in (list(found[0]), ["---"] * len(found[0]), *(row.values() for row in found)):
        print("|", " | ".join(line), "|")


if __name__ == "__main__":
    main()
