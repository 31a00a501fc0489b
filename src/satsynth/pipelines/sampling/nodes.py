"""Drawing synthetic pairs."""

from __future__ import annotations

import logging

from satsynth.diffusion.settings import SamplingSettings
from satsynth.generation.saved import SavedGenerator, require_unseen
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests, require_parent
from satsynth.work.folder import Step, WorkFolder, alike
from satsynth.work.remembered import is_remembered, remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def draw_pairs(
    generator: SavedGenerator,
    tiles: PairStore,
    sampling: SamplingSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> PairStore:
    """Draw synthetic pairs, some for each real training pair.

    Args:
        generator: The generator.
        tiles: The real pairs that it was trained on.
        sampling: How many and how.
        compute: Where.
        workspace: Where work is kept.

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
    if is_remembered(workspace, step):
        log.info("Sampling: reused, %d pairs were drawn before with the same settings from the same generator", total)
    else:
        log.info("Sampling: %d pairs in %d steps, on %s", total, sampling.steps, describe_device(device))

    def draw(work: WorkFolder) -> None:
        earlier = [] if workspace.fresh else alike(work, NUMBER)
        sample_pairs(work, generator, total, sampling, compute, earlier)

    store = PairStore(remembered(workspace, step, draw).result)
    counts = store.pixel_counts().sum(0)
    shares = zip(store.class_names, 100 * counts / counts.sum(), strict=True)
    log.info("Synthetic pairs: %d; %s", total, ", ".join(f"{name} {share:.1f} %" for name, share in shares))
    return store
