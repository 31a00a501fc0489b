from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from satsynth.tracking.provenance import (
    HOST,
    PROCESS,
    STARTED,
    as_key,
    flat,
    git_tags,
    has_broken_password,
    host_name,
    is_dead,
    machine_tags,
    numbers,
    process_tags,
    without_password,
)


def test_parameters_are_flattened_by_dots() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": "1", "a.c.d": "[2]", "e": "None"}


def test_a_folder_outside_of_git_has_no_git_tags(tmp_path: Path) -> None:
    assert git_tags(tmp_path) == {}


def test_a_checkout_tells_its_commit_and_whether_it_is_dirty(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        given = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        return subprocess.run(given, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    assert git_tags(tmp_path) == {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git_dirty": "false"}
    (tmp_path / "file").write_text("two")
    assert git_tags(tmp_path)["git_dirty"] == "true"


def test_nested_metrics_become_numbers_by_dots() -> None:
    values = {"a": {"b": 1, "c": "text", "d": {"e": 0.5}}, "f": True, "g": None, "h": float("nan")}
    found = numbers(values, "fidelity.")
    assert math.isnan(found.pop("fidelity.h"))
    assert found == {"fidelity.a.b": 1.0, "fidelity.a.d.e": 0.5}


def test_the_machine_is_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/kedro", "run", "--env=smoke"])
    tags = machine_tags()
    assert float(tags["memory_gib"]) == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert int(tags["cpu_cores"]) == len(os.sched_getaffinity(0))
    assert tags["cpu"] and tags["gpu"] and tags["version.torch"] and tags["version.mlflow"]
    assert tags["mlflow.source.name"] == "kedro run --env=smoke"


@pytest.mark.parametrize("text", ["http://ada:s3cret@host:5000/a", "no luck at http://ada:s3cret@host:5000/a: 500"])
def test_a_password_is_never_shown(text: str) -> None:
    shown = without_password(text)
    assert "s3cret" not in shown and "ada" not in shown and "http://host:5000/a" in shown


@pytest.mark.parametrize("password", ["p/ss", "/", "a@b", "//", "a?b#c", "x:y/z@w"])
def test_no_part_of_a_password_with_special_characters_is_shown(password: str) -> None:
    uri = f"http://ada:{password}@host:5000/a"
    assert without_password(uri) == "http://host:5000/a"
    assert without_password(f"no luck at {uri}: 500") == "no luck at http://host:5000/a: 500"
    assert has_broken_password(uri) == any(sign in password for sign in "/?#")


@pytest.mark.parametrize("uri", ["sqlite:////home/a@b/mlflow.db", "http://host:5000/a", "http://ada:p%2Fss@host/a"])
def test_addresses_that_can_be_read_have_no_broken_password(uri: str) -> None:
    assert not has_broken_password(uri)
    assert without_password("sqlite:////home/a@b/mlflow.db") == "sqlite:////home/a@b/mlflow.db"


def test_keys_keep_what_mlflow_allows() -> None:
    assert as_key("miou.fpn R=1 50% real/a:b-c_d") == "miou.fpn R_1 50 percent real/a:b-c_d"
    assert len(as_key("x" * 999)) == 250


def test_names_that_differ_in_symbols_or_at_their_end_have_different_keys() -> None:
    classes = ["trees <5 m", "trees >5 m", "trees _5 m", "a+", "a*", "a=", "a_", "水 (深)", "水 [深]", "R=1", "R==1"]
    classes += ["x" * 300 + "1", "x" * 300 + "2"]
    keys = [as_key(f"iou.{name}") for name in classes]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[\w.\- :/]{1,250}", key) for key in keys)
    assert as_key("iou.water") == "iou.water" and as_key("iou.вода") == "iou.вода"


def test_only_a_process_of_this_host_that_is_gone_is_dead() -> None:
    own = process_tags()
    assert own[HOST].startswith(f"{socket.gethostname()} ") and own[PROCESS] == str(os.getpid())
    assert not is_dead(own) and not is_dead({})
    # The number lives on as another process.
    assert is_dead({**own, STARTED: str(float(own[STARTED]) - 100)})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        started = psutil.Process(other.pid).create_time() - psutil.boot_time()
        tags = {HOST: own[HOST], PROCESS: str(other.pid), STARTED: str(started)}
        assert not is_dead(tags)
        other.kill()
        other.wait()
    assert is_dead(tags)
    assert not is_dead({**tags, HOST: "elsewhere"})


def test_a_living_process_outlives_a_change_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    own, booted, created = process_tags(), psutil.boot_time(), psutil.Process().create_time()
    # Systems count moments from the boot, which they move with the clock.
    monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created + 3600)
    assert not is_dead(own)


@pytest.mark.parametrize("differs", ["machine", "container"])
def test_another_machine_of_the_same_name_kills_no_run(differs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text, readlink = Path.read_text, os.readlink

    def identity(path: Path, *given: Any, **named: Any) -> str:
        return "another\n" if str(path) == "/etc/machine-id" else read_text(path, *given, **named)

    def namespace(path: Any, *given: Any, **named: Any) -> Any:
        return "pid:[1]" if str(path) == "/proc/self/ns/pid" else readlink(path, *given, **named)

    gone = {**process_tags(), STARTED: "-100"}
    assert is_dead(gone)
    if differs == "machine":
        monkeypatch.setattr(Path, "read_text", identity)
    else:
        monkeypatch.setattr(os, "readlink", namespace)
    assert not is_dead(gone)


def test_a_system_that_tells_only_its_name_knows_its_own_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(os, "readlink", absent)
    monkeypatch.setattr(socket, "gethostname", lambda: "plain")
    assert host_name() == host_name() and host_name().startswith("plain ")
