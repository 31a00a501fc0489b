from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from made_data import CLASSES, made_pairs, write_store
from satsynth.pairs.pair import Pair, pixel_digest
from satsynth.pairs.store import PairStore, finish_store, write_shard
from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST, file_digest
from satsynth.work.folder import Step, WorkFolder, work_folder

NAMES = [str(spec["name"]) for spec in CLASSES]


def test_a_store_survives_a_round_trip(tmp_path: Path) -> None:
    # More than the 256 pairs that are decoded at a time, and more than one shard.
    pairs = made_pairs(520) + made_pairs(3, split="val", seed=1)
    store = write_store(tmp_path, pairs)
    assert (store.count(), store.count("train"), store.count("val", "test"), store.count("test")) == (523, 520, 3, 0)
    assert store.class_names == NAMES
    assert store.colors.tolist() == [[9, 8, 0], [9, 8, 1], [9, 8, 2]]
    assert store.tile_size == 16
    read = list(store.arrays())
    assert len(read) == len(pairs)
    for pair, (image, mask) in zip(pairs, read, strict=True):
        np.testing.assert_array_equal(image, pair.image)
        np.testing.assert_array_equal(mask, pair.mask)
    index = store.index()
    for column in ("pair_id", "split", "scene_id", "row", "col"):
        assert index[column].tolist() == [getattr(pair, column) for pair in pairs]
    assert store.pixel_digests("val") == index["sha256"].tolist()[520:]


@pytest.mark.parametrize("count", [1, 255, 256, 257, 512, 513])
def test_no_pair_is_lost_between_chunks(tmp_path: Path, count: int) -> None:
    pairs = made_pairs(count, side=2)
    masks = [mask.tolist() for _, mask in write_store(tmp_path, pairs, side=2).arrays("train")]
    assert masks == [pair.mask.tolist() for pair in pairs]


def test_splits_and_limits_keep_the_order(tmp_path: Path) -> None:
    pairs = [pair for both in zip(made_pairs(9), made_pairs(9, split="val", seed=1), strict=True) for pair in both]
    store = write_store(tmp_path, pairs, shard=4)
    wanted = [pair for pair in pairs if pair.split == "val"]
    assert [name for name, _, _ in store.pictures("val")] == [pair.pair_id for pair in wanted]
    assert [name for name, _, _ in store.pictures("val", limit=5)] == [pair.pair_id for pair in wanted[:5]]
    assert [name for name, _, _ in store.pictures(limit=5)] == [pair.pair_id for pair in pairs[:5]]
    assert list(store.pictures("test")) == []
    np.testing.assert_array_equal([mask for _, mask in store.arrays("val")], [pair.mask for pair in wanted])


def test_counts_of_pixels_equal_brute_force(tmp_path: Path) -> None:
    pairs = made_pairs(30)
    counts = write_store(tmp_path, pairs, shard=7).pixel_counts()
    assert counts.tolist() == [[int((pair.mask == k).sum()) for k in range(3)] for pair in pairs]


def test_the_digest_of_a_pair_follows_from_its_pixels_and_nothing_else(tmp_path: Path) -> None:
    (pair,) = made_pairs(1)
    turned = np.asfortranarray(pair.image)
    other_image, other_mask = pair.image.copy(), pair.mask.copy()
    other_image[3, 5, 1] ^= 1
    other_mask[7, 2] ^= 1
    pairs = [
        pair,
        Pair("another", turned, pair.mask, "val", "elsewhere", 9, 9, "EPSG:4326", (1.0, 2.0, 3.0, 4.0)),
        replace(pair, image=other_image),
        replace(pair, mask=other_mask),
    ]
    digests = write_store(tmp_path, pairs).index()["sha256"].tolist()
    assert digests[0] == digests[1] and len(set(digests)) == 3
    text = f"{pair.image.shape} {pair.mask.shape}".encode()
    assert digests[0] == hashlib.sha256(text + pair.image.tobytes() + pair.mask.tobytes()).hexdigest()
    flat = pixel_digest(pair.image.reshape(8, 32, 3), pair.mask.reshape(8, 32))
    assert flat != digests[0], "the same bytes in another shape"


def test_a_store_of_an_earlier_version_says_how_to_make_it_again(tmp_path: Path) -> None:
    (file,) = write_store(tmp_path, made_pairs(3)).path.glob("*.parquet")
    with work_folder(tmp_path, Step("earlier", 1, {}, {})) as folder:
        pq.write_table(pq.read_table(file).drop_columns("sha256"), folder.result / file.name)
        store = finish_store(folder, CLASSES, 16)
    with pytest.raises(SatSynthError, match=r"pairs-00000\.parquet has no column sha256") as caught:
        store.index()
    assert "--pipeline=augment" in caught.value.remedy


