"""Drawing synthetic pairs."""

from __future__ import annotations

import logging

from satsynth.diffusion.saved import SavedGenerator
from satsynth.diffusion.settings import SamplingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.steps import RunSettings, digests, remembered, require_parent, require_unseen
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, WorkFolder, alike

log = logging.getLogger(__name__)


def draw_pairs(
    generator: SavedGenerator, tiles: PairStore, sampling: SamplingSettings, compute: ComputeSettings, run: RunSettings
) -> PairStore:
    """Draw synthetic pairs, some for each real training pair.

    Args:
        generator: The generator.
        tiles: The real pairs that it was trained on.
        sampling: How many and how.
        compute: Where.
        run: Where work is kept.

    Returns:
        The store `synthetic_pairs`.

    Raises:
        AncestryError: The generator was trained on other tiles, or on a scene of val or test.
    """
    from satsynth.diffusion.sampling import NUMBER, RESULT_VERSION, pair_total, sample_pairs
    from satsynth.training.device import choose_device, describe_device

    require_unseen(generator, tiles)
    require_parent(generator, "generator", tiles, "tiles", "kedro run --pipeline=diffusion")
    total = pair_total(tiles.count("train"), sampling)
    device = choose_device(compute)
    # The number of pairs counts, not how it was asked for; the batch may change a grey level, so it counts too.
    # The noise is drawn on the device, whose kind therefore decides the pairs.
    settings = {
        **sampling.model_dump(mode="json", exclude={"ratio", "max_pairs"}),
        NUMBER: total,
        "precision": compute.precision,
        "device": device.type,
    }
    step = Step("sampling", RESULT_VERSION, digests(tiles=tiles, generator=generator), settings)
    if not run.fresh and WorkFolder(run.work, step).finished:
        log.info("Sampling: reused, %d pairs were drawn before with the same settings from the same generator", total)
    else:
        log.info("Sampling: %d pairs in %d steps, on %s", total, sampling.steps, describe_device(device))

    def draw(work: WorkFolder) -> None:
        earlier = [] if run.fresh else alike(work, NUMBER)
        sample_pairs(work, generator, total, sampling, compute, earlier)

    store = PairStore(remembered(run, step, draw).result)
    counts = store.pixel_counts().sum(0)
    shares = zip(store.class_names, 100 * counts / counts.sum(), strict=True)
    log.info("Synthetic pairs: %d; %s", total, ", ".join(f"{name} {share:.1f} %" for name, share in shares))
    return store
