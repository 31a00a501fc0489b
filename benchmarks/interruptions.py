"""Kills runs of a tiny project at random moments and damages its files at random; counts what comes of it.

python benchmarks/interruptions.py --kills 200 --flips 200 --cuts 100 --seed 0

Each attempt is compared with an undisturbed run by the values of all its products (see `products.py`). One process
imports everything once and forks a child for each command, so that an attempt takes a few seconds of one core.

- A kill: `augment` is killed (SIGKILL) one to four times in a row at random moments, then runs to its end.
- A flip or a cut: a random bit of a random file below `data/` is inverted, or the file is cut to a random length, with
  its modification time kept, as a disk does it. The file may be of a finished project or of one that was killed. Then
  either `augment` or `report` runs first, and the other one after it. A file with several names (hard links) is
  damaged under all of them.

The outcomes: *identical* (nobody noticed, and no product differs), *repaired* (a warning names the damage, and no
product differs), *refused* (an error names the file and `augment` repairs it), and three that must not happen:
*unnamed* (an error that does not name the damage), *stuck* (the same command fails again and again) and *silent* (a
product differs).
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "pipelines"))

import yaml
from products import products
from projects import add_made_data, make_project

OUTCOMES = ("identical", "repaired", "refused", "unnamed", "stuck", "silent")
BAD = OUTCOMES[3:]
STATES = 6
# Every kind of file is written, with several steps, shards and checkpoints; nothing is computed that takes time.
TINY = {
    "diffusion": {
        "model": {"network": {"stem": 8, "widths": [8, 16]}},
        "images": 24,
        "batch_size": 4,
        "looks": 2,
        "drawing": {"steps": 2},
    },
    "comparison": {"gallery_pairs": 2},
    "segmentation": {
        "networks": {
            "fpn_lite0": None,
            "fpn_tiny": {
                "architecture": "fpn",
                "encoder": "tu-test_resnet",
                "weights": None,
                "options": {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32},
            },
        },
        "judge": {"network": "fpn_tiny", "seed": 0},
        "ratios": [0, 1],
        "seeds": [0],
        "training": {"images": 16, "batch_size": 4, "evaluations": 1},
    },
}


@dataclass(frozen=True)
class Ran:
    """A command that ended.

    Args:
        code: Exit status; negative after a signal.
        output: All that it said.
    """

    code: int
    output: str


class Harness:
    """A project in which commands run by forked children.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        """Make the project, run it undisturbed twice, and import here whatever a run imports."""
        self.project = add_made_data(make_project(folder / "project"), side=64).path
        for description in self.project.glob("conf/base/parameters_dataset_*.yml"):
            # Each costs every command some time.
            if description.stem != "parameters_dataset_made":
                description.unlink()
        parameters = self.project / "conf/micro/parameters.yml"
        parameters.write_text(yaml.safe_dump({**yaml.safe_load(parameters.read_text()), **TINY}))
        self._folder, self._output = folder, folder / "output.txt"
        self._clean = self._kept("clean")
        _succeeded(self.run("augment", modules=folder / "modules.txt"))
        for name in (folder / "modules.txt").read_text().split():
            with suppress(Exception):
                import_module(name)
        self.expected = products(self.project)
        self.finished = self._kept("finished")
        self.restore(self._clean)
        began = time.monotonic()
        _succeeded(self.run("augment"))
        self.seconds = time.monotonic() - began
        if products(self.project) != self.expected:
            raise SystemExit(f"Two undisturbed runs differ: {differing(products(self.project), self.expected)}")

    def start(self, pipeline: str, modules: Path | None = None) -> int:
        """Start a command in a child; return its process id."""
        child = os.fork()
        if child:
            return child
        os.setsid()
        code = 1
        try:
            output = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(output, stream)
            os.chdir(self.project)
            sys.argv = ["kedro", "run", f"--pipeline={pipeline}", "--env=micro"]
            from kedro.framework.cli.cli import KedroCLI

            KedroCLI(project_path=self.project).main(sys.argv[1:], standalone_mode=True)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            if modules is not None:
                modules.write_text("\n".join(name for name in sys.modules if "__main__" not in name))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, child: int) -> Ran:
        """Wait for the end of a command."""
        _, status = os.waitpid(child, 0)
        return Ran(os.waitstatus_to_exitcode(status), self._output.read_text(errors="replace"))

    def run(self, pipeline: str, modules: Path | None = None) -> Ran:
        """Run a command to its end."""
        return self.wait(self.start(pipeline, modules))

    def kill_after(self, seconds: float) -> bool:
        """Start `augment` and kill it after some time; return whether it was still running."""
        child = self.start("augment")
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return self.wait(child).code == -signal.SIGKILL

    def restore(self, state: Path) -> None:
        """Put the project's data into a state; hard links stay hard links."""
        shutil.rmtree(self.project / "data", ignore_errors=True)
        subprocess.run(["cp", "-a", str(state), str(self.project / "data")], check=True)

    def interrupted(self, number: int) -> Path:
        """Return the state of a project that was killed at one of several moments."""
        self.restore(self._clean)
        self.kill_after((number + 1) / (STATES + 1) * self.seconds)
        return self._kept(f"interrupted {number}")

    def killed(self, moments: random.Random) -> tuple[int, str, str]:
        """Kill `augment` one to four times and let it end; return the number of kills, the place, the outcome."""
        self.restore(self._clean)
        kills = 0
        for _ in range(moments.randint(1, 4)):
            kills += self.kill_after(moments.uniform(0, self.seconds))
        at_work = _step_at_work(self.project)
        return kills, at_work, self._outcome([self.run("augment")], [])[0]

    def damaged(self, state: Path, how: str, choice: random.Random) -> tuple[str, str, str]:
        """Damage a file; return its kind, the outcome and what somebody wants to know who looks for the reason."""
        self.restore(state)
        file = choice.choice(_files(self.project / "data"))
        place = damage(file, how, choice)
        names = [str(path) for path in _names(file, self.project / "data")]
        order = ["augment", "report"] if choice.random() < 0.5 or state != self.finished else ["report", "augment"]
        ran = [self.run(order[0]), self.run(order[1])]
        if ran[1].code and order[1] == "report":
            ran.append(self.run("augment"))
        outcome, reason = self._outcome(ran, names)
        return _kind(file, self.project), outcome, f"{place}, {state.name}, {' then '.join(order)}: {reason}"

    def _outcome(self, ran: list[Ran], names: list[str]) -> tuple[str, str]:
        said = "\n".join(one.output for one in ran)
        flat = re.sub(r"\s+", "", said)
        for one in ran:
            text = re.sub(r"\s+", "", one.output)
            if one.code and (not any(re.sub(r"\s+", "", name) in text for name in names) or "Traceback" in text):
                return "unnamed", f"exit status {one.code}: {one.output[-1500:]}"
        if ran[-1].code:
            return "stuck", ran[-1].output[-1500:]
        differs = differing(products(self.project), self.expected)
        if differs:
            return "silent", f"{differs} differ"
        if any(one.code for one in ran):
            return "refused", next(one.output[-600:] for one in ran if one.code)
        warned = any(f"{re.sub(chr(92) + 's+', '', name)}isdamaged" in flat for name in names)
        return ("repaired", "") if warned or "isdamaged" in flat else ("identical", "")

    def _kept(self, name: str) -> Path:
        kept = self._folder / name
        subprocess.run(["cp", "-a", str(self.project / "data"), str(kept)], check=True)
        return kept