def test_equal_pairs_give_equal_bytes_and_other_pairs_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_shard(tmp_path / f"{name}.parquet", made_pairs(20, seed=seed), NAMES)
    first, second, other = (file_digest(tmp_path / f"{name}.parquet") for name in "abc")
    assert first == second != other


def test_equal_stores_have_equal_digests_wherever_they_lie(tmp_path: Path) -> None:
    here, there = write_store(tmp_path / "here", made_pairs(20)), write_store(tmp_path / "there", made_pairs(20))
    assert here.digest == there.digest
    assert (here.path / MANIFEST).read_bytes() == (there.path / MANIFEST).read_bytes()
    assert str(tmp_path).encode() not in (here.path / MANIFEST).read_bytes()


def test_the_manifest_holds_the_digest_of_each_shard(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(20), shard=8)
    assert [shard["rows"] for shard in store.manifest["shards"]] == [8, 8, 4]
    for shard in store.manifest["shards"]:
        assert shard["sha256"] == file_digest(store.path / shard["file"])


def test_shards_are_in_their_order_where_their_numbers_have_more_digits(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, Step("made", 1, {}, {}))
    for number in (99_999, 100_000):
        write_shard(folder.result / f"synthetic-{number:05d}.parquet", made_pairs(1), NAMES)
    store = finish_store(folder, CLASSES, 16)
    assert [shard["file"] for shard in store.manifest["shards"]] == [
        "synthetic-99999.parquet",
        "synthetic-100000.parquet",
    ]


def test_a_store_without_manifest_is_refused(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(3))
    (store.path / MANIFEST).unlink()
    with pytest.raises(SatSynthError, match=r"no finished pair store: manifest\.json is missing"):
        PairStore(store.path)


def test_a_store_is_handed_on_without_its_data(tmp_path: Path) -> None:
    store = write_store(tmp_path, made_pairs(200))
    data = pickle.dumps(store)
    assert len(data) < 5000
    assert pickle.loads(data).digest == store.digest


def test_georeference_survives_a_round_trip(tmp_path: Path) -> None:
    placed = replace(made_pairs(1)[0], crs="EPSG:32640", bounds=(1.0, 2.0, 3.5, 4.25))
    write_shard(tmp_path / "a.parquet", [placed, made_pairs(2)[1]], NAMES)
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (rows[0]["crs"], rows[0]["bounds"]) == ("EPSG:32640", [1.0, 2.0, 3.5, 4.25])
    assert (rows[1]["crs"], rows[1]["bounds"]) == (None, None)


def test_a_shard_of_no_pairs_can_be_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", [], NAMES)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_a_failure_while_making_pairs_leaves_no_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[Pair]:
        yield made_pairs(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.parquet", failing(), NAMES)
    assert list(tmp_path.iterdir()) == []


def test_pillow_reads_the_pictures_as_they_were(tmp_path: Path) -> None:
    (pair,) = made_pairs(1)
    ((_, image, mask),) = write_store(tmp_path, [pair]).pictures()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), pair.image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mask))), pair.mask)


def test_hugging_face_datasets_decodes_pictures_and_class_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    pairs: list[Pair] = [*made_pairs(5), replace(made_pairs(6)[5], crs="EPSG:4326", bounds=(1.0, 2.0, 3.0, 4.0))]
    store = write_store(tmp_path / "work", pairs, shard=4)
    files = [str(store.path / shard["file"]) for shard in store.manifest["shards"]]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["classes"].feature.names == NAMES
    assert isinstance(loaded.features["image"], datasets.Image)
    assert len(loaded) == len(pairs)
    for row, pair in zip(loaded, pairs, strict=True):
        np.testing.assert_array_equal(np.asarray(row["image"]), pair.image)
        np.testing.assert_array_equal(np.asarray(row["mask"]), pair.mask)
        assert row["pixels"] == [int((pair.mask == k).sum()) for k in range(3)]
        assert [NAMES[k] for k in row["classes"]] == [NAMES[k] for k in range(3) if (pair.mask == k).any()]
        assert row["sha256"] == pixel_digest(pair.image, pair.mask)
        assert row["bounds"] == (None if pair.bounds is None else list(pair.bounds))
        assert {key: row[key] for key in ("pair_id", "split", "scene_id", "row", "col", "crs")} == {
            key: getattr(pair, key) for key in ("pair_id", "split", "scene_id", "row", "col", "crs")
        }
