from __future__ import annotations

from pathlib import Path

from interruptions import contents, kill_when
from projects import Project, add_made_data, make_project

PIPELINES = "ingestion,tiling,diffusion,sampling"
PARTS = ["tiling/*/result/*.parquet", "diffusion/*/checkpoint.pt", "sampling/*/result/*.parquet"]


def test_killed_in_each_stage_and_typed_again_gives_the_same_bytes(made_project: Project, tmp_path: Path) -> None:
    undisturbed = add_made_data(make_project(tmp_path / "undisturbed"))
    undisturbed.run(PIPELINES, "micro")
    work = made_project.path / "data" / ".work"
    kept: dict[str, dict[str, int]] = {}
    for part in PARTS:
        assert kill_when(made_project.fork(PIPELINES, "micro"), lambda part=part: any(work.glob(part)))
        kept[part] = _times(work, part)
    made_project.run(PIPELINES, "micro")
    assert contents(made_project.path) == contents(undisturbed.path)
    for part, before in kept.items():
        if part.endswith(".parquet"):
            assert before.items() <= _times(work, part).items(), "a finished shard was written again"


def _times(work: Path, part: str) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in work.glob(part)}
