"""A small training that several processes do together; imported by each of them."""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.stream import PairStream
from satsynth.training.loop import PartLoss, Training, train
from satsynth.training.muon import Muon
from satsynth.training.ranks import Ranks
from satsynth.training.reporting import Report
from satsynth.training.settings import ComputeSettings

if multiprocessing.parent_process() is not None:
    # As importing Kedro does.
    logging.basicConfig(level=logging.INFO)

BATCH, STEPS, LOOK = 4, 9, 5
WEIGHTS, HISTORY, HOLD = "weights.pt", "history.json", "hold"


def train_small(folder: Path, bad: tuple[int, ...], compute: ComputeSettings, report: Report, ranks: Ranks) -> None:
    """Train a small network to the end; the first process looks, and leaves weights and history.

    Args:
        folder: Where; as long as it has a file `HOLD`, the second process waits after the look.
        bad: Steps at which the loss of the last process is not finite.
        compute: How to compute.
        report: Takes metrics.
        ranks: The processes.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (10, 16, 16, 3), np.uint8)
    stream = PairStream([DecodedPairs(images, (images[..., 0] > 127).astype(np.uint8))], 4)
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 2, 3, padding=1))
    optimizer = Muon(network.parameters(), 0.02)

    def step_loss(images: torch.Tensor, masks: torch.Tensor, seen: int) -> Iterator[PartLoss]:
        while seen // BATCH == LOOK and ranks.number == 1 and (folder / HOLD).exists():
            time.sleep(0.05)
        loss = nn.functional.cross_entropy(network(images), masks) / ranks.count
        if seen // BATCH in bad and ranks.number == ranks.count - 1:
            loss = loss * float("nan")
        yield loss, {"share": torch.tensor(len(images) / BATCH)}

    def look(done: int) -> Mapping[str, float]:
        return {"looked": float(done)} if done == LOOK and ranks.leads else {}

    training = Training(
        title="Small",
        network=network,
        optimizer=optimizer,
        step_loss=step_loss,
        steps=STEPS,
        batch_size=BATCH,
        rate_at=lambda step: 0.02,
        clip=1.0,
        parts={"network": network, "optimizer": optimizer},
        after_step=look,
        log_every=3,
        ranks=ranks,
    )
    train(training, stream, folder / "checkpoint.pt", torch.device("cpu"), compute, report.metrics)
    if ranks.leads:
        torch.save(network.state_dict(), folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(training.history))
