"""The packaged project as a command: `python -m satsynth --pipeline=augment --conf-source=<folder>`.

It works in the folder where it is called: data, tracking and caches lie there.
"""

from __future__ import annotations

import sys

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

PACKAGE = "satsynth"


def main() -> None:
    """Run pipelines, with the options of `kedro run`."""
    configure_project(PACKAGE)
    find_run_command(PACKAGE)(sys.argv[1:])


if __name__ == "__main__":
    main()
