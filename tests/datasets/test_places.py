"""Names, paths and texts of a description lead nowhere but into its raw folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from made_data import CLASSES, describe, settings
from satsynth.datasets.places import inside, package_folder
from satsynth.work.errors import DataError

LAYOUT = settings()["layout"]
BLOCKS = {"kind": "blocks", "image": "a.tif", "mask": "m.tif", "block": 16, "rows": [0, 1]}
ARCHIVE = {"url": "https://host/a.zip", "size": 1, "md5": "0" * 32}
OUTSIDE = ["../x", "../../../../etc/passwd", "a/../../x", "/etc/passwd", "~/x", "..", "a\\..\\x"]


def named(field: str, path: str) -> dict[str, Any]:
    """Return changes of a description that name a path in a field."""
    if field in ("image", "mask"):
        return {"layout": {**BLOCKS, field: path}}
    if field in ("into", "strip"):
        return {"download": {"terms": "-", "archives": [{**ARCHIVE, field: path}]}}
    return {"splits": {"val": ["east"], "test": ["west"], "lists": {field: path}}}


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("field", ["image", "mask", "train", "val", "test", "into", "strip"])
def test_no_path_of_a_description_leads_out_of_the_raw_folder(field: str, path: str) -> None:
    with pytest.raises(ValidationError, match="leads out of the raw folder"):
        describe(**named(field, path))
    assert describe(**named(field, "a/b..c/d.txt"))


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".", "..", "/x", "a\n", "a\x00b", "a b", "-x", "x" * 65, "1"])
def test_a_name_is_part_of_a_file_name(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        describe(name=name)


@given(st.text(max_size=80))
def test_an_accepted_name_is_one_part_of_a_path(name: str) -> None:
    try:
        accepted = describe(name=name).name
    except ValidationError:
        return
    assert Path("folder", f"bad_files_{accepted}.csv").parent == Path("folder")
    assert re.fullmatch(r"[\w-]+", accepted)


@pytest.mark.parametrize("field", ["title", "licence", "obtain"])
@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\x00", "\x9b31m"])
def test_texts_have_no_control_characters(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="control characters"):
        describe(**{field: text})
    with pytest.raises(ValidationError, match="control characters"):
        describe(classes=[{**CLASSES[0], "name": text}, *CLASSES[1:]])
    assert describe(**{field: "two\nlines\tof text"})


@pytest.mark.parametrize("template", ["{name:>999999999}", "{name.__class__}", "{name!r}", "{{name}}", "{", "{0}{"])
@pytest.mark.parametrize("field", ["mask", "scene", "group"])
def test_templates_hold_names_of_groups_only(field: str, template: str) -> None:
    with pytest.raises(ValidationError, match="braces only around names"):
        describe(layout={**LAYOUT, field: template})


@pytest.mark.parametrize("pattern", ["(" * 490 + ")" * 490, "a" * 1001, "a{99999999999}", "a**"])
def test_patterns_that_cannot_be_compiled_are_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        describe(layout={**LAYOUT, "pattern": pattern})


@pytest.mark.parametrize(
    "raw", ["package:", "package:../x", "package:a/b", "package:.a", "package:a..b", "package:a b"]
)
def test_a_package_has_the_name_of_one(raw: str) -> None:
    with pytest.raises(ValidationError, match="names no Python package"):
        describe(raw=raw)


def test_a_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("mischief", "mischief/data", "plain/inner"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("mischief", "mischief/data"):
        (tmp_path / folder / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("package:mischief.data") == tmp_path / "mischief" / "data"
    assert package_folder("package:mischief") == tmp_path / "mischief"
    assert package_folder("package:plain.inner") == tmp_path / "plain" / "inner"
    assert package_folder("package:mischief.none") is None
    assert not (tmp_path / "ran").exists() and "mischief" not in sys.modules


def test_links_are_followed_before_a_path_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "raw" / "a").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "raw" / "out").symlink_to(tmp_path / "other")
    (tmp_path / "raw" / "within").symlink_to("a")
    (tmp_path / "link").symlink_to("raw")
    for raw in (tmp_path / "raw", tmp_path / "link"):
        assert inside(raw, "within/new.txt") == raw / "within/new.txt"
        for name in ("out", "out/new.txt", "../other", "/etc/passwd"):
            with pytest.raises(DataError, match="lies outside the raw folder"):
                inside(raw, name)
