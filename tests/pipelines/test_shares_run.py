from __future__ import annotations

import pytest
from projects import Project, add_made_data, make_project

import satsynth

FAMILY = {"generation.family": "replay"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a generator, from which nothing was drawn yet."""
    made = add_made_data(make_project(tmp_path_factory.mktemp("shares") / "project"))
    made.run("ingestion,tiling,diffusion", "micro", **FAMILY)
    return made


def test_four_runs_started_together_draw_the_parts_of_one_set(project: Project) -> None:
    runs = [project.fork("sampling", "micro", share=f"{part}/4", **FAMILY) for part in range(1, 5)]
    statuses, said = zip(*(run.ended(300) for run in runs), strict=True)
    assert statuses == (0,) * 4, "\n".join(said)
    parts = [text for text in said if "of the step is done" in text]
    assert len(parts) <= 3 and "Traceback" not in "".join(said)
    stores = project.path / "data/07_model_output/micro/made/synthetic_pairs"
    versions = list(stores.glob("*/synthetic_pairs/manifest.json"))
    # Those that ended before the others were done have saved nothing.
    assert 1 <= len(versions) == 4 - len(parts)
    store = satsynth.open_pairs(stores)
    assert len(store.manifest["shards"]) > 4 and store.index()["row"].tolist() == list(range(store.count()))
