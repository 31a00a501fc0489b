"""Propose splits: by folders or lists that name them, or else by groups of neighbouring scenes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from satsynth.datasets.names import composed, plain
from satsynth.datasets.places import is_inside
from satsynth.describing.templates import Template, split_of
from satsynth.work.errors import DataError

VAL_SHARE, TEST_SHARE = 0.1, 0.2
MOST_NAMES = 100
_PLACES = (
    # `P0007_0_512`, `scene 3_r1_c2`: parts of one scene that was cut on a grid.
    r"(?P<place>[^/]+?)(?:[_ .-]+(?:row|col|r|c|x|y)?\d+){2}",
    # `austin12`, `area_7`, `tokyo-3`: the text before the number is a place, and its tiles are neighbours.
    r"(?P<place>[^/]*?[^/\d_ .-])[_ .-]*\d+",
)


@dataclass(frozen=True)
class ProposedSplits:
    """Groups of scenes and their splits.

    Args:
        template: The template, with a group `place` if names begin with a place.
        scene: Template of the scene's identifier.
        group: Template of the group's name.
        val: Shell patterns of groups for validation.
        test: Shell patterns of groups for the test.
        why: How splits were chosen, in one sentence.
        notes: What is uncertain about them.
        lists: Files that name the scenes of a split.
    """

    template: Template
    scene: str
    group: str
    val: list[str]
    test: list[str]
    why: str
    notes: list[str] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)

    def rule(self) -> dict[str, object]:
        """Return the field `splits`."""
        patterns = {split: names for split, names in (("val", self.val), ("test", self.test)) if names}
        return {"lists": self.lists, **patterns} if self.lists else dict(patterns)


def propose_splits(folder: Path, template: Template) -> ProposedSplits:
    """Propose groups and splits.

    Args:
        folder: The folder, which may hold the lists train.txt, val.txt and test.txt.
        template: How images are found.

    Raises:
        DataError: There are too few scenes.
    """
    folders = [f"{{{name}}}" for name in template.folders]
    parts = [*(["{split}"] if template.has_split else []), *folders, *(["{name}"] if template.has_name else [])]
    scene = "/".join(parts)
    listed = _by_lists(folder, template, scene, find_lists(folder))
    if listed is not None:
        return listed
    draft = ProposedSplits(template, scene, scene, [], [], "")
    if template.has_split:
        return _by_folders(draft, folders)
    draft = _grouped(draft, folders)
    val, test = draw(_counts(draft), TEST_SHARE)
    return replace(draft, val=val, test=test, why=f"About 70 % train, 10 % validate, 20 % test, {draft.why}.")


def find_lists(folder: Path) -> dict[str, Path]:
    """Return the lists train.txt, val.txt and test.txt by split, at the top or one folder below."""
    found: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*/*.txt")]):
        split = split_of(path.stem)
        if split is not None and len(path.stem) <= len("validation") and path.is_file() and is_inside(folder, path):
            found.setdefault(split, path)
    return found


def _matches(template: Template) -> list[tuple[str, dict[str, str]]]:
    found = (
        (image, re.fullmatch(template.pattern, composed(image)) or re.fullmatch(template.pattern, plain(image)))
        for image, _ in template.used
    )
    return [(image, match.groupdict()) for image, match in found if match]


def _counts(draft: ProposedSplits) -> Counter[str]:
    return Counter(draft.group.format(**parts) for _, parts in _matches(draft.template))


def _by_lists(folder: Path, template: Template, scene: str, lists: Mapping[str, Path]) -> ProposedSplits | None:
    """Use the lists that name scenes; return None if no list for val or test does."""
    names: dict[str, str] = {}
    for image, parts in _matches(template):
        path = PurePosixPath(image)
        for name in (image, path.name, path.stem, str(path.with_suffix(""))):
            names[composed(name)] = scene.format(**parts)
    listed, notes = {}, []
    for split, source in lists.items():
        lines = {
            composed(line.strip()) for line in source.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        } - {""}
        known = {names[line] for line in lines & names.keys()}
        file = source.relative_to(folder).as_posix()
        if not known:
            notes.append(f"{file} is not used, because it names no image that has a mask.")
            continue
        if lines - names.keys():
            notes.append(
                f"{file} names {len(lines - names.keys())} scene(s) that do not exist, such as "
                f"{min(lines - names.keys())}. --params=ingestion.on_bad_scene=skip skips them."
            )
        listed[split] = (file, known)
    if not listed.keys() & {"val", "test"}:
        return None
    if "test" not in listed:
        listed["test"] = listed.pop("val")
        notes.append("There is no list for the test, so the scenes listed for validation are used for the test.")
    val: list[str] = []
    if "val" not in listed:
        rest = listed["train"][1] if "train" in listed else set(names.values())
        val, _ = draw(Counter(rest - listed["test"][1]), 0)
        notes.append("There is no list for validation, so a tenth of the training scenes are used for it.")
    files = {split: file for split, (file, _) in sorted(listed.items())}
    why = f"By the lists {', '.join(files.values())}."
    return ProposedSplits(template, scene, scene, val, [], why, notes, files)


def _by_folders(draft: ProposedSplits, folders: Sequence[str]) -> ProposedSplits:
    values = sorted({parts["split"] for _, parts in _matches(draft.template)})
    named = {split: [value for value in values if split_of(value) == split] for split in ("train", "val", "test")}
    group = "/".join(["{split}", *folders])
    end = "/*" if folders else ""
    held = {split: [f"{value}{end}" for value in named[split]] for split in ("val", "test")}
    if held["val"] and held["test"] and named["train"]:
        return replace(draft, group=group, val=held["val"], test=held["test"], why="By folders.")
    if not named["train"]:
        raise DataError(
            f"The folders {', '.join(values)} name splits, but no training image has a mask.",
            "Check that the training images have masks.",
        )
    return _with_part_of(_grouped(draft, folders, "{split}/"), named)


def _with_part_of(drawn: ProposedSplits, named: Mapping[str, list[str]]) -> ProposedSplits:
    """Take the missing split from the training scenes, or from the held-out ones if only one group trains."""
    held = named["val"] + named["test"]
    groups = _counts(drawn)
    train = Counter({name: count for name, count in groups.items() if name.split("/")[0] in named["train"]})
    notes = [
        "No folder with masks is left for validation, so some of the training scenes are used for it.",
        *drawn.notes,
    ]
    if len(train) > 1:
        drawn_val, _ = draw(train, 0)
        # Short patterns must not match test scenes.
        val = [
            name
            for rule in drawn_val
            for name in ([f"{folder}/{rule}" for folder in named["train"]] if rule.startswith("*") else [rule])
        ]
        why = f"Test: {' and '.join(held)}. Validation: a tenth of {' and '.join(named['train'])}, {drawn.why}."
        return replace(drawn, val=val, test=[f"{value}/*" for value in held], why=why, notes=notes)
    rest = sorted((name for name in groups if name not in train), key=_natural)
    if len(rest) < 2:
        raise _too_few(len(groups))
    half = len(rest) // 2
    why = f"Validation and test: {' and '.join(held)}, divided {drawn.why}."
    return replace(drawn, val=_plain(rest[:half]), test=_plain(rest[half:]), why=why, notes=drawn.notes)


def _grouped(draft: ProposedSplits, folders: Sequence[str], before: str = "") -> ProposedSplits:
    """Choose what a group is: a folder, the place at the beginning of names, or a single scene."""
    template = draft.template
    counts = Counter("/".join(folders).format(**parts) for _, parts in _matches(template)) if folders else Counter()
    if len(counts) >= 3 and (max(counts.values()) > 1 or not template.has_name):
        return replace(draft, group=before + "/".join(folders), why="by folder")
    names = [parts["name"] for _, parts in _matches(template) if "name" in parts]
    for expression in _PLACES:
        places = [match["place"] for name in names if (match := re.fullmatch(expression, name))]
        if len(places) == len(names) >= 6 and 3 <= len(set(places)) <= len(names) / 2:
            pattern = template.pattern.replace("(?P<name>[^/]+)", f"(?P<name>{expression})")
            group = before + "/".join([*folders, "{place}"])
            named = replace(template, pattern=pattern)
            return replace(draft, template=named, group=group, why="by the place in the name")
    note = (
        "Nothing says which scenes are neighbours, so each scene is a group of its own, in the order of names. If "
        "neighbours overlap or look alike, let `layout.group` name what they have in common: test scenes beside "
        "training scenes inflate the scores."
    )
    return replace(draft, group=draft.scene, why="scene by scene", notes=[note])


def draw(groups: Counter[str], test_share: float) -> tuple[list[str], list[str]]:
    """Choose the last groups in the order of names for validation and test, so that neighbours stay together.

    Args:
        groups: Number of scenes of each group.
        test_share: Share of scenes for the test; 0 for no test scenes.

    Returns:
        Shell patterns for validation and test.

    Raises:
        DataError: There are fewer groups than splits.
    """
    order, total = sorted(groups, key=_natural), groups.total()
    if len(order) < (3 if test_share else 2):
        raise _too_few(len(order))
    test = _taken(order, groups, test_share * total, reserve=2) if test_share else []
    rest = order[: len(order) - len(test)]
    val = _taken(rest, groups, VAL_SHARE * total, reserve=1)
    for names in (_plain, lambda names: _runs(names, order)):
        found = names(val), names(test)
        if sum(map(len, found)) <= MOST_NAMES:
            return found
    return _by_last_character(order, groups, test_share)


def _taken(order: Sequence[str], groups: Counter[str], wanted: float, reserve: int) -> list[str]:
    taken: list[str] = []
    scenes = 0
    for name in reversed(order[reserve:]):
        # Stop if adding the group would be further from the wanted number than leaving it out.
        if taken and scenes + groups[name] / 2 > wanted:
            break
        taken.append(name)
        scenes += groups[name]
    return taken[::-1]


def _runs(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return shell patterns, such as `12??`, that match these names and no other name in an order.

    Neighbours in the order stay together, since consecutive numbers are often neighbours on the ground.
    """
    everywhere, here = (
        Counter((len(name), name[:k]) for name in some for k in range(len(name) + 1)) for some in (order, names)
    )
    patterns: dict[str, None] = {}
    for name in names:
        # The folder stays in the pattern, because names of other folders are not in this order.
        first = name.rfind("/") + 1
        kept = next(
            k for k in range(first, len(name) + 1) if everywhere[len(name), name[:k]] == here[len(name), name[:k]]
        )
        patterns[_escaped(name[:kept]) + "?" * (len(name) - kept)] = None
    return list(patterns)


