"""On a busy machine: how long the threads of OpenMP spin is set before PyTorch is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
OURS = {"GOMP_SPINCOUNT": "6000", "KMP_BLOCKTIME": "1"}


def run(code: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process in which nothing is set but what is given."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)


def waiting(**given: str) -> dict[str, str]:
    """Return what is set once satsynth is imported, before PyTorch is."""
    code = "import json, os, sys, satsynth; print(json.dumps([dict(os.environ), 'torch' in sys.modules]))"
    variables, torch_imported = json.loads(run(code, **given).stdout)
    assert not torch_imported
    return {name: value for name, value in variables.items() if name in WAITING}


def test_spinning_is_bounded_before_torch_is_imported() -> None:
    assert waiting() == OURS


@pytest.mark.parametrize(
    "given",
    [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "5"}, {"KMP_BLOCKTIME": "0"}],
    ids=lambda given: next(iter(given)),
)
def test_a_users_own_setting_wins(given: dict[str, str]) -> None:
    assert waiting(**given) == given


def test_child_processes_inherit_it() -> None:
    child = "import os; print(os.environ['GOMP_SPINCOUNT'])"
    code = f"import subprocess, sys, satsynth; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert run(code).stdout.strip() == OURS["GOMP_SPINCOUNT"]


def test_these_tests_run_with_it() -> None:
    assert any(name in os.environ for name in WAITING)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({}, OURS["GOMP_SPINCOUNT"]), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_openmp_reads_it(given: dict[str, str], wanted: str) -> None:
    shown = run("import satsynth, torch", OMP_DISPLAY_ENV="verbose", **given).stderr
    found = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", shown)
    if not found:
        pytest.skip("PyTorch uses another OpenMP than GNU's here")
    assert set(found) == {wanted}
