from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsynth.work import files
from satsynth.work.errors import ResourceError
from satsynth.work.files import (
    DigestCache,
    atomic,
    canonical_json,
    digest_of,
    disk_errors,
    place_folder,
    read_json,
    write_json,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    for before in ([], [path]):
        with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
        assert list(path.parent.iterdir()) == before
        path.write_text("whole")
    assert path.read_text() == "whole"


def test_a_finished_write_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space is left"), (errno.EDQUOT, "No space is left"), (errno.EROFS, "cannot be written")],
)
def test_a_full_or_closed_disk_says_what_to_do_and_leaves_nothing(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(ResourceError, match=said) as caught, atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "file.txt") in caught.value.problem
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_at_the_sync_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="the same command again"):
        write_json(tmp_path / "value.json", {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_made_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(ResourceError, match="write access"):
        write_json(tmp_path / "new" / "value.json", {})


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), atomic(tmp_path / "file.txt"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory")


@given(JSON)
def test_json_survives_a_round_trip(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
def test_the_digest_depends_on_the_value_and_not_on_the_order(value: dict[str, int]) -> None:
    assert digest_of(dict(reversed(value.items()))) == digest_of(value)
    key = next(iter(value))
    assert digest_of({**value, key: value[key] + 1}) != digest_of(value)


def test_a_json_file_survives_a_round_trip(tmp_path: Path) -> None:
    value = {"ä": [1, 2.5, None], "b": {"c": "d"}}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value


def source_folder(root: Path) -> Path:
    (root / "source" / "inner").mkdir(parents=True)
    (root / "source" / "one.bin").write_bytes(b"one")
    (root / "source" / "inner" / "two.bin").write_bytes(b"two")
    return root / "source"


def test_placing_a_folder_links_its_files(tmp_path: Path) -> None:
    source, target = source_folder(tmp_path), tmp_path / "versions" / "target"
    place_folder(source, target)
    for name in ("one.bin", "inner/two.bin"):
        assert (target / name).samefile(source / name)
    assert list(target.parent.iterdir()) == [target]


def test_placing_a_folder_copies_where_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    source, target = source_folder(tmp_path), tmp_path / "target"
    monkeypatch.setattr(os, "link", no_links)
    place_folder(source, target)
    assert (target / "inner" / "two.bin").read_bytes() == b"two"
    assert not (target / "one.bin").samefile(source / "one.bin")


def test_placing_a_folder_replaces_an_unfinished_one(tmp_path: Path) -> None:
    source, target = source_folder(tmp_path), tmp_path / "target"
    target.mkdir()
    (target / "half.bin").write_bytes(b"half")
    place_folder(source, target)
    assert sorted(p.name for p in target.iterdir()) == ["inner", "one.bin"]


def test_a_folder_that_finds_no_space_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = source_folder(tmp_path)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(ResourceError, match="No space is left"):
        place_folder(source, tmp_path / "target")
    assert list(tmp_path.iterdir()) == [source]


def test_the_digest_cache_notices_a_changed_file(tmp_path: Path) -> None:
    path, cache = tmp_path / "file.bin", DigestCache(tmp_path / "digests.json")
    path.write_bytes(b"one")
    first = cache.digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert cache.digest(path) == files.file_digest(path) != first


def test_the_digest_cache_does_not_read_a_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"one")
    first = DigestCache(tmp_path / "digests.json")
    digest = first.digest(path)
    first.save()

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(files, "file_digest", refuse)
    assert DigestCache(tmp_path / "digests.json").digest(path) == digest


def test_a_failure_of_compiled_code_on_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(ResourceError, match="No space is left"), atomic(tmp_path / "a"):
        raise RuntimeError("unexpected pos 816512 vs 816400")
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "a"):
        raise FileNotFoundError(errno.ENOENT, "gone")


@pytest.mark.parametrize("library", [False, True])
def test_a_limit_on_the_size_of_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1024))
    error = RuntimeError("file write failed") if library else OSError(errno.EFBIG, "File too large")
    with pytest.raises(ResourceError, match="ulimit -f"), disk_errors(tmp_path / "x"):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), disk_errors(tmp_path / "x"):
        raise RuntimeError("shapes do not fit")
