from __future__ import annotations

import logging

import pytest

from satsynth.work.progress import Progress


def test_progress_logs_counts_and_notes_where_there_is_no_terminal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1")
    caplog.set_level(logging.INFO, "satsynth")
    with Progress(10, "Tiling", "tiles", done=4, every=0) as progress:
        progress.update(2, "loss 0.5")
        progress.update(4)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "Tiling: 6 of 10 tiles",
        "Tiling: 10 of 10 tiles",
    ]
    assert caplog.records[0].getMessage().endswith("loss 0.5")
    assert progress.done == 10


def test_progress_is_silent_between_its_log_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1")
    caplog.set_level(logging.INFO, "satsynth")
    with Progress(3, "Tiling", "tiles", every=3600) as progress:
        for _ in range(3):
            progress.update()
    assert caplog.records == []


def test_what_is_not_shown_counts_all_the_same(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satsynth.work.progress.on_terminal", lambda: True)
    caplog.set_level(logging.INFO, "satsynth")
    with Progress(10, "Tiling", "tiles", every=0, shown=False) as progress:
        progress.update(7)
    assert caplog.records == [] and progress.done == 7 and progress._bar is None


def test_the_rate_leaves_out_what_was_done_before() -> None:
    with Progress(10, "Tiling", "tiles", done=9, every=3600) as progress:
        assert progress.rate == 0
        progress.update()
        assert progress.rate > 0
