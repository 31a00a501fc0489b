"""Kills smoke runs at random moments and compares what comes of them with an undisturbed run, byte for byte.

python benchmarks/interruptions.py --kills 20 --seed 0
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "pipelines"))

from interruptions import contents, kill_when
from projects import make_project


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        reference = make_project(Path(folder) / "reference")
        began = time.monotonic()
        reference.run("augment", "smoke", fresh="false")
        print(f"undisturbed run: {time.monotonic() - began:.0f} s", flush=True)
        expected = contents(reference.path)
        killed, rounds = 0, 0
        while killed < arguments.kills:
            rounds += 1
            project = make_project(Path(folder) / f"round{rounds}")
            while True:
                delay = moments.uniform(4, 30)
                end = time.monotonic() + delay
                process = project.start("augment", "smoke")
                if killed >= arguments.kills or not kill_when(process, lambda end=end: time.monotonic() >= end):
                    output, _ = process.communicate()
                    assert process.returncode == 0, output[-4000:]
                    break
                killed += 1
                print(f"kill {killed} after {delay:.1f} s, at work on: {_at_work(project.path)}", flush=True)
            same = contents(project.path) == expected
            print(
                f"round {rounds}: tiles, generator and synthetic_pairs are {'the same bytes' if same else 'DIFFERENT'}",
                flush=True,
            )
            if not same:
                sys.exit(1)


def _at_work(project: Path) -> str:
    """Return the step that held its work folder last."""
    holders = list(project.glob("data/.work/*/*.holder"))
    newest = max(holders, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent.name if newest else "no step"


if __name__ == "__main__":
    main()
