"""A budget of labels: which training scenes keep their masks.

No mask is looked at to choose scenes, as somebody who has not yet labelled them could not look either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from satsynth.pairs.settings import TilingSettings
from satsynth.scenes.scene import Scene
from satsynth.scenes.splits import UNLABELLED
from satsynth.work.errors import DataError, SatSynthError

# Entry of a manifest: the training scenes whose masks are used, where not those of all are.
LABELS = "labels"


@dataclass(frozen=True)
class Labels:
    """Which training scenes keep their masks.

    Args:
        used: Identifiers of scenes whose masks are used, sorted.
        unused: Those of all other training scenes, sorted.
        rest: What becomes of these, as in `TilingSettings.label_rest`.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    rest: str

    def applied(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Return the scenes of all splits without what is not to be used: whole training scenes, or their masks."""
        return [kept for scene in scenes if (kept := self._kept(scene)) is not None]

    def _kept(self, scene: Scene) -> Scene | None:
        if scene.split != "train" or scene.scene_id in self.used:
            return scene
        # Without the path of its mask, nothing can read it.
        return replace(scene, split=UNLABELLED, mask="") if self.rest == "unlabelled" else None

    @property
    def entry(self) -> dict[str, Any]:
        """What the manifest of the tiles says of it."""
        return {"used": list(self.used), "unused": list(self.unused), "rest": self.rest}


def chosen_labels(scenes: Sequence[Scene], settings: TilingSettings) -> Labels | None:
    """Return which training scenes keep their masks, or None where all do because nothing else is asked for.

    Args:
        scenes: The scenes of all splits.
        settings: How many, or which.

    Raises:
        DataError: `label_scenes` names a scene that is no training scene.
    """
    if not settings.some_labels:
        return None
    train = sorted({scene.scene_id for scene in scenes if scene.split == "train"})
    used = _named(scenes, settings.label_scenes) if settings.label_scenes else _share(train, settings)
    return Labels(tuple(sorted(used)), tuple(name for name in train if name not in used), settings.label_rest)


def alike_shares(scenes: Sequence[Scene], shares: Sequence[float], settings: TilingSettings) -> list[list[float]]:
    """Return shares in increasing order, those that choose the same training scenes together.

    Args:
        scenes: The scenes of all splits.
        shares: The shares.
        settings: By which order they choose.
    """
    train = sorted({scene.scene_id for scene in scenes if scene.split == "train"})
    found: dict[int, list[float]] = {}
    for share in sorted(shares):
        # They are nested: as many scenes are the same ones.
        chosen = _share(train, settings.model_copy(update={"label_share": share}))
        found.setdefault(len(chosen), []).append(share)
    return list(found.values())


def require_no_names(settings: TilingSettings) -> None:
    """Refuse labelled scenes that are named where shares are to choose them.

    Raises:
        SatSynthError: They are.
    """
    if settings.label_scenes:
        raise SatSynthError(
            f"`tiling.label_scenes` names labelled scenes ({', '.join(settings.label_scenes[:5])}), but "
            "`labels.shares` is to choose them.",
            "Leave out `tiling.label_scenes`, or run `augment` with it instead of `labels`.",
        )


def _share(train: Sequence[str], settings: TilingSettings) -> set[str]:
    """Return the first scenes of an order that hangs on their names and the seed, so that shares are nested."""
    order = sorted(train, key=lambda name: hashlib.sha256(f"{settings.label_seed}/{name}".encode()).digest())
    return set(order[: max(1, round(settings.label_share * len(order)))])


def _named(scenes: Sequence[Scene], patterns: Sequence[str]) -> set[str]:
    used: set[str] = set()
    for pattern in patterns:
        found = [scene for scene in scenes if scene.scene_id == pattern or fnmatchcase(scene.scene_id, pattern)]
        train = {scene.scene_id for scene in found if scene.split == "train"}
        if not train:
            names = sorted(scene.scene_id for scene in scenes if scene.split == "train")
            why = f"is in {found[0].split}" if found else "no scene matches"
            raise DataError(
                f"`tiling.label_scenes` names '{pattern}', which {why}.",
                f"Name training scenes. They are: {', '.join(names[:20])}{' and others' if len(names) > 20 else ''}.",
            )
        used |= train
    return used
