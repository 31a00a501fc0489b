from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bad_server import PATIENT, noise, serving
from satsynth.datasets.download import Archive
from satsynth.fetching.transfer import fetch
from satsynth.work.errors import ResourceError

CONTENT = noise(300_000)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_is_fetched_whole_and_once(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        for _ in range(2):
            fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["made.zip"]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serving(CONTENT, break_after=70_000) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in server.asked if asked]
    assert len(starts) >= 4 and starts == sorted(starts) and starts[0] > 50_000


def test_a_transfer_that_stalls_is_taken_up_again(tmp_path: Path) -> None:
    with serving(CONTENT, stall_after=100_000) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT
    assert server.asked[0] is None and server.asked[1] is not None


def test_another_run_goes_on_with_what_came(tmp_path: Path) -> None:
    (tmp_path / "made.zip.part").write_bytes(CONTENT[:123_456])
    with serving(CONTENT) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT
    assert server.asked == ["bytes=123456-"]


def test_a_server_without_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "made.zip.part").write_bytes(b"old" * 1000)
    with serving(CONTENT, ranges=False) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT


def test_a_stream_longer_than_declared_is_cut_off(tmp_path: Path) -> None:
    sent = threading.Event()

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(4000):
                    self.wfile.write(bytes(1 << 16))
                sent.set()
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/made.zip"
    archive = Archive(url=url, size=len(CONTENT), md5=hashlib.md5(CONTENT).hexdigest())
    try:
        with pytest.raises(ResourceError, match="is longer than the 300,000 bytes"):
            fetch(archive, tmp_path / "made.zip", PATIENT)
    finally:
        server.shutdown()
        server.server_close()
    assert list(tmp_path.iterdir()) == [] and not sent.is_set()


def test_a_damaged_file_is_fetched_again_and_then_refused(tmp_path: Path) -> None:
    with serving(CONTENT, corrupt=1) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
        assert (tmp_path / "made.zip").read_bytes() == CONTENT and len(server.asked) == 2
    with serving(CONTENT, corrupt=2) as server:
        archive = server.archive()
        with pytest.raises(ResourceError, match=f"also on a second attempt: .* {archive.md5} is expected"):
            fetch(archive, tmp_path / "other.zip", PATIENT)
    assert [path.name for path in tmp_path.iterdir()] == ["made.zip"]


def test_what_was_damaged_before_a_run_is_found_and_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "made.zip.part").write_bytes(noise(200_000, seed=1))
    with serving(CONTENT) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT)
    assert (tmp_path / "made.zip").read_bytes() == CONTENT
    assert server.asked == ["bytes=200000-", None]


def test_errors_that_pass_are_waited_for(tmp_path: Path) -> None:
    waits: list[float] = []
    with serving(CONTENT, statuses=[503, 429, 200]) as server:
        fetch(server.archive(), tmp_path / "made.zip", PATIENT.model_copy(update={"longest_wait": 3}), waits.append)
    assert waits == [2, 3]
    assert (tmp_path / "made.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("behaviour", "changes", "said"),
    [
        ({"statuses": [404]}, {}, "answered 404"),
        ({"statuses": [500] * 3}, {}, "answered 500"),
        ({"break_after": 0}, {}, "0 of 300,000 bytes"),
        ({}, {"size": 1000}, "has 300,000 bytes, but 1,000 are expected"),
        ({}, {"size": 10**9}, "has 300,000 bytes, but 1,000,000,000 are expected"),
    ],
)
def test_what_does_not_pass_ends_with_what_to_do(
    tmp_path: Path, behaviour: dict[str, object], changes: dict[str, object], said: str
) -> None:
    with serving(CONTENT, **behaviour) as server, pytest.raises(ResourceError, match=said) as caught:
        fetch(server.archive(**changes), tmp_path / "made.zip", PATIENT)
    assert caught.value.remedy
    assert not (tmp_path / "made.zip").exists()


def test_no_network_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    with serving(CONTENT) as server:
        archive = server.archive(url="http://zenodo.invalid/made.zip")
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(ResourceError, match="this machine seems to be offline") as caught:
        fetch(archive, tmp_path / "made.zip", PATIENT)
    assert "resumes where it stopped" in caught.value.remedy


def test_nothing_listens(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        archive = server.archive()
    with pytest.raises(ResourceError, match=r"cannot be fetched: .*refused"):
        fetch(archive, tmp_path / "made.zip", PATIENT)


def test_a_disk_that_is_too_small_is_seen_before(tmp_path: Path) -> None:
    with serving(CONTENT) as server, pytest.raises(ResourceError, match=r"needs \d+\.\d GB"):
        fetch(server.archive(size=10**15), tmp_path / "made.zip", PATIENT)
    assert server.asked == []
