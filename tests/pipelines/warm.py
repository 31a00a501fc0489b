"""Runs of the real command in processes that are forked from one which has the heavy libraries imported already.

PyTorch and the libraries that stand on it take most of the time of a small run. A forked run imports Kedro's framework,
the project's own code and its configuration as ever; only third-party libraries are there before. How a run starts by
itself is for the tests that start one by `Project.start`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

# None of them is the project's, or sets anything that a run would set otherwise (`kedro.framework` reads the project's
# settings when it is imported).
HEAVY = [
    "albumentations",
    "cv2",
    "diffusers.models.unets.unet_2d",
    "dynaconf",
    "kedro.config",
    "omegaconf",
    "pandas",
    "plotly.graph_objects",
    "pyarrow.parquet",
    "pydantic",
    "rasterio",
    "requests",
    "segmentation_models_pytorch",
    "sklearn.linear_model",
    "sqlalchemy.orm",
    "torchmetrics.functional.classification",
]


class Started:
    """A run of `python -m kedro` that was forked: what the tests use of `subprocess.Popen`.

    Args:
        arguments: What follows the program's name.
        folder: The working folder.
        environment: Its whole environment.
    """

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(HEAVY)
        self._arguments = arguments
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # it is read when the run has ended
        given = (arguments, str(folder), environment, multiprocessing.reduction.DupFd(self._output.fileno()))
        self._process = context.Process(target=_kedro, args=given)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, or minus the number of the signal that ended it; none while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit status if it has ended."""
        return self._process.exitcode

    def wait(self) -> int:
        """Wait until it has ended and return the exit status."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def ended(self, seconds: float) -> tuple[int, str]:
        """Wait until it has ended.

        Args:
            seconds: How long it may take.

        Returns:
            Exit status, and what it printed on either stream.

        Raises:
            TimeoutError: It took longer, and was killed.
        """
        self._process.join(seconds)
        late = self._process.is_alive()
        if late:
            self._process.kill()
        status = self.wait()
        self._output.seek(0)
        text = self._output.read().decode()
        self._output.close()
        if late:
            raise TimeoutError(f"{self._arguments} took more than {seconds} s\n{text[-6000:]}")
        return status, text


def _kedro(arguments: list[str], folder: str, environment: dict[str, str], output: Any) -> None:
    """Be `python -m kedro` in this process."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    given = output.detach()
    os.dup2(given, 1)
    os.dup2(given, 2)
    # As for a fresh interpreter: the folder first, and none of the tests' own.
    tests = str(Path(__file__).parents[1])
    sys.path[:] = [folder, *(entry for entry in sys.path if entry and not entry.startswith(tests))]
    sys.argv = ["kedro", *arguments]
    try:
        runpy.run_module("kedro", run_name="__main__", alter_sys=True)
    finally:
        # A forked process leaves without them.
        atexit._run_exitfuncs()
