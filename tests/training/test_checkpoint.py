"""Two checkpoints: a damaged one is passed over, and the result is the same."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import made, run

from satsynth.training.checkpoint import before, load_checkpoint, save_checkpoint
from satsynth.work.errors import ResourceError


def state(done: int) -> dict[str, object]:
    return {"done": done, "parts": {"a": torch.arange(6) + done}}


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut off": content[: len(content) // 2],
            "flipped": content[:300] + bytes([content[300] ^ 4]) + content[301:],
            "other": b"no checkpoint at all " * 9,
        }[how]
    )


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    assert load_checkpoint(path) is None
    for done in (1, 2, 3):
        save_checkpoint(path, state(done))
        found = load_checkpoint(path)
        assert found is not None
        assert found["done"] == done
        assert torch.equal(found["parts"]["a"], torch.arange(6) + done)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.pt", "c.pt.before"]
    path.unlink()
    found = load_checkpoint(path)
    assert found is not None and found["done"] == 2


@settings(max_examples=50)
@given(byte=st.integers(0), bit=st.integers(0, 7))
def test_no_flipped_bit_is_read(tmp_path_factory: pytest.TempPathFactory, byte: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("flip") / "c.pt"
    save_checkpoint(path, state(1))
    content = bytearray(path.read_bytes())
    content[byte % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert load_checkpoint(path) is None


@pytest.mark.parametrize("how", ["empty", "cut off", "flipped", "other"])
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_one_falls_back_to_the_one_before_then_to_the_start(
    stream,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    how: str,
    both: bool,
) -> None:
    whole = made()
    run(whole, stream, tmp_path / "whole.pt")
    path = tmp_path / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        run(made(stop=6), stream, path)
    damage(path, how)
    if both:
        damage(before(path), how)
    seen: list[int] = []
    continued = made(loss_at=lambda step, loss: seen.append(step) or loss)
    caplog.clear()
    run(continued, stream, path)
    assert seen[0] == (0 if both else 5)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1 + both and str(path) in said[0]
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, continued.network.state_dict()[key])
    assert whole.history == continued.history


@pytest.mark.parametrize("limit", [16, 4_000, 40_000, 399_000])
def test_a_limit_of_the_size_of_files_is_named_and_the_last_checkpoint_stays(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, state(1))
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, allowed[1]))
    try:
        with pytest.raises(ResourceError, match=r"c\.pt would become larger than this process may make a file"):
            save_checkpoint(path, {"done": 2, "a": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    found = load_checkpoint(path)
    assert found is not None and found["done"] == 1
    assert list(tmp_path.iterdir()) == [path]
