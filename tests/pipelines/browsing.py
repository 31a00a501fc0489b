"""Web servers on this machine alone, and a browser that reaches nothing else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
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


@contextmanager
def browser_window(scale: int = 1) -> Iterator[Any]:
    """Open a browser with windows of 1600 x 1000 pixels.

    Args:
        scale: Resolution of its screenshots, as a multiple of that.

    Raises:
        FileNotFoundError: if there is no Chromium.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("no Chromium: install it, on Debian by `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1600, "height": 1000}, device_scale_factor=scale)
        context.route(lambda url: not url.startswith((f"http://{HOST}", "data:", "blob:")), lambda route: route.abort())
        yield context
        browser.close()


@contextmanager
def served_site(site: Path, log: Path) -> Iterator[str]:
    """Serve a folder as plain files."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", HOST, "--directory", str(site)]
    with served(command, port, log) as address:
        yield address


@contextmanager
def served_mlflow(database: Path, log: Path, env: dict[str, str], **options: Any) -> Iterator[str]:
    """Serve the MLflow UI of a database, without its processes for jobs: each of them imports all of MLflow."""
    port = free_port()
    env = env | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    with served(command, port, log, "/health", env=env, **options) as address:
        yield address
