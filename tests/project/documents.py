"""What README and documentation say in code: commands, options, paths and names."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Said:
    """A piece of code on a page.

    Args:
        page: The page, relative to the project.
        text: The code.
    """

    page: str
    text: str


def spans() -> list[Said]:
    """Return all code within sentences and tables."""
    found = []
    for page in PAGES:
        text = _FENCE.sub("", page.read_text())
        found += [Said(str(page.relative_to(ROOT)), span) for span in re.findall(r"`([^`\n]+)`", text)]
    return found


def shell_lines() -> list[Said]:
    """Return all lines of shell blocks, without comments."""
    return [
        Said(str(page.relative_to(ROOT)), line)
        for page in PAGES
        for language, block in _FENCE.findall(page.read_text())
        if language == "sh"
        for line in (line.split(" #")[0].strip() for line in block.splitlines())
        if line and not line.startswith("#")
    ]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Return page and arguments of all uses of a program; variables before it are left out."""
    found = []
    for said in [*spans(), *shell_lines()]:
        words = shlex.split(said.text.split("\\")[0])
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words and words[0] == program and len(words) > 1:
            found.append((said.page, words[1:]))
    return found


def links() -> list[tuple[Path, str]]:
    """Return page and target of all links and pictures that lead to files."""
    return [
        (page, target.split("#")[0])
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", page.read_text()))
        if not target.startswith(("http", "#"))
    ]