def _by_last_character(order: Sequence[str], groups: Counter[str], test_share: float) -> tuple[list[str], list[str]]:
    """Choose by the last character of names if lists of names would be too long."""
    ends = Counter[str]()
    for name in order:
        ends[name[-1]] += groups[name]
    characters = sorted(ends)
    test = _taken(characters, ends, test_share * ends.total(), reserve=2) if test_share else []
    val = _taken(characters[: len(characters) - len(test)], ends, VAL_SHARE * ends.total(), reserve=1)
    if not val or (test_share and not test):
        raise DataError(
            f"The names of {len(order)} scenes end in the same characters ({', '.join(characters)}), so no short rule "
            "divides them.",
            "Put neighbouring scenes into a folder per group, or list the splits in train.txt, val.txt and test.txt.",
        )
    return [f"*{_escaped(end)}" for end in val], [f"*{_escaped(end)}" for end in test]


def _too_few(groups: int) -> DataError:
    return DataError(
        f"There are {groups} scene(s) or groups of scenes, but training, validation and test need one each.",
        "Add scenes, or describe one large image with a layout of `kind: blocks`, as in "
        "conf/base/parameters_dataset_bluemarble.yml.",
    )


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _plain(names: Iterable[str]) -> list[str]:
    return [_escaped(name) for name in names]


def _escaped(name: str) -> str:
    """Escape the special characters of shell patterns."""
    return re.sub(r"([*?\[])", r"[\1]", name)
