"""Whatever is raised, a command ends with one message."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from kedro.config import MissingConfigException

from satsynth import cli
from satsynth.commands import ReadableGroup
from satsynth.hooks import activity
from satsynth.work.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kedro", "run", "--pipeline=tiling"])
    yield tmp_path
    activity.end()


def failing(error: Callable[[], object]) -> Result:
    """Run a command that fails."""
    group = ReadableGroup("satsynth")

    @group.command()
    def fail() -> None:
        error()

    return CliRunner().invoke(group, ["fail"])


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def system(number: int, file: str | None = None) -> OSError:
    return OSError(number, "what the system says", file)


EXPECTED = {
    "ours": (raising(DataError("This is wrong.", "Do that.")), ["This is wrong.", "Do that."]),
    "disk": (raising(system(errno.ENOSPC, "/disk/tiles.parquet")), ["No space is left", "/disk/tiles.parquet"]),
    "quota": (raising(system(errno.EDQUOT)), ["No space is left"]),
    "largest file": (
        raising(system(errno.EFBIG, "x.bin")),
        ["larger than this process may write (x.bin)", "ulimit -f"],
    ),
    "largest file, in Rust": (raising(RuntimeError("I/O error: File too large (os error 27)")), ["ulimit -f"]),
    "memory": (raising(MemoryError()), ["Memory ran out", "ulimit -v", "batch_size"]),
    "memory of numpy": (lambda: np.empty((2**30, 2**20), np.float64), ["Memory ran out"]),
    "memory of torch": (lambda: torch.empty(2**50), ["Memory ran out"]),
    "memory for a library": (
        raising(ImportError("libtorch.so: failed to map segment from shared object")),
        ["Memory ran out"],
    ),
    "memory for a thread": (raising(RuntimeError("can't start new thread")), ["Memory ran out"]),
    "memory of a GPU": (raising(torch.OutOfMemoryError("CUDA out of memory. Tried to")), ["Memory ran out"]),
    "long name": (raising(system(errno.ENAMETOOLONG, "a" * 300)), ["too long for this file system"]),
    "files": (raising(system(errno.EMFILE)), ["Too many files are open", "ulimit -n"]),
    "configuration": (raising(MissingConfigException("no such folder conf/local")), ["conf/local"]),
    "no text": (lambda: "a\udcffb.png".encode(), ["not UTF-8: a\\udcffb.png", "Rename the file"]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_machine_refuses_is_said_in_one_message(name: str, folder: Path) -> None:
    error, words = EXPECTED[name]
    done = failing(error)
    assert done.exit_code == 1
    for word in [*words, "What to do:"]:
        assert word in done.output
    assert done.output.count("What to do:") == 1 and "raceback" not in done.output
    assert not (folder / "data").exists(), "a traceback was kept of what needs none"


def test_a_locale_without_umlauts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    output = failing(lambda: "Straße.png".encode("ascii")).output
    assert "encoding ascii" in output and "LC_ALL=C.UTF-8" in output and output.count("What to do:") == 1


def test_the_cause_counts_not_what_was_made_of_it() -> None:
    def fail() -> None:
        try:
            raise system(errno.ENOSPC, "/disk/x")
        except OSError as error:
            raise RuntimeError("Failed while saving data to dataset x") from error

    assert "No space is left on the disk (/disk/x)" in failing(fail).output


def test_any_other_error_says_what_was_done_on_which_file_and_where_its_traceback_is(folder: Path) -> None:
    from satsynth.work.files import write_json

    activity.begin("the step `cut_tiles`")
    done = failing(lambda: write_json(folder / "notes.json", object()))
    assert done.exit_code == 1 and "Traceback" not in done.output
    (kept,) = (folder / "data/.work/errors").iterdir()
    for word in ("TypeError", "the step `cut_tiles`", str(folder / "notes.json"), str(kept), "report it"):
        assert word in done.output
    text = kept.read_text()
    for word in ("Traceback (most recent call last)", "in write_json", "kedro run --pipeline=tiling", "version.torch"):
        assert word in text


def test_where_no_file_can_be_written_the_traceback_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise system(errno.EFBIG)

    monkeypatch.setattr(Path, "write_text", refuse)
    output = failing(raising(KeyError("x"))).output
    assert "no file could be written" in output and "Traceback (most recent call last)" in output


def test_neither_passwords_nor_control_characters_get_out(folder: Path) -> None:
    output = failing(raising(ValueError("at http://ada:s3cret@host/ \x1b[31mred\x07"))).output
    (kept,) = (folder / "data/.work/errors").iterdir()
    assert "s3cret" not in output + kept.read_text()
    assert "\x1b" not in output and "\\x1b[31mred\\x07" in output


def test_notes_of_worker_processes_are_in_the_traceback(folder: Path) -> None:
    error = ValueError("x")
    error.add_note("In a worker process:\nTraceback of the worker")
    failing(raising(error))
    (kept,) = (folder / "data/.work/errors").iterdir()
    assert "Traceback of the worker" in kept.read_text()


@pytest.mark.parametrize("error", [click.UsageError("use it so"), click.exceptions.Exit(3), click.Abort()])
def test_what_click_handles_is_left_to_it(error: Exception, folder: Path) -> None:
    failing(raising(error))
    assert not (folder / "data").exists()


def test_commands_of_kedro_and_its_plugins_end_with_one_message_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = DataError("This is wrong.", "Do that.")
    cli._excepthook(type(error), error, None)
    assert "This is wrong.\n  What to do: Do that." in capsys.readouterr().err


def test_options_that_cannot_be_read_end_with_one_message(folder: Path) -> None:
    (folder / "run.yml").write_text("run: [")
    done = CliRunner().invoke(cli.cli, ["run", "--config=run.yml"])
    assert done.exit_code and "raceback (most" not in done.output and "Error: " in done.output
