from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from bad_server import made_zip, noise
from satsynth.fetching.archives import unpack
from satsynth.fetching.settings import DownloadSettings
from satsynth.work.errors import DataError

SETTINGS = DownloadSettings()
FILES = {"Train/Rural/0.png": noise(5000), "Train/Urban/1.png": noise(3000, 1), "list.txt": b"0\n1\n"}


def write(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(made_zip(files))
    return path


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.zip", {**FILES, "__MACOSX/x": b"no"})
    sizes = unpack(archive, tmp_path / "raw", "", SETTINGS)
    found = {str(p.relative_to(tmp_path / "raw")): p.read_bytes() for p in (tmp_path / "raw").rglob("*") if p.is_file()}
    assert found == FILES
    assert sizes == {name: len(content) for name, content in FILES.items()}


def test_a_leading_folder_is_left_out(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.zip", FILES)
    assert set(unpack(archive, tmp_path / "raw", "Train", SETTINGS)) == {"Rural/0.png", "Urban/1.png"}


def test_what_is_there_is_kept_and_what_is_cut_short_is_replaced(tmp_path: Path) -> None:
    archive, raw = write(tmp_path / "a.zip", FILES), tmp_path / "raw"
    unpack(archive, raw, "", SETTINGS)
    kept, cut = raw / "Train/Rural/0.png", raw / "Train/Urban/1.png"
    cut.write_bytes(b"short")
    before = kept.stat().st_mtime_ns
    unpack(archive, raw, "", SETTINGS)
    assert kept.stat().st_mtime_ns == before and cut.read_bytes() == FILES["Train/Urban/1.png"]


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "C:/out.txt", "..\\out.txt"])
def test_paths_out_of_the_target_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = write(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match="leads out of the target"):
        unpack(archive, tmp_path / "raw", "", SETTINGS)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "raw", "", SETTINGS)


def test_a_link_in_the_target_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "raw" / "Train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="through a link"):
        unpack(write(tmp_path / "a.zip", FILES), tmp_path / "raw", "", SETTINGS)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("names", [("a.png", ".a.png.tmp"), ("a.png", "a.png.part"), (".a.zip.tmp", "a.zip")])
def test_names_like_those_of_temporary_files_lose_no_file(tmp_path: Path, names: tuple[str, str]) -> None:
    for order in (names, names[::-1]):
        raw = tmp_path / order[0]
        unpack(write(tmp_path / "x.zip", {name: name.encode() for name in order}), raw, "", SETTINGS)
        assert {file.name: file.read_text() for file in raw.iterdir()} == {name: name for name in names}


def test_the_name_that_unpacking_itself_uses_is_refused_and_a_link_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "raw" / ".a.zip.unpacking").symlink_to(tmp_path / "secret")
    unpack(write(tmp_path / "a.zip", FILES), tmp_path / "raw", "", SETTINGS)
    assert (tmp_path / "secret").read_text() == "kept"
    with pytest.raises(DataError, match="a name that unpacking itself uses"):
        unpack(write(tmp_path / "a.zip", {".A.zip.unpacking": b"1"}), tmp_path / "new", "", SETTINGS)


def test_control_characters_and_files_in_place_of_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a\\x1b\[2J.png' has control characters"):
        unpack(write(tmp_path / "a.zip", {"a\x1b[2J.png": b"1"}), tmp_path / "raw", "", SETTINGS)
    with pytest.raises(DataError, match="a part of the path of its entry 'A/b' is a file"):
        unpack(write(tmp_path / "a.zip", {"a": b"1", "A/b": b"2"}), tmp_path / "raw", "", SETTINGS)


def test_bombs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    bomb = write(tmp_path / "a.zip", {"zeros": bytes(3_000_000)})
    with pytest.raises(DataError, match=r"would grow from .* to 3,000,000 bytes, but `download.max_ratio` is 100"):
        unpack(bomb, tmp_path / "raw", "", SETTINGS)
    many = write(tmp_path / "b.zip", {f"{i}.txt": b"1" for i in range(9)})
    with pytest.raises(DataError, match=r"9 files, but `download.max_files` is 8"):
        unpack(many, tmp_path / "raw", "", SETTINGS.model_copy(update={"max_files": 8}))
    assert not (tmp_path / "raw").exists()


def test_a_size_that_is_a_lie_is_found_out(tmp_path: Path) -> None:
    data = bytearray(made_zip({"a.txt": b"x" * 5000}))
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (40).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "raw", "", SETTINGS)
    assert not (tmp_path / "raw" / "a.txt").exists()


# Named, because an archive has the time in it, and all workers must find the same tests.
@pytest.mark.parametrize(
    "content", [b"", b"<html>Not found</html>", made_zip(FILES)[:4000]], ids=["empty", "page", "cut off"]
)
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "raw", "", SETTINGS)


def test_double_names_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    double = write(tmp_path / "a.zip", {"a.txt": b"1", "A.txt": b"2"})
    with pytest.raises(DataError, match="several files with the same name"):
        unpack(double, tmp_path / "raw", "", SETTINGS)
    with pytest.raises(DataError, match="no file below 'x'"):
        unpack(write(tmp_path / "b.zip", FILES), tmp_path / "raw", "x", SETTINGS)