def damage(file: Path, how: str, choice: random.Random) -> str:
    """Invert a bit of a file, or cut it off, in place and with its modification time kept; return what was done."""
    status = file.stat()
    if how == "cut":
        left = choice.randrange(status.st_size)
        os.truncate(file, left)
        done = f"{file} cut from {status.st_size} to {left} bytes"
    else:
        place, bit = choice.randrange(status.st_size), choice.randrange(8)
        with file.open("r+b") as opened:
            opened.seek(place)
            (byte,) = opened.read(1)
            opened.seek(place)
            opened.write(bytes([byte ^ 1 << bit]))
        done = f"{file} bit {bit} of byte {place} of {status.st_size}"
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return done


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return the names of products that are not the same."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _files(data: Path) -> list[Path]:
    """Return the files that a run may have written, each inode once, in an order that does not depend on times."""
    found: dict[int, Path] = {}
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.stat().st_size and not path.is_relative_to(data / "01_raw"):
            found.setdefault(path.stat().st_ino, path)
    return list(found.values())


def _succeeded(ran: Ran) -> None:
    if ran.code:
        raise SystemExit(f"An undisturbed run failed:\n{ran.output[-4000:]}")


def _names(file: Path, data: Path) -> list[Path]:
    return [path for path in data.rglob("*") if path.is_file() and path.samefile(file)]


