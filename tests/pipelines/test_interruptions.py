from __future__ import annotations

from pathlib import Path

import pytest
from interruptions import contents, kill_when
from projects import Project, add_made_data, make_project

PIPELINES = "ingestion,tiling,diffusion,sampling"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = add_made_data(make_project(tmp_path_factory.mktemp("undisturbed")))
    project.run(PIPELINES, "micro")
    return contents(project.path)


@pytest.mark.parametrize(
    "part",
    ["tiling/*/result/*.parquet", "diffusion/*/checkpoint.pt", "sampling/*/result/*.parquet"],
    ids=["tiling", "diffusion", "sampling"],
)
def test_killed_and_typed_again_gives_the_same_bytes(
    part: str, made_project: Project, undisturbed: dict[str, str]
) -> None:
    work = made_project.path / "data" / ".work"
    assert kill_when(made_project.start(PIPELINES, "micro"), lambda: any(work.glob(part)))
    before = _times(work, part)
    made_project.run(PIPELINES, "micro")
    assert contents(made_project.path) == undisturbed
    if part.endswith(".parquet"):
        assert before.items() <= _times(work, part).items(), "a finished shard was written again"


def _times(work: Path, part: str) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in work.glob(part)}
