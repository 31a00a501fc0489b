"""The training loop: budgets in images, checkpoints in between, the same result whether interrupted or not."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from satsynth.pairs.mixtures import Stream
from satsynth.pairs.stream import batches, loader_deaths
from satsynth.training.checkpoint import load_checkpoint, save_checkpoint
from satsynth.training.ranks import ALONE, Ranks
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.progress import Progress

log = logging.getLogger(__name__)
MOST_BAD_STEPS = 10


class Saved(Protocol):
    """Anything with a state that a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take the state back."""
        ...


MetricLog = Callable[[int, Mapping[str, float]], None]
# The loss of a part of a batch, and more scalars by name; those of all parts add up to those of the batch.
PartLoss = tuple[torch.Tensor, Mapping[str, torch.Tensor]]
StepLoss = Callable[[torch.Tensor, torch.Tensor, int], Iterator[PartLoss]]


@dataclass(kw_only=True)
class Course(ABC):
    """A training under way, of whatever kind of step.

    Args:
        title: What is shown beside the progress.
        network: The trained network, on its device.
        steps: Steps in all.
        batch_size: Pairs a step.
        parts: All that a checkpoint holds, by name.
        after_step: Called after each step with the number of steps done; metrics that it returns are logged.
        log_every: Steps between log points.
        ranks: The processes that train it; each has the same network and its rows of every batch.
    """

    title: str
    network: nn.Module
    steps: int
    batch_size: int
    parts: Mapping[str, Saved]
    after_step: Callable[[int], Mapping[str, float]] = lambda done: {}
    log_every: int = 20
    ranks: Ranks = ALONE
    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, torch.Tensor] = field(default_factory=dict)

    @abstractmethod
    def step(self, images: torch.Tensor, masks: torch.Tensor, done: int) -> Mapping[str, torch.Tensor]:
        """Take one step, on a batch on the network's device.

        Args:
            images: ``(B, 3, H, W)`` in [-1, 1]; the rows of this process.
            masks: ``(B, H, W)`` of class indices, 255 = ignore.
            done: Steps done before.

        Returns:
            Scalars to log, among them ``loss`` and ``gradient_norm``; the latter is not finite where the step was left
            out.
        """

    @abstractmethod
    def rate(self, done: int) -> float:
        """Return the learning rate of a step, counted from 0."""


@dataclass(kw_only=True)
class Training(Course):
    """A training by one loss and one optimizer.

    Args:
        optimizer: The optimizer of the network.
        step_loss: Yields the losses of the parts of one batch: (images, masks, number of images seen before it) to
            (loss, more scalars by name). What a part needs in memory is free again when the next one is computed.
        rate_at: Learning rate at a step, counted from 0.
        clip: Largest norm of the gradient.
    """

    optimizer: torch.optim.Optimizer
    step_loss: StepLoss
    rate_at: Callable[[int], float]
    clip: float

    def __post_init__(self) -> None:
        """Find what a step may have to take back."""
        self._guard = Guard(next(self.network.parameters()).device)
        # Running statistics, as of batch normalisation, which a forward pass changes before its gradient is known.
        self._buffers = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]

    def rate(self, done: int) -> float:
        """Return the learning rate of a step."""
        return self.rate_at(done)

    def step(self, images: torch.Tensor, masks: torch.Tensor, done: int) -> Mapping[str, torch.Tensor]:
        """Take one step of the optimizer."""
        before = [buffer.clone() for buffer in self._buffers]
        totals: dict[str, torch.Tensor] = {}

        def losses() -> Iterator[torch.Tensor]:
            for loss, details in self.step_loss(images, masks, done * self.batch_size):
                for name, value in {"loss": loss.detach(), **details}.items():
                    totals[name] = totals[name] + value if name in totals else value
                yield loss

        def add_up() -> None:
            gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
            self.ranks.add([*gradients, *totals.values()])

        norm = self._guard.step(self.optimizer, losses(), self.network.parameters(), self.rate(done), self.clip, add_up)
        good = torch.isfinite(norm)
        for buffer, known in zip(self._buffers, before, strict=True):
            torch.where(good, buffer, known, out=buffer)
        return {"loss": totals.pop("loss"), "gradient_norm": norm, **totals}


class Guard:
    """Takes optimizer steps, and leaves out those whose gradient is not finite.

    Args:
        device: Where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        # Nothing is scaled: it skips steps whose gradient is not finite, with fused optimizers without reading the
        # value, which would make a GPU wait.
        self._scaler = torch.amp.GradScaler(device.type, init_scale=1.0)

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        losses: Iterable[torch.Tensor],
        parameters: Iterable[nn.Parameter],
        rate: float,
        clip: float = math.inf,
        add_up: Callable[[], object] = lambda: None,
    ) -> torch.Tensor:
        """Take a step down the gradient of a sum of losses, and return the norm of the gradient of the parameters.

        Args:
            optimizer: Optimizer of the parameters.
            losses: Scalars; each is computed when the gradient of the one before is known.
            parameters: What is changed.
            rate: Learning rate.
            clip: Largest norm of the gradient.
            add_up: Called when the gradient is known, to add those of other processes.
        """
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            self._scaler.scale(loss).backward()
        add_up()
        self._scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(parameters, clip)
        self._scaler.step(optimizer)
        self._scaler.update(1.0)
        return norm


