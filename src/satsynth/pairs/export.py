"""Pairs for other tools: a folder of images and masks, or Parquet files by split.

Each shard of the store is a unit of work: a shard that is done is not done again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from affine import Affine

from satsynth.datasets.painting import LEGEND, Painter
from satsynth.pairs.pair import decode_image, decode_mask, encode_image, encode_mask
from satsynth.pairs.settings import ExportSettings
from satsynth.pairs.store import PairStore
from satsynth.rasters.writing import write_geotiff
from satsynth.scenes.scene import Scene
from satsynth.work.files import atomic, disk_errors, write_json
from satsynth.work.folder import WorkFolder
from satsynth.work.units import Report, Unit, run_units

RESULT_VERSION = 2
# Bytes of a file name without suffix: most file systems take 255 for all of it, encrypted ones 143.
LONGEST_NAME = 120


def export_pairs(
    folder: WorkFolder,
    store: PairStore,
    splits: Sequence[str],
    painter: Painter,
    settings: ExportSettings,
    scenes: Mapping[str, Scene],
) -> None:
    """Write pairs of a store in another form.

    Args:
        folder: Where the result goes.
        store: The pairs.
        splits: Which of them.
        painter: Writes masks as the data set does.
        settings: In which form.
        scenes: Where scenes lie on Earth, by identifier; for GeoTIFFs.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    names = file_names(store)
    shards = store.manifest["shards"]
    done = folder.path / "done"
    starts = np.cumsum([0, *(shard["rows"] for shard in shards)])
    placed = scenes if settings.images == "geotiff" else {}
    units = []
    for number, shard in enumerate(shards):
        arguments: tuple[Any, ...] = (store.file(shard["file"]), folder.result, splits)
        if settings.form == "parquet":
            arguments = (*arguments, number)
        else:
            arguments = (*arguments, names[starts[number] : starts[number + 1]], painter, placed)
        units.append(Unit(done / shard["file"], shard["rows"], arguments))
    run_units(_write_parquet if settings.form == "parquet" else _write_files, units, "Exporting", "pairs")
    if settings.form == "folder":
        _write_lists(folder.result, store, names, splits, painter)
    listed = sorted(str(path.relative_to(folder.result)) for path in folder.result.rglob("*") if path.is_file())
    counts = {split: store.count(split) for split in splits if store.count(split)}
    folder.finish({"kind": "export", "form": settings.form, "counts": counts}, listed)


def file_names(store: PairStore) -> list[str]:
    """Return a file name for each pair, without suffix, unique also where capitals make no difference.

    A long name keeps its beginning, and a digest of the whole name takes the place of the rest.
    """
    names, used = [], set[str]()
    for pair_id in store.index()["pair_id"]:
        plain = _shortened(re.sub(r"[^\w.-]", "_", str(pair_id)))
        name, number = plain, 2
        while name.lower() in used:
            name, number = f"{plain}-{number}", number + 1
        used.add(name.lower())
        names.append(name)
    return names


def _shortened(name: str) -> str:
    """Return a name that no file system finds too long."""
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    # A letter of several bytes is not divided.
    return f"{encoded[: LONGEST_NAME - len(digest) - 1].decode(errors='ignore')}-{digest}"


def _rows(path: Path, names: Sequence[str], splits: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    batches = pq.ParquetFile(path).iter_batches(64, columns=["image", "mask", "split", "scene_id", "row", "col"])
    rows = (row for batch in batches for row in batch.to_pylist())
    return ((name, row) for name, row in zip(names, rows, strict=True) if row["split"] in splits)


def _write_files(
    mark: Path,
    shard: Path,
    target: Path,
    splits: Sequence[str],
    names: Sequence[str],
    painter: Painter,
    scenes: Mapping[str, Scene],
    report: Report,
) -> None:
    """Write the files of one shard, then its mark; not atomically, for a shard without its mark is written again."""
    images, masks = target / "images", target / "masks"
    with disk_errors(target):
        for folder in (images, masks):
            folder.mkdir(parents=True, exist_ok=True)
        for name, row in _rows(shard, names, splits):
            mask = painter.paint(decode_mask(row["mask"]["bytes"]))
            scene = scenes.get(row["scene_id"])
            if scene is not None and scene.crs and scene.transform:
                place = _transform(scene, scene.transform, row["row"], row["col"])
                write_geotiff(images / f"{name}.tif", decode_image(row["image"]["bytes"]), scene.crs, place)
                write_geotiff(masks / f"{name}.tif", mask, scene.crs, place)
                continue
            (images / f"{name}.png").write_bytes(row["image"]["bytes"])
            (masks / f"{name}.png").write_bytes(encode_image(mask) if mask.ndim == 3 else encode_mask(mask))
    write_json(mark, {})


def _transform(scene: Scene, transform: Sequence[float], row: int, col: int) -> Affine:
    """Return the affine transform of a tile's grid, given its first row and column in the scene's scaled pixels."""
    x, y, width, height = scene.window
    fx, fy = width / scene.width, height / scene.height
    corner = Affine.translation(x + col * fx, y + row * fy)
    return Affine(*transform) @ corner @ Affine.scale(fx, fy)


def _write_lists(target: Path, store: PairStore, names: Sequence[str], splits: Sequence[str], painter: Painter) -> None:
    """Write the lists of names by split and the legend."""
    belongs = store.index()["split"].to_list()
    write_json(target / LEGEND, painter.legend())
    for split in splits:
        listed = [name for name, found in zip(names, belongs, strict=True) if found == split]
        if listed:
            # Synthetic pairs are for training.
            file = f"{'train' if split == 'synthetic' else split}.txt"
            with atomic(target / file) as temporary:
                temporary.write_text("\n".join(listed) + "\n", encoding="utf-8")


def _write_parquet(mark: Path, shard: Path, target: Path, splits: Sequence[str], number: int, report: Report) -> None:
    """Copy the rows of one shard, a file a split, with all columns and the metadata that Hugging Face reads."""
    source = pq.ParquetFile(shard)
    present = set(pq.read_table(shard, columns=["split"]).column("split").to_pylist())
    for split in splits:
        if split not in present:
            continue
        with (
            atomic(target / f"{split}-{number:05d}.parquet") as temporary,
            pq.ParquetWriter(temporary, source.schema_arrow, compression="none") as writer,
        ):
            for batch in source.iter_batches(256):
                kept = batch.filter(pc.equal(batch.column("split"), split))
                if kept.num_rows:
                    writer.write_table(pa.Table.from_batches([kept], source.schema_arrow))
    write_json(mark, {})
