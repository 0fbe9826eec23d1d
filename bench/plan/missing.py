"""What a run lacks, each thing once: how large it is, what it is needed for, and what gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.errors import FETCH, all_steps
from bench.plan.work import NOT_APPLICABLE, Need
from bench.weights.registry import entries, missing


@dataclass(frozen=True)
class Gap:
    """One thing that is not here.

    Attributes:
        name: Registry name of a file; else the data set, method, edit or protocol that lacks something.
        kind: "checkpoint", "part", "network" or "direction" for a file of the registry; else the need's kind.
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


def gaps_of(needs: Sequence[Need]) -> list[Gap]:
    """What the needs lack, each file or cause once, in the order of the needs."""
    by_thing: dict[tuple[str, str], list[Need]] = {}
    for need in needs:
        if need.status == NOT_APPLICABLE:
            continue
        for thing in [(name, "") for name in need.files] or [(need.name, need.reason)]:
            by_thing.setdefault(thing, []).append(need)
    return [_gap(name, found) for (name, _), found in by_thing.items()]


def next_steps(gaps: Sequence[Gap]) -> list[str]:
    """What to do about the gaps, each step once; all that can be fetched in one command, the last of them."""
    text = all_steps([gap.command for gap in gaps], between="\n")
    return text.split("\n") if text else []


def fetch_names(gaps: Sequence[Gap]) -> list[str]:
    """Registry names that one `weights fetch` gets."""
    return [gap.name for gap in gaps if gap.fetchable]


def _gap(name: str, needs: Sequence[Need]) -> Gap:
    first, item = needs[0], entries().get(name)
    if item is None or name not in first.files:
        return Gap(name, first.kind, _uses(needs), first.reason, first.command, 0, first.status)
    error = missing(item)
    own = [need.reason for need in needs if need.files == (name,)]
    return Gap(name, item.kind, _uses(needs), own[0] if own else error.what, error.next_step, item.bytes)


def _uses(needs: Sequence[Need]) -> tuple[str, ...]:
    """What the needs are for; an edit's methods together."""
    uses: dict[str, list[str]] = {}
    for need in needs:
        methods = uses.setdefault(need.name, [])
        methods += [need.method] if need.method and need.method not in methods else []
    return tuple(f"{name} of {', '.join(methods)}" if methods else name for name, methods in uses.items())
