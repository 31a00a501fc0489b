from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from made_data import CLASSES, describe, made_pairs, write_store
from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.painting import Painter
from satsynth.describing.proposal import propose
from satsynth.describing.text import description_text
from satsynth.describing.writing import checked
from satsynth.pairs import export as exporting
from satsynth.pairs.export import export_pairs, file_names
from satsynth.pairs.pair import Pair
from satsynth.pairs.settings import ExportSettings
from satsynth.pairs.store import PairStore
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.files import MANIFEST, file_digest
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX

SPLITS = ("train", "val", "test")
IDS = [{**spec, "raw": 10 * i + 3} for i, spec in enumerate(CLASSES)]
PAIRS = [*made_pairs(9), *made_pairs(3, split="val", seed=1), *made_pairs(4, split="test", seed=2)]


def exported(
    root: Path,
    pairs: list[Pair],
    description: DatasetDescription,
    splits: tuple[str, ...] = SPLITS,
    scenes: dict[str, Scene] | None = None,
    **settings: Any,
) -> Path:
    store = write_store(root / "store", pairs, shard=4)
    form = ExportSettings(**settings)
    with work_folder(root / "work", Step("export", 1, {"tiles": store.digest}, form.model_dump())) as folder:
        export_pairs(folder, store, splits, Painter(description), form, scenes or {})
    return folder.result


