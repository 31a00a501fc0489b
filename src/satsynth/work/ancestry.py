"""What finished folders descend from."""

from __future__ import annotations

from satsynth.work.errors import AncestryError
from satsynth.work.finished import Finished


def digests(**parents: Finished) -> dict[str, str]:
    """Return the digests of inputs by name."""
    return {name: parent.digest for name, parent in parents.items()}


def require_parent(child: Finished, child_name: str, parent: Finished, parent_name: str, repair: str) -> None:
    """Refuse a child that was not made from this parent.

    Raises:
        AncestryError: Another parent is named in the child's manifest.
    """
    found = child.parents.get(parent_name, "none")
    if found != parent.digest:
        raise AncestryError(
            f"`{child_name}` ({child.path}) was made from other `{parent_name}` (digest {found[:12]}) "
            f"than those that are used ({parent.path}, digest {parent.digest[:12]}).",
            f"Make it again: {repair}",
        )
