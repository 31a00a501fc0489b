"""Web servers on this machine alone, and a browser that reaches nothing else."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


@contextmanager
def served(command: Sequence[str], port: int, log: Path, path: str = "/", **options: Any) -> Iterator[str]:
    """Run a server until the block ends and give its address, once it answers."""
    address = f"http://{HOST}:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            end = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(address + path, timeout=5)
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < end, log.read_text()
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