class Files(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The exported folder as anyone would read it."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder
        self._names = (folder / f"{split}.txt").read_text().splitlines()
        legend = json.loads((folder / "classes.json").read_text())
        self._codes = [_code(entry["raw"]) for entry in legend["classes"]]

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        image = np.array(Image.open(self._folder / "images" / f"{self._names[item]}.png"))
        raw = np.asarray(Image.open(self._folder / "masks" / f"{self._names[item]}.png")).astype(int)
        codes = raw if raw.ndim == 2 else raw @ [1 << 16, 1 << 8, 1]
        mask = np.full(codes.shape, IGNORE_INDEX)
        for index, code in enumerate(self._codes):
            mask[codes == code] = index
        return image, mask


def _code(raw: int | str) -> int:
    return raw if isinstance(raw, int) else int(raw.lstrip("#"), 16)


class Rows(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The exported Parquet files as Hugging Face `datasets` reads them."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        row = self._rows[item]
        return np.array(row["image"]), np.array(row["mask"]).astype(int)


@pytest.mark.parametrize(
    "description",
    [describe(), describe(classes=IDS, ignore=[0, 255], masks={"encoding": "index"})],
    ids=["colours", "ids"],
)
def test_a_loader_reads_the_same_arrays_from_both_forms(
    tmp_path: Path, description: DatasetDescription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    files = exported(tmp_path / "a", PAIRS, description)
    parquet = exported(tmp_path / "b", PAIRS, description, form="parquet")
    rows = datasets.load_dataset(
        "parquet",
        data_files={split: str(parquet / f"{split}-*.parquet") for split in SPLITS},
        cache_dir=str(tmp_path / "cache"),
    )
    assert rows["train"].features["classes"].feature.names == [spec["name"] for spec in CLASSES]
    for split in SPLITS:
        pairs = [pair for pair in PAIRS if pair.split == split]
        loaders = [DataLoader(source, batch_size=3) for source in (Files(files, split), Rows(rows[split]))]
        batches = [list(loader) for loader in loaders]
        assert len(batches[0]) == len(batches[1]) > 0
        for first, second in zip(*batches, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        images, masks = (np.concatenate([batch[i].numpy() for batch in batches[0]]) for i in (0, 1))
        np.testing.assert_array_equal(images, [pair.image for pair in pairs])
        np.testing.assert_array_equal(masks, [pair.mask for pair in pairs])


def test_all_parquet_files_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    parquet = exported(tmp_path, PAIRS, describe(), form="parquet")
    rows = datasets.load_dataset(
        "parquet", data_files=str(parquet / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert sorted(rows["pair_id"]) == sorted(pair.pair_id for pair in PAIRS)


@pytest.mark.parametrize(
    "description",
    [describe(), describe(classes=IDS, ignore=[0], masks={"encoding": "index"})],
    ids=["colours", "ids"],
)
def test_the_folder_reads_back_through_describe(tmp_path: Path, description: DatasetDescription) -> None:
    folder = exported(tmp_path, PAIRS, description)
    text = description_text("back", folder.as_posix(), propose(folder, 0))
    back = checked("back", text)
    assert [(one.name, one.raw, one.color) for one in back.classes] == [
        (one.name, one.raw, one.color) for one in description.classes
    ]
    assert back.ignore == description.ignore and back.masks.encoding == description.masks.encoding
    scenes, reader = find_scenes(back, folder, file_digest), SceneReader(back, folder)
    check_scenes(scenes, reader, workers=1)
    pairs = {pair.pair_id: pair for pair in PAIRS}
    assert {Path(scene.image).stem: scene.split for scene in scenes} == {p.pair_id: p.split for p in PAIRS}
    for scene in scenes:
        image, mask = reader.read(scene, 0, 0, 16, 16)
        np.testing.assert_array_equal(image, pairs[Path(scene.image).stem].image)
        np.testing.assert_array_equal(mask, pairs[Path(scene.image).stem].mask)


def test_synthetic_pairs_are_listed_for_training(tmp_path: Path) -> None:
    pairs = made_pairs(5, split="synthetic")
    folder = exported(tmp_path, pairs, describe(), ("synthetic",))
    assert (folder / "train.txt").read_text().splitlines() == [pair.pair_id for pair in pairs]
    assert len(list((folder / "images").iterdir())) == 5


def test_only_the_splits_that_are_asked_for_are_written(tmp_path: Path) -> None:
    folder = exported(tmp_path / "a", PAIRS, describe(), ("val",))
    assert {path.stem for path in (folder / "masks").iterdir()} == {p.pair_id for p in PAIRS if p.split == "val"}
    assert not (folder / "train.txt").exists()
    parquet = exported(tmp_path / "b", PAIRS, describe(), ("val",), form="parquet")
    assert {path.name.split("-")[0] for path in parquet.glob("*.parquet")} == {"val"}


def test_names_of_files_are_unique_and_need_no_folders(tmp_path: Path) -> None:
    ids = ["Tile 1/a/0-1", "Tile_1/a/0-1", "TILE 1/a/0-1", "ü/b"]
    pairs = [replace(pair, pair_id=name) for pair, name in zip(made_pairs(4), ids, strict=True)]
    store = write_store(tmp_path, pairs)
    assert file_names(store) == ["Tile_1_a_0-1", "Tile_1_a_0-1-2", "TILE_1_a_0-1-3", "ü_b"]


@pytest.mark.parametrize("letter", ["a", "ä", "字", "𝒜"])
@pytest.mark.parametrize("length", [1, 119, 120, 121, 242, 255, 4000])
def test_long_names_are_shortened_and_stay_different(tmp_path: Path, letter: str, length: int) -> None:
    pairs = [replace(pair, pair_id=f"{letter * length}{i % 2}") for i, pair in enumerate(made_pairs(2))]
    names = file_names(write_store(tmp_path, pairs))
    assert len(set(names)) == 2
    for name, pair in zip(names, pairs, strict=True):
        assert len(name.encode()) <= 122
        assert name == pair.pair_id if len(pair.pair_id.encode()) <= 120 else name[:20] == pair.pair_id[:20]


def test_pairs_with_long_names_are_exported(tmp_path: Path) -> None:
    pairs = [replace(pair, pair_id=f"{'x' * 242}/{i}") for i, pair in enumerate(made_pairs(3))]
    folder = exported(tmp_path, pairs, describe())
    listed = (folder / "train.txt").read_text().split()
    assert sorted(path.stem for path in (folder / "masks").iterdir()) == sorted(listed) and len(listed) == 3


def placed_scene(transform: tuple[float, ...]) -> Scene:
    return Scene("p", "g", "p.tif", "p.png", "train", (6, 2, 64, 40), 20, 32, "EPSG:32640", transform, "d")


@pytest.mark.parametrize("transform", [(0.5, 0, 5e5, 0, -0.5, 2e6), (0.3, 0.4, 5e5, 0.4, -0.3, 2e6)])
def test_geotiffs_keep_place_and_pixels_and_the_rest_are_png(tmp_path: Path, transform: tuple[float, ...]) -> None:
    plain, placed = made_pairs(2)
    placed = replace(placed, scene_id="p", row=4, col=16)
    scenes = {"p": placed_scene(transform)}
    folder = exported(tmp_path, [plain, placed], describe(), images="geotiff", scenes=scenes)
    painted = Painter(describe()).paint(placed.mask)
    for kind, pixels in (("images", placed.image), ("masks", painted)):
        with rasterio.open(folder / kind / f"{placed.pair_id}.tif") as file:
            assert file.crs.to_string() == "EPSG:32640"
            np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), pixels)
            # A scaled pixel is two of the image's: the tile begins at its column 6 + 2 * 16, row 2 + 2 * 4.
            for x, y in ((0, 0), (16, 16), (3, 11)):
                np.testing.assert_allclose(file.transform @ (x, y), Affine(*transform) @ (38 + 2 * x, 10 + 2 * y))
    assert (folder / "images" / f"{plain.pair_id}.png").exists()


def test_an_interrupted_export_goes_on_and_equals_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exported(tmp_path / "a", PAIRS, describe())
    real, calls = exporting._write_files, []

    def failing(mark: Path, shard: Path, target: Path, *rest: Any) -> None:
        calls.append(shard.name)
        if len(calls) == 3:
            (target / "images" / "half.tmp").write_bytes(b"half")
            (target / "images" / "half.tmp").unlink()
            raise KeyboardInterrupt
        real(mark, shard, target, *rest)

    monkeypatch.setattr(exporting, "_write_files", failing)
    with pytest.raises(KeyboardInterrupt):
        exported(tmp_path / "b", PAIRS, describe())
    assert not list((tmp_path / "b" / "work").rglob(MANIFEST))
    again = exported(tmp_path / "b", PAIRS, describe())
    assert calls == [f"pairs-0000{i}.parquet" for i in (0, 1, 2, 2, 3)]
    files = {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*") if p.is_file() and p.name != MANIFEST}
    assert files == {
        p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file() and p.name != MANIFEST
    }


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_an_empty_split_is_no_error(tmp_path: Path, form: str) -> None:
    folder = exported(tmp_path, made_pairs(2), describe(), form=form)
    assert json.loads((folder / MANIFEST).read_text())["counts"] == {"train": 2}
    assert not (folder / "val.txt").exists()


def test_a_store_is_left_as_it_is(tmp_path: Path) -> None:
    exported(tmp_path, PAIRS, describe(), form="parquet")
    (path,) = (tmp_path / "store").rglob(MANIFEST)
    store = PairStore(path.parent)
    assert all(file_digest(store.path / shard["file"]) == shard["sha256"] for shard in store.manifest["shards"])
