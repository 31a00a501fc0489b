"""Match names with the regular expression of a description, within a time limit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from satsynth.work.errors import DataError

SECONDS = 60
# Python cannot stop a match, so it happens in a process that can be ended.
_PROGRAM = """
import json, re, sys
pattern, flags, names = json.load(sys.stdin)
found = map(re.compile(pattern, flags).fullmatch, names)
json.dump([match and match.groupdict("") for match in found], sys.stdout)
"""


def match_names(pattern: str, names: Sequence[str], flags: int = 0) -> list[dict[str, str] | None]:
    """Match each name as a whole.

    Args:
        pattern: A valid regular expression, which may be of the kind that never ends, such as ``(a+)+``.
        names: The names.
        flags: Flags of ``re``.

    Returns:
        For each name the pattern's named groups, or None where it does not match. A group that is optional and not
        there is nothing, not the word None.

    Raises:
        DataError: It takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=json.dumps([pattern, flags, list(names)]),
            capture_output=True,
            encoding="ascii",
            timeout=SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"The pattern {pattern!r} was not matched with {len(names)} file names within {SECONDS} s.",
            "Correct `layout.pattern`: repetitions inside of repetitions, as in (a+)+, may take for ever.",
        ) from error
    found: list[dict[str, str] | None] = json.loads(done.stdout)
    return found
