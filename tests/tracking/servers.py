"""A server on the loopback whose manners can be spoilt."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from satsynth.tracking import store


@dataclass
class Spoilt:
    """A WSGI application that can be told to misbehave.

    Args:
        app: The application.
        manner: ``well``, ``hang``, ``drip``, ``later`` or the status to answer with.
    """

    app: Callable[..., Iterable[bytes]]
    manner: str = "well"
    hanging: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.manner == "well":
            return self.app(environ, start_response)
        if self.manner == "drip":
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "100000")])
            return self._drips()
        if self.manner == "later":
            start_response("429 Too Many Requests", [("Content-Type", "text/plain"), ("Retry-After", "3600")])
            return [b"later"]
        if self.manner == "hang":
            self.hanging.wait(60)
        status = "500 Internal Server Error" if self.manner == "hang" else self.manner
        start_response(status, [("Content-Type", "text/plain")])
        return [b"no"]

    def _drips(self) -> Iterator[bytes]:
        """Send a byte now and then: no read of a socket takes long."""
        while not self.hanging.wait(0.1):
            yield b" "


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Served:
    """A server on the loopback.

    Args:
        uri: Its address.
        app: What answers.
        backend: The file behind it.
        stop: Makes it refuse connections.
    """

    uri: str
    app: Spoilt
    backend: str
    stop: Callable[[], None]

    def misbehave(self, manner: str) -> None:
        if manner == "refuse":
            self.stop()
        else:
            self.app.manner = manner
        if manner in ("hang", "drip"):
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "3"
        if manner == "drip":
            store.CALL_SECONDS = 3.0
        if manner == "later":
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"


def wait_until(ready: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
