from __future__ import annotations

import os
import pickle
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from made_data import made_pairs, write_store
from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.mixtures import Stream
from satsynth.pairs.stream import PairStream, batches, loader_deaths, to_image, to_tensors
from satsynth.work.errors import ResourceError


def numbered(start: int, count: int, side: int = 4) -> DecodedPairs:
    """Pairs whose every pixel holds their number."""
    masks = np.broadcast_to(np.arange(start, start + count, dtype=np.uint8)[:, None, None], (count, side, side))
    return DecodedPairs(np.repeat(masks[..., None], 3, axis=3), masks)


def places(count: int, side: int = 5) -> DecodedPairs:
    """Pairs whose pixels hold their own place, the same in image and mask."""
    place = np.arange(side * side, dtype=np.uint8).reshape(side, side)
    masks = np.repeat(place[None], count, axis=0)
    return DecodedPairs(np.repeat(masks[..., None], 3, axis=3), masks)


def drawn(stream: PairStream, positions: range) -> list[int]:
    return [int(stream[position][1][0, 0]) for position in positions]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(0, 2**31), st.sampled_from(["none", "flips"]))
@hypothesis_settings(max_examples=15, deadline=None)
def test_each_epoch_visits_every_pair_of_the_union_once(counts: list[int], seed: int, augmentation: str) -> None:
    starts = np.cumsum([0, *counts])
    stream = PairStream(
        [numbered(int(s), n) for s, n in zip(starts[:-1], counts, strict=True)], seed=seed, augmentation=augmentation
    )
    assert stream.pairs == sum(counts)
    for epoch in range(3):
        positions = range(epoch * stream.pairs, (epoch + 1) * stream.pairs)
        assert sorted(drawn(stream, positions)) == list(range(stream.pairs))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    stream = PairStream([numbered(0, 50)], seed=1)
    first, second = drawn(stream, range(50)), drawn(stream, range(50, 100))
    other = drawn(PairStream([numbered(0, 50)], seed=2), range(50))
    assert first != second
    assert first != other


def test_a_source_that_was_taken_from_gives_only_those_pairs() -> None:
    rows = np.array([3, 8, 9])
    stream = PairStream([numbered(0, 2), numbered(10, 10).take(rows)], seed=0)
    assert sorted(drawn(stream, range(stream.pairs))) == [0, 1, 13, 18, 19]


def test_a_position_decides_everything(tmp_path: Path) -> None:
    pairs = decoded(write_store(tmp_path, made_pairs(10)), "train", tmp_path)
    stream = PairStream([pairs], seed=3)
    forwards = [stream[position] for position in range(25)]
    backwards = [pickle.loads(pickle.dumps(PairStream([pairs], seed=3)))[position] for position in range(24, -1, -1)]
    for (image, mask), (other_image, other_mask) in zip(forwards, reversed(backwards), strict=True):
        assert torch.equal(image, other_image)
        assert torch.equal(mask, other_mask)


def test_workers_and_starts_do_not_change_what_is_seen(tmp_path: Path) -> None:
    pairs = decoded(write_store(tmp_path, made_pairs(10)), "train", tmp_path)
    stream = PairStream([pairs], seed=3)
    alone = list(batches(stream, 0, 24, 4, workers=0, pinned=False))
    together = list(batches(stream, 0, 24, 4, workers=2, pinned=False))
    later = list(batches(stream, 8, 24, 4, workers=0, pinned=False))
    assert len(alone) == 6
    for found, wanted in ((together, alone), (later, alone[2:])):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


def test_image_and_mask_are_transformed_together() -> None:
    stream = PairStream([places(7)], seed=0)
    for position in range(40):
        image, mask = stream[position]
        for channel in image:
            assert torch.equal(((channel + 1) * 127.5).round().long(), mask)


def test_exactly_the_8_symmetries_of_the_square_occur() -> None:
    stream, square = PairStream([places(5)], seed=0), places(1).masks[0]
    wanted = {np.rot90(side, turns).tobytes() for side in (square, square.T) for turns in range(4)}
    assert len(wanted) == 8
    assert {stream[position][1].numpy().astype(np.uint8).tobytes() for position in range(100)} == wanted


def test_without_augmentation_pairs_stay_as_they_are() -> None:
    pairs = places(3)
    stream = PairStream([pairs], seed=0, augmentation="none")
    for position in range(6):
        np.testing.assert_array_equal(stream[position][1], pairs.masks[0])
        np.testing.assert_array_equal(to_image(stream[position][0]), pairs.images[0])


def test_every_grey_level_survives_a_round_trip_through_tensors() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tensor, labels = to_tensors(image, mask)
    assert (tensor.dtype, tensor.shape, labels.dtype) == (torch.float32, (3, 16, 16), torch.int64)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    np.testing.assert_array_equal(to_image(tensor), image)
    np.testing.assert_array_equal(labels.numpy(), mask)
    np.testing.assert_array_equal(to_image(torch.stack([tensor, -tensor])), [image, 255 - image])


def test_values_beyond_the_range_are_clamped() -> None:
    assert to_image(torch.tensor([-7.0, 7.0, 0.0])[:, None, None]).tolist() == [[[0, 255, 128]]]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_size_of_a_batch_does_not_change_the_order(batch: int) -> None:
    stream = PairStream([numbered(0, 10)], seed=0)
    masks = torch.cat([masks for _, masks in batches(stream, 4, 17, batch, workers=0, pinned=False)])
    assert masks[:, 0, 0].tolist() == drawn(stream, range(4, 17))


def peak_memory(folder, number):
    """Return the most bytes that reading 200 pairs of a mapped set of ``number`` allocates."""
    folder.mkdir()
    for name, shape in (("images", (number, 32, 32, 3)), ("masks", (number, 32, 32))):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape).flush()
    images, masks = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
    stream = PairStream([DecodedPairs(images, masks)], seed=0)
    stream[0]
    tracemalloc.start()
    for position in range(200):
        stream[position]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_many_pairs_take_no_more_memory_than_few(tmp_path):
    few, many = peak_memory(tmp_path / "few", 1_000), peak_memory(tmp_path / "many", 100_000)
    # But for the order of an epoch, 8 bytes a pair.
    assert many < few + 2 * 8 * 100_000


class Fatal(Stream):
    """A stream that kills the process that reads it."""

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_the_death_of_a_loader_is_named() -> None:
    with (
        pytest.raises(ResourceError, match=r"prepares training batches was killed.*\n.*compute.loader_workers"),
        loader_deaths(),
    ):
        list(batches(Fatal(), 0, 8, 4, 1, False))


def test_other_errors_of_a_training_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shapes"), loader_deaths():
        raise RuntimeError("shapes do not fit")
