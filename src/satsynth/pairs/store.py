"""The pair store: Parquet shards and a manifest, read by any Parquet reader and by Hugging Face `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from satsynth.pairs.labels import LABELS
from satsynth.pairs.pair import (
    Pair,
    class_counts,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    pixel_digest,
)
from satsynth.scenes.image_parts import ImagePart, parts_in
from satsynth.work.errors import DamagedError, SatSynthError
from satsynth.work.files import atomic, file_digest, link_or_copy
from satsynth.work.finished import Finished
from satsynth.work.folder import WorkFolder
from satsynth.work.verified import verify

# Entry of a manifest: the scenes of val and test that unlabelled images show.
HELD_OUT_IMAGES = "held_out_images"
_SHARD_REMEDY = "Run the same command again: it makes damaged work anew."
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def store_schema(class_names: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a shard, with the metadata by which `datasets` decodes images and names classes."""
    fields = [
        pa.field("pair_id", pa.string()),
        pa.field("image", _IMAGE),
        pa.field("mask", _IMAGE),
        pa.field("split", pa.string()),
        pa.field("scene_id", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("col", pa.int64()),
        pa.field("classes", pa.list_(pa.int64())),
        pa.field("pixels", pa.list_(pa.int64())),
        pa.field("crs", pa.string()),
        pa.field("bounds", pa.list_(pa.float64())),
        pa.field("sha256", pa.string()),
    ]
    features: dict[str, Any] = {
        name: {"dtype": kind, "_type": "Value"}
        for name, kind in {
            "pair_id": "string",
            "split": "string",
            "scene_id": "string",
            "row": "int64",
            "col": "int64",
            "crs": "string",
            "sha256": "string",
        }.items()
    }
    features["image"] = features["mask"] = {"_type": "Image"}
    features["classes"] = {"feature": {"names": list(class_names), "_type": "ClassLabel"}, "_type": "List"}
    features["pixels"] = {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}
    features["bounds"] = {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"}
    ordered = {field.name: features[field.name] for field in fields}
    return pa.schema(fields, metadata={b"huggingface": json.dumps({"info": {"features": ordered}}).encode()})


def write_shard(path: Path, pairs: Iterable[Pair], class_names: Sequence[str]) -> None:
    """Write pairs atomically as one Parquet shard; equal pairs give equal bytes.

    Args:
        path: The shard.
        pairs: Its rows.
        class_names: Names in order of the class index.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    rows = [_row(pair, len(class_names)) for pair in pairs]
    table = pa.Table.from_pylist(rows, schema=store_schema(class_names))
    with atomic(path) as temporary:
        # The pictures are compressed already.
        pq.write_table(table, temporary, compression="none", row_group_size=256)
        # First, so that no shard is without: until the store is finished, no manifest has its digest.
        _note_digest(path, file_digest(temporary))


def take_shard(known: Path, path: Path, rows: int) -> bool:
    """Take a shard over from another store, finished or not, unless it is damaged.

    Args:
        known: The shard there.
        path: The shard here.
        rows: Number of pairs that it must have.

    Returns:
        Whether it was taken.
    """
    try:
        digest = _noted_digest(known) or Finished(known.parent).files[known.name]
        verify(known, digest, _SHARD_REMEDY)
    except (SatSynthError, KeyError):
        return False
    if pq.read_metadata(known).num_rows != rows:
        return False
    with atomic(path) as temporary:
        link_or_copy(known, temporary)
        _note_digest(path, digest)
    return True


def _digest_note(shard: Path) -> Path:
    return shard.with_name(f"{shard.name}.sha256")


def _note_digest(shard: Path, digest: str) -> None:
    with atomic(_digest_note(shard)) as temporary:
        temporary.write_text(digest, encoding="ascii")


def _noted_digest(shard: Path) -> str | None:
    note = _digest_note(shard)
    return note.read_text(encoding="ascii", errors="replace") if note.exists() else None


def _written_digest(shard: Path) -> str:
    """Return the digest of a shard of an unfinished store.

    Raises:
        DamagedError: The shard is not what was written.
    """
    noted = _noted_digest(shard)
    if noted is None:
        return file_digest(shard)
    verify(shard, noted, _SHARD_REMEDY)
    return noted


def _row(pair: Pair, classes: int) -> dict[str, Any]:
    counts = class_counts(pair.mask, classes)
    return {
        "pair_id": pair.pair_id,
        "image": {"bytes": encode_image(pair.image), "path": f"{pair.pair_id}.png"},
        "mask": {"bytes": encode_mask(pair.mask), "path": f"{pair.pair_id}_mask.png"},
        "split": pair.split,
        "scene_id": pair.scene_id,
        "row": pair.row,
        "col": pair.col,
        "classes": np.flatnonzero(counts).tolist(),
        "pixels": counts.tolist(),
        "crs": pair.crs,
        "bounds": list(pair.bounds) if pair.bounds else None,
        "sha256": pixel_digest(pair.image, pair.mask),
    }


def finish_store(
    folder: WorkFolder, classes: Sequence[dict[str, Any]], tile_size: int, extra: dict[str, Any] | None = None
) -> PairStore:
    """Write the manifest that makes a folder of shards a store.

    Args:
        folder: Work folder whose result holds the shards.
        classes: Name and display colour of each class, in order of the index.
        tile_size: Side of a pair in pixels.
        extra: More for the manifest.

    Raises:
        DamagedError: A shard is not what was written.
    """
    shards, counts = [], pd.Series(dtype="int64")
    # From the hundred thousandth shard on names are longer.
    for path in sorted(folder.result.glob("*.parquet"), key=lambda path: (len(path.name), path.name)):
        digest = _written_digest(path)
        try:
            splits = pq.read_table(path, columns=["split"]).column("split").to_pandas().value_counts()
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(path, f"it is no table of pairs ({error})", _SHARD_REMEDY) from error
        counts = counts.add(splits, fill_value=0)
        shards.append({"file": path.name, "rows": int(splits.sum()), "sha256": digest})
    for path in folder.result.glob("*.parquet"):
        # The manifest has the digests from here on.
        _digest_note(path).unlink(missing_ok=True)
    folder.finish(
        {
            "kind": "pairs",
            "classes": list(classes),
            "tile_size": tile_size,
            "counts": {str(split): int(n) for split, n in counts.items()},
            "shards": shards,
            **(extra or {}),
        }
    )
    return PairStore(folder.result)


class PairStore(Finished):
    """A finished store; holds its path and manifest only, so it can be handed on and pickled."""

    title = "pair store"
    remedy = "kedro run --pipeline=augment"

    @property
    def class_names(self) -> list[str]:
        """Names in order of the class index."""
        return [c["name"] for c in self.manifest["classes"]]

    @property
    def colors(self) -> np.ndarray:
        """Display colours, ``(K, 3)`` uint8 RGB."""
        return np.array([c["color"] for c in self.manifest["classes"]], np.uint8)

    @property
    def tile_size(self) -> int:
        """Side of a pair in pixels."""
        return int(self.manifest["tile_size"])

    def count(self, *splits: str) -> int:
        """Number of pairs in these splits, or in all."""
        counts = self.manifest["counts"]
        return sum(counts.values()) if not splits else sum(counts.get(split, 0) for split in splits)

    def index(self) -> pd.DataFrame:
        """Return all columns but the pictures and the georeference, a row a pair, in the store's order.

        Raises:
            SatSynthError: An earlier version of satsynth wrote the store.
        """
        columns = ["pair_id", "split", "scene_id", "row", "col", "pixels", "sha256"]
        return pd.concat([self._columns(file, columns) for file in self._shards()], ignore_index=True)

    def pixel_digests(self, split: str) -> list[str]:
        """Return the SHA-256 of the pixels of each pair of a split, in the store's order."""
        index = self.index()
        return [str(digest) for digest in index.loc[index["split"] == split, "sha256"]]

    def scenes(self, split: str) -> list[str]:
        """Return the scene of each pair of a split, in the store's order."""
        index = self.index()
        return [str(scene) for scene in index.loc[index["split"] == split, "scene_id"]]

    def pixel_counts(self) -> np.ndarray:
        """Return the pixels of each class in each pair, ``(N, K)`` int64, without decoding a picture."""
        if not self.count():
            return np.zeros((0, len(self.class_names)), np.int64)
        return np.stack(self.index()["pixels"].to_list())

    def pictures(self, split: str | None = None, limit: int | None = None) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield identifier, image PNG and mask PNG of each pair, one row group in memory at a time."""
        left = self.count() if limit is None else limit
        for file in self._shards():
            for batch in pq.ParquetFile(file).iter_batches(64, columns=["pair_id", "image", "mask", "split"]):
                for row in batch.to_pylist():
                    if split is not None and row["split"] != split:
                        continue
                    if left <= 0:
                        return
                    left -= 1
                    yield row["pair_id"], row["image"]["bytes"], row["mask"]["bytes"]

    def arrays(
        self, split: str | None = None, limit: int | None = None, workers: int = 2
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield decoded images ``(H, W, 3)`` and masks ``(H, W)``, both uint8, in the store's order."""
        pictures = self.pictures(split, limit)
        with ThreadPoolExecutor(workers) as pool:
            while chunk := list(islice(pictures, 256)):
                yield from pool.map(lambda row: (decode_image(row[1]), decode_mask(row[2])), chunk)

    @property
    def image_parts(self) -> list[ImagePart]:
        """Part of an image that each scene covers; none where an earlier version of satsynth cut the tiles."""
        return parts_in(self.manifest)

    @property
    def unused_labels(self) -> list[str]:
        """Training scenes whose masks are not to be used: those beyond `tiling.label_share` or `label_scenes`."""
        return list(self.manifest.get(LABELS, {}).get("unused", ()))

    def _columns(self, file: Path, columns: list[str]) -> pd.DataFrame:
        missing = sorted(set(columns) - set(pq.read_schema(file).names))
        if missing:
            raise SatSynthError(
                f"{file} has no column {', '.join(missing)}: an earlier version of satsynth wrote it.",
                "Make the store again: kedro run --pipeline=augment",
            )
        return pq.read_table(file, columns=columns).to_pandas()

    def _shards(self) -> Iterator[Path]:
        return (self.file(shard["file"]) for shard in self.manifest["shards"])
