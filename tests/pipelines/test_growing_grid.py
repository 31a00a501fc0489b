from __future__ import annotations

from pathlib import Path

from projects import Project


def manifests(project: Project, step: str) -> dict[Path, int]:
    """Return the finished results of a step, with the time of each."""
    work = project.path / "data" / ".work" / step
    return {path: path.stat().st_mtime_ns for path in work.glob("*/result/manifest.json")}


def test_a_ratio_and_a_seed_that_are_added_compute_only_what_is_new(made_project: Project) -> None:
    made_project.run("ingestion,tiling,diffusion,sampling,segmentation", "micro", **{"sampling.ratio": "2"})
    before = manifests(made_project, "segmentation")
    shards = list((made_project.path / "data/.work/sampling").glob("*/result/*.parquet"))
    assert len(before) == 2, "R = 0 and R = 1"

    more = {"sampling.ratio": "4", "segmentation.ratios": "[0,1,2]", "segmentation.seeds": "[0,1]"}
    output = made_project.run("sampling,segmentation", "micro", **more)
    after = manifests(made_project, "segmentation")
    assert before.items() <= after.items()
    assert len(after) == 6 and "4 of them are new" in output
    # Whole shards of the smaller set are shards of the larger one: the same files.
    linked = [shard for shard in shards if shard.stat().st_nlink > 2]
    assert len(linked) >= len(shards) - 1 > 1
