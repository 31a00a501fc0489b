"""A web server of this machine that behaves badly on demand."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from satsynth.datasets.download import Archive
from satsynth.fetching.settings import DownloadSettings

PATIENT = DownloadSettings(attempts=3, timeout=0.5, longest_wait=0)


@dataclass
class Server:
    """Serves one content at every path.

    Args:
        content: What it serves.
        break_after: Bytes after which each answer breaks off.
        stall_after: Bytes after which the first answer stalls.
        corrupt: How many answers, from the first, have a byte changed.
        ranges: Whether it knows ranges.
        statuses: Statuses of the first answers.
        asked: The Range header of each request.
    """

    content: bytes
    break_after: int | None = None
    stall_after: int | None = None
    corrupt: int = 0
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def archive(self, **changes: object) -> Archive:
        digest = hashlib.md5(self.content).hexdigest()
        fields = {"url": f"{self.url}/files/made.zip?download=1", "size": len(self.content), "md5": digest}
        return Archive.model_validate({**fields, **changes})

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            handler.send_error(status)
            return
        body, start = bytearray(self.content), 0
        if self.corrupt:
            self.corrupt -= 1
            body[len(body) // 2] ^= 0xFF
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        part = bytes(body[start:])
        if self.stall_after is not None:
            part, self.stall_after = part[: self.stall_after], None
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(1.5)
            return
        handler.wfile.write(part if self.break_after is None else part[: self.break_after])


@contextmanager
def serving(content: bytes, **behaviour: object) -> Iterator[Server]:
    """Run a server until the block ends."""
    server = Server(content, **behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def made_zip(files: dict[str, bytes]) -> bytes:
    """Return a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that cannot be compressed."""
    return np.random.default_rng(seed).bytes(size)
