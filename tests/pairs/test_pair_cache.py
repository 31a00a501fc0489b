from __future__ import annotations

import errno
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from made_data import made_pairs, write_store
from satsynth.pairs import cache
from satsynth.pairs.cache import DecodedPairs, decoded
from satsynth.pairs.store import PairStore
from satsynth.work.errors import ResourceError


def test_decoded_pairs_equal_the_store(tmp_path: Path) -> None:
    pairs = made_pairs(300) + made_pairs(4, split="val", seed=1)
    store = write_store(tmp_path, pairs)
    for split in ("train", "val"):
        wanted = [pair for pair in pairs if pair.split == split]
        found = decoded(store, split, tmp_path)
        assert len(found) == len(wanted)
        np.testing.assert_array_equal(found.images, [pair.image for pair in wanted])
        np.testing.assert_array_equal(found.masks, [pair.mask for pair in wanted])


def test_a_split_without_pairs_is_empty(tmp_path: Path) -> None:
    assert len(decoded(write_store(tmp_path, made_pairs(3)), "test", tmp_path)) == 0


def test_pairs_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write_store(tmp_path, made_pairs(3))
    first = decoded(store, "train", tmp_path)

    def refuse(*args: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(PairStore, "arrays", refuse)
    np.testing.assert_array_equal(decoded(store, "train", tmp_path).images, first.images)


def test_stores_of_other_pairs_are_kept_apart(tmp_path: Path) -> None:
    first, second = (write_store(tmp_path, made_pairs(3 + seed, seed=seed)) for seed in (0, 1))
    assert decoded(first, "train", tmp_path).images[0].tolist() == made_pairs(1)[0].image.tolist()
    assert decoded(second, "train", tmp_path).images[0].tolist() == made_pairs(1, seed=1)[0].image.tolist()


@pytest.mark.parametrize(
    ("failure", "raised"), [(OSError(errno.ENOSPC, "full"), ResourceError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_failure_leaves_nothing_half_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, raised: type[BaseException]
) -> None:
    store = write_store(tmp_path, made_pairs(3))

    def half(store: PairStore, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield made_pairs(1)[0].image, made_pairs(1)[0].mask
        raise failure

    with monkeypatch.context() as patched, pytest.raises(raised):
        patched.setattr(PairStore, "arrays", half)
        decoded(store, "train", tmp_path)
    assert list((tmp_path / "decoded").iterdir()) == []
    assert len(decoded(store, "train", tmp_path)) == 3


def test_taking_parts_of_parts_chooses_the_same_pairs_as_indexing(tmp_path: Path) -> None:
    whole = decoded(write_store(tmp_path, made_pairs(12)), "train", tmp_path)
    rows, again = np.array([9, 2, 2, 7, 0]), np.array([4, 1, 0])
    part = whole.take(rows).take(again)
    assert len(part) == 3
    for number, row in enumerate(rows[again]):
        for found, wanted in zip(part[number], whole[int(row)], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_worker_processes_get_the_name_of_mapped_files_and_not_their_content(tmp_path: Path) -> None:
    part = decoded(write_store(tmp_path, made_pairs(100)), "train", tmp_path).take(np.array([5, 3]))
    data = pickle.dumps(part)
    assert len(data) < 2000
    again = pickle.loads(data)
    assert len(again) == 2
    np.testing.assert_array_equal(again[1][0], part[1][0])
    np.testing.assert_array_equal(again[1][1], part[1][1])


def test_slices_and_arrays_in_memory_survive_pickling(tmp_path: Path) -> None:
    whole = decoded(write_store(tmp_path, made_pairs(8)), "train", tmp_path)
    for images, masks in ((whole.images[5:], whole.masks[5:]), (np.array(whole.images), np.array(whole.masks))):
        again = pickle.loads(pickle.dumps(cache.DecodedPairs(images, masks)))
        assert isinstance(again, DecodedPairs)
        np.testing.assert_array_equal(again.images, images)
        np.testing.assert_array_equal(again.masks, masks)
