from __future__ import annotations

import subprocess
import sys

from interruptions import newest
from projects import Project, clean_environment

from satsynth.pairs.store import PairStore


def satsynth(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kedro", "satsynth", *arguments]
    return subprocess.run(command, cwd=project.path, env=clean_environment(), capture_output=True, text=True)


def test_after_pruning_the_newest_version_reads_and_an_unchanged_run_does_no_work(made_project: Project) -> None:
    made_project.run("ingestion", "micro")
    made_project.run("tiling", "micro", **{"tiling.stride": "16"})
    old = newest(made_project.path, "tiles")
    made_project.run("tiling", "micro")
    new = newest(made_project.path, "tiles")
    assert old != new
    shown = satsynth(made_project, "storage")
    assert shown.returncode == 0 and "versions of tiles (micro, made)" in shown.stdout, shown.stderr
    pruned = satsynth(made_project, "prune", "--keep", "1", "--yes")
    assert pruned.returncode == 0 and "work on tiling" in pruned.stdout, pruned.stderr
    assert not old.exists()
    store = PairStore(new)
    assert len(list(store.pictures())) == store.count() > 0
    work = {path: path.stat().st_mtime_ns for path in made_project.path.glob("data/.work/tiling/*/result/*")}
    made_project.run("tiling", "micro")
    assert {path: path.stat().st_mtime_ns for path in work} == work
    assert PairStore(newest(made_project.path, "tiles")).digest == store.digest
    refused = satsynth(made_project, "prune", "--keep", "0")
    assert refused.returncode == 2 and "--keep" in refused.stderr