def warm_cosine(rate: float, steps: int, warmup: int) -> Callable[[int], float]:
    """Return a learning rate that rises linearly over ``warmup`` steps and falls to zero on a half cosine."""

    def at(step: int) -> float:
        if step < warmup:
            return rate * (step + 1) / warmup
        return rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return at


def look_points(first: float, last: int, number: int) -> set[int]:
    """Return ``number`` steps at even distances between two steps, the last included and the first not."""
    return {round(first + (last - first) * (i + 1) / number) for i in range(number)}


@loader_deaths()
def train(
    training: Course,
    stream: Stream,
    checkpoint: Path,
    device: torch.device,
    compute: ComputeSettings,
    on_metrics: MetricLog,
) -> float:
    """Run a training to its end, continuing from the last whole one of its two checkpoints if there is one.

    Args:
        training: What to train.
        stream: Where the pairs come from.
        checkpoint: File of the last checkpoint; the one before lies beside it.
        device: Device of the network.
        compute: How to compute.
        on_metrics: Called with step and metrics at each log point.

    Returns:
        Seconds of training in all, those before an interruption included.

    Raises:
        SatSynthError: The loss is not finite several times in a row.
    """
    ranks = training.ranks
    with ranks.first_in_turn():
        done, spent = _restore(training, checkpoint)
    end, start = training.steps * training.batch_size, done * training.batch_size
    loader = batches(
        stream,
        start,
        end,
        training.batch_size,
        compute.loader_workers,
        device.type == "cuda",
        ranks.rows(training.batch_size),
    )
    began = saved = time.monotonic()
    bad = torch.zeros((), dtype=torch.int64, device=device)
    training.network.train()
    latest = ""
    with Progress(end, training.title, "images", start, shown=ranks.leads) as progress:
        for images, masks in loader:
            images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
            found = training.step(images, masks.to(device, non_blocking=True), done)
            bad = torch.where(torch.isfinite(found["gradient_norm"]), torch.zeros_like(bad), bad + 1)
            done += 1
            if looked := training.after_step(done):
                training.history.append({"step": done, **looked})
                on_metrics(done, looked)
            for name, value in found.items():
                training.sums[name] = training.sums.get(name, torch.zeros((), device=device)) + value
            if done % training.log_every == 0 or done == training.steps:
                since = (done - 1) % training.log_every + 1
                means = {name: float(value) / since for name, value in training.sums.items()}
                training.sums.clear()
                _check_finite(int(bad), means["gradient_norm"], training.title, done)
                metrics = {**means, "learning_rate": training.rate(done - 1), "images_per_second": progress.rate}
                training.history.append({"step": done, **means})
                on_metrics(done, metrics)
                latest = f"loss {means['loss']:.4f}"
            progress.update(training.batch_size, latest)
            due = time.monotonic() - saved > compute.checkpoint_seconds
            if ranks.leads and due and done < training.steps:
                _save(training, checkpoint, done, spent + time.monotonic() - began)
                saved = time.monotonic()
    return spent + time.monotonic() - began


def _check_finite(bad: int, mean_norm: float, title: str, step: int) -> None:
    if bad >= MOST_BAD_STEPS:
        raise SatSynthError(
            f"{title}: the gradient was not finite in {bad} steps in a row, up to step {step}.",
            "Lower the learning rate, or set `compute.precision: fp32`. The last checkpoint is kept.",
        )
    if not math.isfinite(mean_norm):
        log.warning("%s: left out one step or more before step %d, whose gradient was not finite.", title, step + 1)


def _save(training: Course, path: Path, done: int, seconds: float) -> None:
    state = {name: part.state_dict() for name, part in training.parts.items()}
    save_checkpoint(
        path, {"done": done, "seconds": seconds, "history": training.history, "sums": training.sums, "parts": state}
    )


def _restore(training: Course, path: Path) -> tuple[int, float]:
    state = load_checkpoint(path)
    if state is None:
        return 0, 0.0
    for name, part in training.parts.items():
        part.load_state_dict(state["parts"][name])
    training.history.extend(state["history"])
    device = next(training.network.parameters()).device
    training.sums.update({name: value.to(device) for name, value in state["sums"].items()})
    log.info("%s: continues after %d of %d steps.", training.title, state["done"], training.steps)
    return int(state["done"]), float(state["seconds"])
