from __future__ import annotations

from interruptions import newest
from PIL import Image
from projects import Project, made_scene

from satsynth.pairs.store import PairStore


def test_own_data_run_unedited_after_one_command(made_project: Project) -> None:
    folder = made_project.path.parent / "own"
    for split, numbers in {"train": range(4), "val": range(4, 6), "test": range(6, 8)}.items():
        for number in numbers:
            image, mask = made_scene(number, 64)
            for kind, array in (("img_dir", image), ("ann_dir", mask)):
                file = folder / kind / split / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(file)
    status, output = made_project.kedro("satsynth", "describe", str(folder), "--name=own")
    assert status == 0, output
    made_project.run("ingestion,tiling", "micro", dataset="own")
    tiles = PairStore(newest(made_project.path, "tiles"))
    assert (tiles.count("train"), tiles.count("val"), tiles.count("test")) == (16, 8, 8)
    assert len(tiles.class_names) == 3


def test_commands_are_listed_beside_kedros_own(made_project: Project) -> None:
    status, output = made_project.kedro("satsynth", "--help")
    assert status == 0 and "describe" in output
