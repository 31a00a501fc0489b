from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from bad_server import PATIENT, made_zip, noise, serving
from made_data import describe
from satsynth.datasets.description import DatasetDescription
from satsynth.fetching.raw_data import fetch_archive
from satsynth.pipelines.download.nodes import fetch_raw
from satsynth.work.errors import DataError, ResourceError
from satsynth.work.workspace import Workspace

FILES = {"top/a/1.png": noise(40_000), "top/b/2.png": noise(50_000, 1)}
CONTENT = made_zip(FILES)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def described(archives: list[dict[str, object]], **changes: object) -> DatasetDescription:
    return describe(download={"terms": "Cite the authors.", "archives": archives, **changes})


def test_archives_lie_unpacked_in_the_raw_folder_and_are_fetched_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Workspace(project=str(tmp_path))
    with serving(CONTENT, break_after=60_000) as server, caplog.at_level(logging.INFO):
        description = described([server.archive(strip="top", into="part").model_dump()])
        records = [fetch_raw(description, PATIENT, run) for _ in range(2)]
        asked = len(server.asked)
        raw = tmp_path / "data/01_raw/made/part"
        assert {str(path.relative_to(raw)): path.read_bytes() for path in raw.rglob("*.png")} == {
            "a/1.png": FILES["top/a/1.png"],
            "b/2.png": FILES["top/b/2.png"],
        }
        assert records[0] == records[1] and asked == 2
        assert records[0]["archives"][0] | {"files": 2, "bytes": 90_000} == records[0]["archives"][0]
        assert str(tmp_path) not in str(records[0])
        # The archive itself has been removed. A missing file causes it to be fetched again.
        assert not list(tmp_path.rglob("*.zip"))
        (raw / "a/1.png").unlink()
        fetch_raw(description, PATIENT, run)
        assert (raw / "a/1.png").exists() and len(server.asked) == 4
    for said in ("Licence: none", "Cite the authors.", "--params=dataset=made"):
        assert said in caplog.text


def test_a_target_folder_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/01_raw/made").mkdir(parents=True)
    (tmp_path / "data/01_raw/made/part").symlink_to(tmp_path / "elsewhere")
    with serving(CONTENT) as server:
        description = described([server.archive(into="part/a").model_dump()])
        with pytest.raises(DataError, match="lies outside the raw folder"):
            fetch_raw(description, PATIENT, Workspace(project=str(tmp_path)))
        assert server.asked == [] and list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["result", "step.json", "run.json", "lock", "archive"])
def test_archives_with_names_of_our_own_files_are_fetched(tmp_path: Path, name: str) -> None:
    with serving(CONTENT) as server:
        description = described([server.archive(url=f"{server.url}/{name}").model_dump()])
        record = fetch_raw(description, PATIENT, Workspace(project=str(tmp_path)))
    assert record["archives"][0]["files"] == 2


@pytest.mark.parametrize("end", ["a/..", ".", ".hidden", "a\\b"])
def test_addresses_that_end_in_no_name_are_refused(end: str) -> None:
    with pytest.raises(ValidationError, match="no name of a file"):
        described([{"url": f"http://127.0.0.1/{end}", "size": 1, "md5": "0" * 32}])


def test_a_run_that_failed_keeps_what_came(tmp_path: Path) -> None:
    with serving(CONTENT, break_after=50_000, statuses=[200, 500, 500, 500]) as server:
        archive = server.archive()
        with pytest.raises(ResourceError, match=r"\d\d,\d\d\d of \d+,\d+ bytes arrived"):
            fetch_archive(archive, "made", tmp_path / "raw", tmp_path / "work", PATIENT)
        fetch_archive(archive, "made", tmp_path / "raw", tmp_path / "work", PATIENT)
        assert server.asked[-1] is not None
    shutil.rmtree(tmp_path / "work")
    assert (tmp_path / "raw/top/a/1.png").read_bytes() == FILES["top/a/1.png"]


def test_where_a_person_must_act_the_steps_are_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        record = fetch_raw(
            described([], steps=["Sign the form.", "Unpack it."]), PATIENT, Workspace(project=str(tmp_path))
        )
    assert record["steps"] == ["Sign the form.", "Unpack it."] and record["archives"] == []
    assert "1. Sign the form." in caplog.text and "2. Unpack it." in caplog.text


@pytest.mark.parametrize("changes", [{}, {"raw": "package:numpy", "download": {"terms": "-", "steps": ["-"]}}])
def test_a_data_set_without_sources_says_how_to_obtain_it(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="has no `download`") as caught:
        fetch_raw(describe(**changes), PATIENT, Workspace(project=str(tmp_path)))
    assert caught.value.remedy == "Ask the tests for it."


GOOD = {"url": "https://a.org/x.zip", "size": 5, "md5": "0" * 32}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "ftp://a.org/x.zip"}, "url"),
        ({"md5": "0" * 31}, "md5"),
        ({"size": 0}, "size"),
        ({"into": "../else"}, "leads out"),
        ({"strip": "/x"}, "leads out"),
    ],
)
def test_sources_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    described([GOOD])
    with pytest.raises(ValidationError, match=said):
        described([{**GOOD, **changes}])
    with pytest.raises(ValidationError, match="needs `archives` to fetch, or `steps`"):
        described([])
