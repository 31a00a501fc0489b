"""The training pairs of an arm."""

from __future__ import annotations

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mixtures import InTurn, Shared, Stream
from satsynth.pairs.stream import PairStream
from satsynth.segmentation.arms import Arm
from satsynth.segmentation.settings import TrainingSettings


def stream_of(
    arm: Arm, real: DecodedPairs, synthetic: DecodedPairs | None, seed: int, training: TrainingSettings
) -> Stream:
    """Return what an arm is trained on.

    Args:
        arm: The arm.
        real: Real pairs.
        synthetic: The synthetic pairs of this training; none for R = 0.
        seed: Seed of order and augmentation.
        training: For the number of steps.
    """
    if synthetic is None:
        return PairStream([real], seed, arm.augmentation)
    if arm.protocol in ("step_matched", "epoch_matched") and arm.real_share is None:
        return PairStream([real, synthetic], seed, arm.augmentation)
    of_real, of_synthetic = (PairStream([pairs], seed, arm.augmentation) for pairs in (real, synthetic))
    if arm.protocol == "synthetic_only":
        return of_synthetic
    if arm.protocol == "pretrain_finetune":
        steps = max(1, training.images // training.batch_size)
        return InTurn(of_synthetic, steps // 2 * training.batch_size, of_real)
    assert arm.real_share is not None
    return Shared(of_real, of_synthetic, arm.real_share)
