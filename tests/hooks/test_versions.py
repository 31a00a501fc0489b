"""A run reads what it saves itself and what its parameters make, whatever other versions there are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError
from kedro.runner import AbstractRunner, ParallelRunner, SequentialRunner, ThreadRunner
from toy import PARAMETERS, Toy, frame

from satsynth.catalog.folder import ExportDataset
from satsynth.catalog.recorded import Making, read_what_is_shown
from satsynth.catalog.small import CsvDataset
from satsynth.work.errors import AncestryError, DamagedError
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, work_folder
from satsynth.work.origins import in_order, read_origin

AHEAD = "2099-01-01T00.00.00.000Z"


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def page(seed: int = 0, images: int = 100, stride: int = 32, bins: int = 4) -> str:
    """Return what a report shows that is made by one set of parameters."""
    drawn = 10 * (1000 * stride + images) + seed
    settings = {
        "count": {"bins": bins},
        "cut_tiles": {"stride": stride},
        "draw": {"seed": seed},
        "learn": {"images": images},
    }
    return f"pairs {drawn} summary {drawn} {settings} ['generator', 'pairs', 'summary', 'tiles']"


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner, ParallelRunner])
def test_versions_dated_ahead_are_not_read(toy: Toy, runner: type[AbstractRunner]) -> None:
    toy.run(version=AHEAD, seed=5, images=7, stride=9)
    assert sorted(toy.run(runner=runner()).split()) == sorted(page().split())
    # By itself, a pipeline reads the same; so does whoever reads without parameters, since it was saved last.
    assert toy.run("report") == page()
    found = toy.catalog({}, "x", PARAMETERS).load("pairs")["value"].tolist()
    assert found == [10 * (1000 * 32 + 100)]


@pytest.mark.parametrize("step", ["learn", "draw", "count", "report"])
def test_two_runs_at_once_each_show_their_own(toy: Toy, step: str) -> None:
    other: list[str] = []

    def meanwhile() -> None:
        other.append(toy.run(seed=5, images=7, stride=9, bins=3, version=AHEAD))

    assert toy.run(before={step: meanwhile}) == page()
    assert other == [page(5, 7, 9, 3)]
    # The files that everybody sees are whole, and of one run each: that which saved last.
    assert toy.public("page.txt").read_text() == page()
    assert list((toy.folder / "08_reporting").glob(".*.tmp")) == []


def test_a_pipeline_by_itself_reads_what_its_parameters_make_not_what_is_newest(toy: Toy) -> None:
    first = toy.run()
    toy.run(seed=9)
    for version in ("pairs", "tiles", "generator"):
        assert len(list((toy.folder / "data" / f"{version}.parquet").iterdir())) == 2
    # Tables have one version: that of the other run, which does not fit.
    with pytest.raises(
        AncestryError, match=r"`summary` is not there as .*\n  - draw.seed was 9, and is 0 now"
    ) as error:
        toy.run("report")
    assert "kedro run --pipeline=comparison" in error.value.remedy
    toy.run("comparison")
    assert toy.run("report") == first == page()


def test_a_changed_seed_is_sampled_and_then_reported_with_its_own_scores_only(toy: Toy) -> None:
    toy.run()
    toy.run("sampling", seed=9)
    with pytest.raises(AncestryError, match=r"`summary` is .*\n  - draw.seed was 0, and is 9 now"):
        toy.run("report", seed=9)
    # Without it, the old report still fits together.
    assert toy.run("report") == page()
    toy.run("comparison", seed=9)
    assert toy.run("report", seed=9) == page(seed=9)


@pytest.mark.parametrize(
    ("changes", "entry", "words"),
    [
        ({"images": 999_999}, "generator", "learn.images was 100, and is 999999 now"),
        ({"stride": 9}, "pairs", "cut.stride was 32, and is 9 now"),
        ({"bins": 2}, "summary", "count.bins was 4, and is 2 now"),
    ],
)
def test_a_parameter_that_nothing_was_made_with_is_refused_not_printed(
    toy: Toy, changes: dict[str, int], entry: str, words: str
) -> None:
    toy.run()
    before = toy.public("page.txt").read_text()
    with pytest.raises(AncestryError) as error:
        toy.run("report", **changes)
    assert words in error.value.problem
    assert "kedro run --pipeline=" in error.value.remedy
    assert toy.public("page.txt").read_text() == before and "999999" not in before


def test_from_nodes_reads_what_its_parameters_make(toy: Toy) -> None:
    toy.run()
    toy.run(images=7, version=AHEAD)
    assert toy.run(from_nodes=["draw"], seed=3) == page(seed=3)
    with pytest.raises(AncestryError, match=r"learn.images was 7, and is 8 now|learn.images was 100, and is 8 now"):
        toy.run(from_nodes=["draw"], images=8)


def test_only_missing_outputs_makes_what_is_not_there_as_these_parameters_make_it(toy: Toy) -> None:
    toy.run()
    toy.ran.clear()
    assert toy.run(only_missing=True) == page() and toy.ran == []
    assert toy.run(only_missing=True, seed=4) == page(seed=4)
    assert toy.ran == ["draw", "count", "report"]
    toy.ran.clear()
    # Versions of the first run are found; what has no versions is of the second one.
    assert toy.run(only_missing=True) == page()
    assert toy.ran == ["count", "report"]
    toy.ran.clear()
    # Edited by hand: not what was saved.
    toy.public("summary.csv").write_text("value\n1\n")
    assert toy.run(only_missing=True) == page()
    assert toy.ran == ["count", "report"]


def test_a_version_that_the_user_names_is_read_with_what_it_was_made_from(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    toy.run(images=7)
    toy.run()
    named = {"generator": "2026-01-01T00.00.00.000Z"}
    toy.run("sampling", "comparison", load=named)
    assert "learn.images was 7, and is 100 now" in caplog.text
    assert toy.run("report", load=named) == page(images=7), "what rests on it is found with its parameters"
    # Named, but the tables are those of the other one.
    toy.run("comparison")
    with pytest.raises(AncestryError, match="`summary` is not there"):
        toy.run("report", load=named)


def test_named_versions_that_do_not_fit_together_are_refused(toy: Toy) -> None:
    toy.run(stride=9)
    toy.run()
    named = {"tiles": "2026-01-02T00.00.00.000Z", "generator": "2026-01-01T00.00.00.000Z"}
    with pytest.raises(AncestryError, match=r"`generator` .* was made from other `tiles`"):
        toy.run("sampling", load=named)


def test_data_that_changed_in_between_are_seen(toy: Toy) -> None:
    toy.run()
    toy.source = 1
    # The same parameters, other data: the tiles that were saved last count, and nothing else was made from them.
    toy.run("tiling", version="2000-01-01T00.00.00.000Z")
    with pytest.raises(AncestryError, match=r"`generator` .* was made from other `tiles`") as error:
        toy.run("sampling")
    assert "kedro run --pipeline=diffusion" in error.value.remedy
    # The older tiles are read by their name, with all that was made from them.
    assert toy.run("report", load={"tiles": "2026-01-01T00.00.00.000Z"}) == page()


def test_equal_versions_are_one(toy: Toy) -> None:
    toy.run()
    toy.run()
    toy.run("tiling", version="2000-01-01T00.00.00.000Z")
    assert toy.run("report") == page()


def test_versions_are_ordered_by_when_they_were_saved_not_by_their_names(toy: Toy) -> None:
    names = [AHEAD, "2026-05-01T00.00.00.000Z", "2000-01-01T00.00.00.000Z"]
    for seed, version in enumerate(names):
        toy.run(seed=seed, version=version)
    entry = toy.folder / "data" / "pairs.parquet"
    assert [path.name for path in in_order(entry.iterdir())] == names[::-1]


def test_the_origin_of_a_table_names_everything_that_it_rests_on(toy: Toy) -> None:
    toy.run()
    origin = read_origin(toy.folder / "08_reporting" / "origins" / "page.txt.json")
    assert origin is not None
    for name in ("tiles", "generator", "pairs"):
        (version,) = (toy.folder / "data" / f"{name}.parquet").iterdir()
        own = read_origin(version / "origin.json")
        assert own is not None and origin.parents[name] == own.digest
    assert set(origin.parents) == {"tiles", "generator", "pairs", "summary"}
    assert origin.settings["learn"] == {"learn": {"images": 100}}


def test_an_edited_table_is_refused(toy: Toy) -> None:
    toy.run()
    toy.public("summary.csv").write_text("value\n1\n")
    with pytest.raises(DamagedError, match="edited, or saved by two runs at once"):
        toy.run("report")


def test_what_was_saved_by_hand_is_read_only_by_its_name(toy: Toy) -> None:
    toy.run("tiling")
    made = toy.catalog({}, AHEAD, PARAMETERS)
    made.save("generator", frame(5))
    with pytest.raises(AncestryError, match="not recorded what it was made with"):
        toy.run("sampling")
    toy.run("sampling", load={"generator": AHEAD})


def test_outside_of_runs_a_table_is_saved_without_an_origin(tmp_path: Path) -> None:
    CsvDataset(filepath=str(tmp_path / "table.csv")).save(pd.DataFrame({"value": [1]}))
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_what_a_report_shows_is_read_with_it_until_another_run_saves_it(toy: Toy) -> None:
    toy.run()
    toy.run("sampling", seed=9, version=AHEAD)
    catalog = toy.catalog({}, "x", PARAMETERS)
    assert read_what_is_shown(catalog, "page") == set()
    shown = 10 * (1000 * 32 + 100)
    assert catalog.load("pairs")["value"].tolist() == catalog.load("summary")["value"].tolist() == [shown]
    toy.run("comparison", seed=9)
    catalog = toy.catalog({}, "x", PARAMETERS)
    assert read_what_is_shown(catalog, "page") == {"summary"}
    assert catalog.load("pairs")["value"].tolist() == [shown]


def test_nothing_is_made_from_what_does_not_fit_together(toy: Toy) -> None:
    toy.run()
    toy.source = 1
    # These tiles are cut anew, from other data than the pairs that are there.
    with pytest.raises(DatasetError, match=r"`tiles` rests on other `tiles` .* than `pairs`"):
        toy.run("tiling", "comparison")
    assert toy.public("summary.csv").read_text() == "value\n321000\n"


def test_a_named_version_is_read_even_where_the_run_makes_another(toy: Toy) -> None:
    toy.run(images=7)
    named = {"generator": "2026-01-01T00.00.00.000Z"}
    with pytest.warns(UserWarning, match="did not match"):
        assert toy.run(load=named) == page(images=7)
    own = read_origin(toy.folder / "data/generator.parquet/2026-01-02T00.00.00.000Z/origin.json")
    assert own is not None and own.settings["learn"] == {"learn": {"images": 100}}


@pytest.mark.parametrize("entry", ["summary.csv", "page.txt"])
def test_a_damaged_origin_is_named_and_made_again(toy: Toy, entry: str) -> None:
    toy.run()
    path = toy.folder / "08_reporting" / "origins" / f"{entry}.json"
    path.write_text(path.read_text().replace('"number": 1', '"number": 3'))
    if entry == "summary.csv":
        with pytest.raises(DamagedError, match=r"origins/summary\.csv\.json is damaged"):
            toy.run("report")
    assert toy.run(only_missing=True) == page()
    assert toy.run("report") == page()


def test_an_export_of_another_run_does_not_count_as_there(tmp_path: Path) -> None:
    with work_folder(tmp_path / "work", Step("export", 1, {}, {})) as folder:
        folder.finish({"kind": "export"})
    export = ExportDataset(filepath=str(tmp_path / "export"))
    export.save(Finished(folder.result))
    assert export.exists()
    export.will_be_made(Making("export", {}, {}, None))
    assert not export.exists()
    export.save(Finished(folder.result))
    origin = read_origin(tmp_path / "origins" / "export.json")
    assert origin is not None and origin.digest == Finished(tmp_path / "export").digest
