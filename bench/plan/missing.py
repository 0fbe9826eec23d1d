"""What a run lacks, each thing once: how large it is, what it is needed for, and what gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.errors import FETCH, all_steps
from bench.plan.work import NOT_APPLICABLE, Missing
from bench.weights import registry


@dataclass(frozen=True)
class MissingItem:
    """One thing that is not here.

    Attributes:
        name: Registry name of a file; else the data set, method, edit or protocol that lacks something.
        kind: "checkpoint", "part", "network" or "direction" for a file of the registry; else what `Missing` says.
        needed_for: Methods, columns ("id@paper-1") and edits ("smile of e4e, hfgi").
        reason: One sentence.
        command: What gets it; empty when nothing does.
        bytes: About how large it is; 0 when unknown.
        status: "missing" or "not released".
    """

    name: str
    kind: str
    needed_for: tuple[str, ...]
    reason: str
    command: str = ""
    bytes: int = 0
    status: str = "missing"

    @property
    def fetchable(self) -> bool:
        """Whether `weights fetch` gets it."""
        return self.command.startswith(FETCH + " ")


def missing_items(missing: Sequence[Missing]) -> list[MissingItem]:
    """Each file or cause once, in the order of `missing`."""
    by_thing: dict[tuple[str, str], list[Missing]] = {}
    for one in missing:
        if one.status == NOT_APPLICABLE:
            continue
        for thing in [(name, "") for name in one.files] or [(one.name, one.reason)]:
            by_thing.setdefault(thing, []).append(one)
    return [_item(name, found) for (name, _), found in by_thing.items()]


def next_steps(items: Sequence[MissingItem]) -> list[str]:
    """What to do about the items, each step once; all that can be fetched in one command, the last of them."""
    text = all_steps([item.command for item in items], between="\n")
    return text.split("\n") if text else []


def fetch_names(items: Sequence[MissingItem]) -> list[str]:
    """Registry names that one `weights fetch` gets."""
    return [item.name for item in items if item.fetchable]


def _item(name: str, missing: Sequence[Missing]) -> MissingItem:
    first, entry = missing[0], registry.entries().get(name)
    if entry is None or name not in first.files:
        return MissingItem(name, first.kind, _uses(missing), first.reason, first.command, 0, first.status)
    error = registry.missing(entry)
    own = [one.reason for one in missing if one.files == (name,)]
    return MissingItem(name, entry.kind, _uses(missing), own[0] if own else error.what, error.next_step, entry.bytes)


def _uses(missing: Sequence[Missing]) -> tuple[str, ...]:
    """What they are missing for; an edit's methods together."""
    uses: dict[str, list[str]] = {}
    for one in missing:
        methods = uses.setdefault(one.name, [])
        methods += [one.method] if one.method and one.method not in methods else []
    return tuple(f"{name} of {', '.join(methods)}" if methods else name for name, methods in uses.items())
