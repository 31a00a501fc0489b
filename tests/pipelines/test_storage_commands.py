from __future__ import annotations

from interruptions import newest
from projects import Project

from satsynth.pairs.store import PairStore


def test_after_pruning_the_newest_version_reads_and_an_unchanged_run_does_no_work(made_project: Project) -> None:
    made_project.run("ingestion,tiling", "micro", **{"tiling.stride": "16"})
    old = newest(made_project.path, "tiles")
    made_project.run("tiling", "micro")
    new = newest(made_project.path, "tiles")
    assert old != new
    status, shown = made_project.kedro("satsynth", "storage")
    assert status == 0 and "versions of tiles (micro, made)" in shown, shown
    status, pruned = made_project.kedro("satsynth", "prune", "--keep", "1", "--yes")
    assert status == 0 and "work on tiling" in pruned, pruned
    assert not old.exists()
    store = PairStore(new)
    assert len(list(store.pictures())) == store.count() > 0
    work = {path: path.stat().st_mtime_ns for path in made_project.path.glob("data/.work/tiling/*/result/*")}
    made_project.run("tiling", "micro")
    assert {path: path.stat().st_mtime_ns for path in work} == work
    assert PairStore(newest(made_project.path, "tiles")).digest == store.digest
    status, refused = made_project.kedro("satsynth", "prune", "--keep", "0")
    assert status == 2 and "--keep" in refused