def _kind(file: Path, project: Path) -> str:
    parts = file.relative_to(project / "data").parts
    name = re.sub(r"\d+", "N", file.name)
    if parts[0] == ".work":
        return f"work/{parts[1]}/{name}" if len(parts) > 2 else f"work/{name}"
    suffix = Path(name).suffix
    return f"catalog/{name if 'origins' in parts or name == 'origin.json' or len(parts) > 5 else '*' + suffix}"


def _step_at_work(project: Path) -> str:
    """Return the step that held its work folder last."""
    holders = list(project.glob("data/.work/*/*.holder"))
    newest = max(holders, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent.name if newest else "between steps"


def _print_table(counted: dict[str, Counter[str]], head: str) -> None:
    print(f"\n{head:<46}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES))
    total: Counter[str] = Counter()
    for kind, counts in sorted(counted.items()):
        total += counts
        print(f"{kind:<46}" + "".join(f"{counts[outcome] or '':>11}" for outcome in OUTCOMES))
    print(f"{'all':<46}" + "".join(f"{total[outcome]:>11}" for outcome in OUTCOMES), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--flips", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(Path(folder))
        print(f"undisturbed run: {harness.seconds:.1f} s, {len(harness.expected)} products", flush=True)
        bad = _kills(harness, arguments.kills, random.Random(f"kills {arguments.seed}"))
        states = [harness.finished] * STATES
        if arguments.flips + arguments.cuts:
            # The first ones may have been killed before they wrote anything.
            states += [state for state in map(harness.interrupted, range(STATES)) if _files(state)]
        for how, count in (("flip", arguments.flips), ("cut", arguments.cuts)):
            bad += _damages(harness, states, how, count, random.Random(f"{how} {arguments.seed}"))
    sys.exit(bool(bad))


def _kills(harness: Harness, count: int, moments: random.Random) -> int:
    counted: dict[str, Counter[str]] = {}
    kills = 0
    while kills < count:
        number, place, outcome = harness.killed(moments)
        kills += number
        counted.setdefault(place, Counter())[outcome] += 1
        print(f"{kills} kills, the last at {place}: {outcome}", flush=True)
    if count:
        _print_table(counted, f"{kills} kills, projects by step at work at the last")
    return sum(counts[outcome] for counts in counted.values() for outcome in BAD)


def _damages(harness: Harness, states: list[Path], how: str, count: int, choice: random.Random) -> int:
    counted: dict[str, Counter[str]] = {}
    for number in range(count):
        kind, outcome, reason = harness.damaged(choice.choice(states), how, choice)
        counted.setdefault(kind, Counter())[outcome] += 1
        print(f"{how} {number}, {kind}: {outcome}{f': {reason}' if outcome in BAD else ''}", flush=True)
    if count:
        _print_table(counted, f"{count} {how}s by kind of file")
    return sum(counts[outcome] for counts in counted.values() for outcome in BAD)


if __name__ == "__main__":
    main()
