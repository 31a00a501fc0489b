"""Pixels of synthetic pairs that are not to be trusted: where the judge contradicts the mask more than on real pairs.

The pairs that networks are trained on are a store of their own, whose images are those of the synthetic pairs. A
training is known by the pixels that it sees, so nothing else needs to know of this.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.pair import Pair
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.pairs.stream import to_tensors
from satsynth.segmentation.features import load_network
from satsynth.segmentation.grid import train_judge
from satsynth.segmentation.losses import pixel_errors
from satsynth.segmentation.reporting import UNTRACKED, TrainingTracker
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.device import arithmetic, autocast, choose_device
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.remembered import remembered
from satsynth.work.units import Advance, Report, Unit, run_units
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)

RESULT_VERSION = 1
BATCH = 32
SYNTHETIC = "synthetic"
# Entry of a manifest: the judge's mean cross entropy of each class on real pairs.
REAL_ERRORS = "real_errors"
# Where more is left out, what is left hardly stands for the pairs.
MOST = 0.5
COLUMNS = ["class", "real_error", "limit", "pixels", "removed", "share"]


@dataclass(frozen=True)
class Judged:
    """A network, and what it may say of a class.

    Args:
        network: The judge on its device, ready to be evaluated.
        device: The device.
        compute: How to compute.
        limits: ``(K,)`` largest cross entropy of a pixel of each class that is trusted.
    """

    network: nn.Module
    device: torch.device
    compute: ComputeSettings
    limits: np.ndarray


def used_pairs(
    tiles: PairStore,
    synthetic: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrainingTracker = UNTRACKED,
) -> tuple[PairStore, pd.DataFrame]:
    """Return the synthetic pairs that networks are trained on, and what is not trusted of them.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs.
        settings: The grid, which names the rule and the judge; without a rule, the pairs are used as they are.
        compute: Where.
        workspace: Where work is kept.
        tracker: Keeps a record of the judge's training.

    Returns:
        The store, and the rows of `untrusted_table`.
    """
    if settings.untrusted is None:
        return synthetic, untrusted_table(synthetic, None)
    # Found by its parameters: so networks do not rest on a judge where none is asked.
    judge, times = train_judge(tiles, settings, compute, workspace, tracker), settings.untrusted.times
    trusted = trusted_pairs(synthetic, tiles, judge, times, compute, workspace)
    table = untrusted_table(synthetic, trusted)
    _announce(table, times)
    return trusted, table


def trusted_pairs(
    synthetic: PairStore,
    tiles: PairStore,
    judge: SavedNetwork,
    times: float,
    compute: ComputeSettings,
    workspace: Workspace,
) -> PairStore:
    """Return the synthetic pairs with untrusted pixels ignored, made once, shard by shard.

    Args:
        synthetic: Synthetic pairs, which stay as they are.
        tiles: Real pairs.
        judge: The network, trained on real train pairs only.
        times: A pixel is not trusted where its cross entropy is larger than that many times the class's mean on val.
        compute: Where.
        workspace: Where work is kept.

    Raises:
        PartDone: The shards of this run's share are done, and others are not.
    """
    parents = digests(tiles=tiles, synthetic_pairs=synthetic, judge=judge)
    step = Step("trusted_pairs", RESULT_VERSION, parents, {"times": times, **arithmetic(compute)})

    def write(folder: WorkFolder) -> None:
        device = choose_device(compute)
        network, classes = load_network(judge, device), len(tiles.class_names)
        means = real_errors(network, tiles, classes, device, compute, workspace.work)
        judged = Judged(network, device, compute, limits_of(means, times))
        pairs, index, first, shards = decoded(synthetic, SYNTHETIC, workspace.work), synthetic.index(), 0, []
        for shard in synthetic.manifest["shards"]:
            rows = range(first, first + int(shard["rows"]))
            first = rows.stop
            arguments = (pairs, index.iloc[rows.start : rows.stop], judged, synthetic.class_names)
            shards.append(Unit(folder.result / shard["file"], len(rows), arguments))
        run_units(trust_shard, shards, "Untrusted pixels", "pairs", share=folder.share)
        more = {"times": times, REAL_ERRORS: [None if np.isnan(mean) else float(mean) for mean in means]}
        finish_store(folder, synthetic.manifest["classes"], synthetic.tile_size, more)

    return PairStore(remembered(workspace, step, write, compute.part).result)


def trust_shard(
    path: Path, pairs: DecodedPairs, index: pd.DataFrame, judged: Judged, class_names: Sequence[str], report: Report
) -> None:
    """Write one shard without the pixels that are not trusted: an independent unit of work.

    Args:
        path: The shard.
        pairs: All synthetic pairs.
        index: The rows of the shard's pairs, numbered by their place among all.
        judged: The judge.
        class_names: Names in order of the class index.
        report: Takes how far it is.
    """
    found = []
    for start in range(0, len(index), BATCH):
        part = index.iloc[start : start + BATCH]
        chosen = pairs.take(part.index.to_numpy())
        errors = judged_errors(judged.network, chosen, judged.device, judged.compute)
        for number, (name, row) in enumerate(zip(part["pair_id"], part["row"], strict=True)):
            image, mask = chosen[number]
            kept = without_untrusted(mask, errors[number], judged.limits)
            found.append(Pair(str(name), np.asarray(image), kept, SYNTHETIC, row=int(row)))
        report(Advance(len(part)))
    write_shard(path, found, class_names)


def without_untrusted(mask: np.ndarray, errors: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return a mask whose untrusted pixels are ignored.

    Args:
        mask: ``(H, W)`` uint8 of class indices, 255 = ignore.
        errors: ``(H, W)`` cross entropy of each pixel.
        limits: ``(K,)`` largest cross entropy of each class that is trusted.
    """
    by_value = np.full(256, np.inf)
    by_value[: len(limits)] = limits
    return np.where(errors > by_value[mask], IGNORE_INDEX, mask).astype(np.uint8)


