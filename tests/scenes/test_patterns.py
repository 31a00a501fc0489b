from __future__ import annotations

import re
from pathlib import Path

import pytest

from made_data import describe, make_data
from satsynth.scenes import patterns
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.patterns import match_names
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

ENDLESS = [r"(a+)+b", r"(a|a)*b", r"(a|aa)+b", r"(?:(?:a*)*)*b", r"(.*)*\1b"]


def test_names_match_as_in_this_process() -> None:
    names = ["north/images/a.png", "north/a.png", "", "ö/images/ü.PNG", "a\nb/images/c.png"]
    pattern = r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.png(?P<none>x)?"
    for flags in (0, re.IGNORECASE):
        found = [match and match.groupdict("") for match in map(re.compile(pattern, flags).fullmatch, names)]
        assert match_names(pattern, names, flags) == found
    assert match_names("a", []) == []


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_never_ends_is_given_up(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 1)
    with pytest.raises(DataError, match="not matched with 1 file names within 1 s") as caught:
        match_names(pattern, ["a" * 60])
    assert "`layout.pattern`" in caught.value.remedy


def test_ingestion_ends_with_a_pattern_that_never_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 1)
    made = make_data(tmp_path / "raw")
    (made.raw / ("a" * 60)).write_bytes(b"")
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>(a+)+)/images/(?P<name>[^/]+)|(?P<n>(a+)+)b"}
    with pytest.raises(DataError, match="not matched"):
        find_scenes(describe(layout=layout), made.raw, file_digest)
