"""What nodes share: where work is kept, and the checks of ancestry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from satsynth.diffusion.saved import SavedGenerator
from satsynth.pairs.store import PairStore
from satsynth.scenes.description import Frozen
from satsynth.work.errors import AncestryError, listing
from satsynth.work.files import atomic, digest_of
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, WorkFolder, work_folder


class RunSettings(Frozen):
    """What a run is told beside the parameters; none of it changes a result."""

    project: str = Field(description="Folder of the project.")
    raw: str | None = Field(default=None, description="Raw data kept elsewhere than the description says.")
    fresh: bool = Field(default=False, description="Ignore all work done before.")

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return Path(self.project).resolve()

    @property
    def work(self) -> Path:
        """Folder of all work."""
        return self.folder / "data" / ".work"


def remembered(run: RunSettings, step: Step, make: Callable[[WorkFolder], object]) -> WorkFolder:
    """Return the finished folder of a step, doing the work if it was not done before."""
    with work_folder(run.work, step, run.fresh) as folder:
        if not folder.finished:
            make(folder)
    return folder


def remembered_table(
    run: RunSettings, step: Step, make: Callable[[], tuple[pd.DataFrame, Mapping[str, Any]]]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and facts beside it, computing them if they were not computed before."""

    def work(folder: WorkFolder) -> None:
        table, facts = make()
        with atomic(folder.result / "table.parquet") as temporary:
            table.to_parquet(temporary)
        folder.finish({"kind": step.name, "facts": dict(facts)})

    folder = remembered(run, step, work)
    return pd.read_parquet(folder.result / "table.parquet"), dict(folder.manifest()["facts"])


def frame_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a small table's content."""
    return digest_of(frame.map(lambda value: value.tolist() if hasattr(value, "tolist") else value).to_dict("list"))


def require_parent(child: Finished, child_name: str, parent: Finished, parent_name: str, repair: str) -> None:
    """Refuse a child that was not made from this parent.

    Raises:
        AncestryError: Another parent is named in the child's manifest.
    """
    found = child.parents.get(parent_name, "none")
    if found != parent.digest:
        raise AncestryError(
            f"`{child_name}` ({child.path}) was made from other `{parent_name}` (digest {found[:12]}) "
            f"than the newest ones ({parent.path}, digest {parent.digest[:12]}).",
            f"Make it again: {repair}",
        )


def require_unseen(generator: SavedGenerator, tiles: PairStore) -> None:
    """Refuse a generator that was trained on a scene of val or test.

    Raises:
        AncestryError: It saw such a scene.
    """
    index = tiles.index()
    seen = sorted(generator.scenes & set(index.loc[index["split"].isin(["val", "test"]), "scene_id"]))
    if seen:
        raise AncestryError(
            f"`generator` ({generator.path}) was trained on {len(seen)} scene(s) that are now val or test:\n"
            f"{listing(seen, 5)}",
            "Train it again on the present splits: kedro run --pipeline=diffusion",
        )


def origin_of(tiles: PairStore) -> dict[str, Any]:
    """Return what a generator's manifest says of the tiles that it is trained on."""
    return {
        "classes": tiles.manifest["classes"],
        "tile_size": tiles.tile_size,
        "scenes": sorted(set(scenes_of(tiles, ["train"]))),
    }


def digests(**parents: Finished) -> dict[str, str]:
    """Return the digests of inputs by name."""
    return {name: parent.digest for name, parent in parents.items()}


def scenes_of(tiles: PairStore, splits: Iterable[str]) -> list[str]:
    """Return the scene of each tile of some splits, in the store's order."""
    index = tiles.index()
    return [str(scene) for scene in index.loc[index["split"].isin(list(splits)), "scene_id"]]
