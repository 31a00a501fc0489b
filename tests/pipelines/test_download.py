from __future__ import annotations

import json
import shutil

import pytest
import yaml
from interruptions import kill_when
from projects import Project

from bad_server import made_zip, serving

RAW = "data/01_raw/made"


def _sources(project: Project, archives: list[dict[str, object]]) -> None:
    file = project.path / "conf/base/parameters_dataset_made.yml"
    content = yaml.safe_load(file.read_text())
    content["datasets"]["made"]["download"] = {"terms": "Cite the tests.", "archives": archives}
    file.write_text(yaml.safe_dump(content))


def test_a_data_set_is_fetched_ingested_and_not_fetched_again(
    made_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    raw = made_project.path / RAW
    files = {f"made/{path.relative_to(raw)}": path.read_bytes() for path in raw.rglob("*.png")}
    shutil.rmtree(raw)
    with serving(made_zip(files), break_after=90_000) as server:
        _sources(made_project, [server.archive(strip="made").model_dump()])
        output = made_project.run("download", "micro", **{"download.longest_wait": "0"})
        assert "Cite the tests." in output and "Licence: none" in output
        assert {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*.png")} == {
            name.removeprefix("made/"): content for name, content in files.items()
        }
        asked = len(server.asked)
        made_project.run("download", "micro")
        assert len(server.asked) == asked
    record = made_project.path / "data/02_intermediate/micro/made/download_record.json"
    assert json.loads(record.read_text())["archives"][0]["files"] == len(files)
    made_project.run("ingestion", "micro")


def test_killed_and_typed_again_it_goes_on(made_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    raw, work = made_project.path / RAW, made_project.path / "data/.work/download"
    files = {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*.png")}
    shutil.rmtree(raw)
    with serving(made_zip(files), stall_after=100_000) as server:
        _sources(made_project, [server.archive().model_dump()])
        assert kill_when(
            made_project.fork("download", "micro"),
            lambda: any(path.stat().st_size > 50_000 for path in work.rglob("*.part")),
        )
        assert not raw.exists()
        made_project.run("download", "micro")
        assert server.asked[0] is None and int(str(server.asked[1]).removeprefix("bytes=")[:-1]) > 50_000
    assert {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*.png")} == files


def test_without_a_network_it_says_what_to_do(made_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(b"1") as server:
        archive = server.archive().model_dump()
    _sources(made_project, [archive])
    output = made_project.fail("download", "micro", **{"download.attempts": "2", "download.longest_wait": "0"})
    assert "cannot be fetched" in output and "What to do: Check the network" in output