def limits_of(means: np.ndarray, times: float) -> np.ndarray:
    """Return the limit of each class: a multiple of its mean, and none for a class that no real pair has."""
    return np.where(np.isnan(means), np.inf, times * means)


def real_errors(
    network: nn.Module, tiles: PairStore, classes: int, device: torch.device, compute: ComputeSettings, work: Path
) -> np.ndarray:
    """Return the mean cross entropy of the pixels of each class on val, ``(K,)`` in nats.

    Val, like synthetic pairs, was not trained on. A class that val lacks is measured on train; NaN if both lack it.
    """
    means = _mean_errors(network, decoded(tiles, "val", work), classes, device, compute)
    unknown = np.isnan(means)
    if unknown.any():
        means[unknown] = _mean_errors(network, decoded(tiles, "train", work), classes, device, compute)[unknown]
    return means


def _mean_errors(
    network: nn.Module, pairs: DecodedPairs, classes: int, device: torch.device, compute: ComputeSettings
) -> np.ndarray:
    totals, pixels = np.zeros(classes), np.zeros(classes)
    for start in range(0, len(pairs), BATCH):
        part = pairs.take(np.arange(start, min(start + BATCH, len(pairs))))
        errors = judged_errors(network, part, device, compute)
        masks = np.stack([part[number][1] for number in range(len(part))])
        known = masks != IGNORE_INDEX
        totals += np.bincount(masks[known], errors[known], classes)
        pixels += np.bincount(masks[known], minlength=classes)
    with np.errstate(invalid="ignore"):
        return totals / np.where(pixels > 0, pixels, np.nan)


@torch.inference_mode()
def judged_errors(
    network: nn.Module, pairs: DecodedPairs, device: torch.device, compute: ComputeSettings
) -> np.ndarray:
    """Return the cross entropy of a network's predictions against masks, ``(B, H, W)`` float32; 0 where ignored."""
    tensors = [to_tensors(*pairs[number]) for number in range(len(pairs))]
    images, masks = (torch.stack(part).to(device) for part in zip(*tensors, strict=True))
    with autocast(device, compute):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    return pixel_errors(logits, masks).cpu().numpy()


def untrusted_table(synthetic: PairStore, trusted: PairStore | None) -> pd.DataFrame:
    """Return how many pixels of each class are not trusted; no rows where all are used.

    Args:
        synthetic: Synthetic pairs.
        trusted: The same without untrusted pixels, or None.

    Returns:
        ``class, real_error`` (mean cross entropy on real pairs), ``limit, pixels, removed, share``; NaN where a class
        is in no real pair.
    """
    if trusted is None:
        return pd.DataFrame(columns=COLUMNS)
    before, after = (store.pixel_counts().sum(0) for store in (synthetic, trusted))
    means = np.array([np.nan if mean is None else mean for mean in trusted.manifest[REAL_ERRORS]])
    removed = before - after
    with np.errstate(invalid="ignore"):
        share = removed / np.where(before > 0, before, np.nan)
    values = (synthetic.class_names, means, trusted.manifest["times"] * means, before, removed, share)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def _announce(table: pd.DataFrame, times: float) -> None:
    """Log what is removed."""
    whole = table["removed"].sum() / max(1, table["pixels"].sum())
    named = [f"{row['class']} {row['share']:.1%}" for _, row in table.iterrows() if row["pixels"]]
    log.info(
        "Untrusted pixels: %.1f %% of the labelled pixels of synthetic pairs are ignored, where the judge's loss is "
        "above %g x its mean on real pairs (%s)",
        100 * whole,
        times,
        ", ".join(named),
    )
    if whole > MOST:
        log.warning(
            "Untrusted pixels: with more than half of them ignored, networks learn little from synthetic pairs, and "
            "the verdict says little about them; raise `segmentation.untrusted.times`"
        )
