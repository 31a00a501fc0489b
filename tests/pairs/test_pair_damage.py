"""Damaged shards and decoded pairs are named, and never used."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made_data import CLASSES, made_pairs, write_store
from satsynth.pairs.cache import DIGESTS, IMAGES, MASKS, decoded
from satsynth.pairs.store import PairStore, finish_store, take_shard, write_shard
from satsynth.work.errors import DamagedError
from satsynth.work.folder import Step, work_folder

NAMES = [spec["name"] for spec in CLASSES]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = pytest.mark.parametrize("damage", [cut, empty, flip, Path.unlink])
Damage = Callable[[Path], object]


def exchange(first: Path, second: Path) -> None:
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two), second.write_bytes(one)


@DAMAGES
@pytest.mark.parametrize(
    "read",
    [
        PairStore.index,
        PairStore.pixel_counts,
        lambda store: list(store.pictures()),
        lambda store: list(store.arrays("train")),
        lambda store: store.scenes("train"),
    ],
)
def test_every_reader_names_a_damaged_shard(
    tmp_path: Path, damage: Damage, read: Callable[[PairStore], object]
) -> None:
    store = write_store(tmp_path, made_pairs(9), shard=4)
    damage(store.path / "pairs-00001.parquet")
    with pytest.raises(DamagedError, match=r"pairs-00001\.parquet is damaged") as caught:
        read(PairStore(store.path))
    assert "kedro run --pipeline=augment" in caught.value.remedy


def test_exchanged_shards_are_damage(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(8), shard=4)
    exchange(*sorted(store.path.glob("*.parquet")))
    with pytest.raises(DamagedError, match="not what was written"):
        store.index()


@pytest.mark.parametrize("damage", [cut, empty, flip])
def test_a_shard_damaged_before_its_store_is_finished_is_found(tmp_path: Path, damage: Damage) -> None:
    with work_folder(tmp_path, Step("store", 1, {}, {})) as folder:
        path = folder.result / "pairs-00000.parquet"
        write_shard(path, made_pairs(4), NAMES)
        damage(path)
        with pytest.raises(DamagedError) as caught:
            finish_store(folder, CLASSES, 16)
        assert caught.value.path == path
        assert not folder.finished


def test_a_shard_of_unknown_making_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with work_folder(tmp_path, Step("store", 1, {}, {})) as folder:
        (folder.result / "pairs-00000.parquet").write_bytes(b"PAR1 half")
        with pytest.raises(DamagedError, match="no table of pairs"):
            finish_store(folder, CLASSES, 16)


def test_a_finished_store_has_shards_and_manifest_only(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(3))
    assert sorted(path.name for path in store.path.iterdir()) == ["manifest.json", "pairs-00000.parquet"]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("damage", [None, cut, flip])
def test_only_whole_shards_are_taken_over(tmp_path: Path, finished: bool, damage: Damage | None) -> None:
    with work_folder(tmp_path, Step("store", 1, {}, {})) as folder:
        known = folder.result / "pairs-00000.parquet"
        write_shard(known, made_pairs(4), NAMES)
        if finished:
            finish_store(folder, CLASSES, 16)
    if damage:
        damage(known)
    with work_folder(tmp_path, Step("store", 2, {}, {})) as other:
        target = other.result / known.name
        assert take_shard(known, target, 4) == (damage is None) == target.exists()
        if damage is None:
            assert not take_shard(known, target, 5)
            assert finish_store(other, CLASSES, 16).count() == 4


@DAMAGES
@pytest.mark.parametrize("name", [IMAGES, MASKS, DIGESTS])
def test_damaged_decoded_pairs_are_decoded_again_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Damage, name: str
) -> None:
    store = write_store(tmp_path, made_pairs(9))
    first = decoded(store, "train", tmp_path)
    wanted = np.array(first.images), np.array(first.masks)
    (folder,) = (tmp_path / "decoded").iterdir()
    damage(folder / name)
    again = decoded(store, "train", tmp_path)
    np.testing.assert_array_equal(again.images, wanted[0])
    np.testing.assert_array_equal(again.masks, wanted[1])
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1 and str(folder / name) in said[0]
    assert list((tmp_path / "decoded").iterdir()) == [folder]


def test_a_damaged_store_leaves_nothing_decoded(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(3))
    flip(store.path / "pairs-00000.parquet")
    with pytest.raises(DamagedError, match=r"pairs-00000\.parquet"):
        decoded(store, "train", tmp_path)
    assert list((tmp_path / "decoded").iterdir()) == []
