"""The training pairs of an arm."""

from __future__ import annotations

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mixtures import InTurn, Shared, Stream
from satsynth.pairs.stream import Cuts, PairStream, WindowStream
from satsynth.segmentation.arms import Arm
from satsynth.segmentation.settings import TrainingSettings


def stream_of(
    arm: Arm,
    real: DecodedPairs,
    synthetic: DecodedPairs | None,
    seed: int,
    training: TrainingSettings,
    windows: Cuts | None = None,
) -> Stream:
    """Return what an arm is trained on.

    Args:
        arm: The arm.
        real: Real pairs.
        synthetic: The synthetic pairs of this training; none for R = 0.
        seed: Seed of order and augmentation.
        training: For the number of steps.
        windows: Cuts real pairs anew, for the augmentation `geometric`.
    """
    if windows is not None:
        of_real: Stream = WindowStream(windows, seed)
    else:
        of_real = PairStream([real], seed, arm.augmentation)
    if synthetic is None:
        return of_real
    mixed = arm.protocol in ("step_matched", "epoch_matched")
    if mixed and arm.real_share is None and windows is None:
        return PairStream([real, synthetic], seed, arm.augmentation)
    of_synthetic = PairStream([synthetic], seed, "flips" if windows is not None else arm.augmentation)
    if arm.protocol == "synthetic_only":
        return of_synthetic
    if arm.protocol == "pretrain_finetune":
        steps = max(1, training.budget // training.batch_size)
        return InTurn(of_synthetic, steps // 2 * training.batch_size, of_real)
    # Windows have no epochs: what is the union's share on average is kept in each batch.
    share = len(real) / (len(real) + len(synthetic)) if arm.real_share is None else arm.real_share
    return Shared(of_real, of_synthetic, share)
