"""What a table says in a few sentences: only what can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from reports.naming import listed
from reports.standing import Standing, intervals_apart, ranking
from reports.table import Block, Column, Row

# More leaders than these are counted, not named.
_MOST_NAMES = 3


def verdicts(
    rows: Sequence[Row], blocks: Sequence[Block], standing: Standing, copy: Row | None = None
) -> tuple[str, ...]:
    """Who leads in what, alone or together: a sentence a block, or for several. None with fewer than two methods.

    `copy`: what a copy of the input scores; where it is surely better than every method, the sentence ends with it.
    """
    methods = [row for row in rows if row.kind == "method" and row.absent is None]
    if len({row.name for row in methods}) < 2:
        return ()
    found: dict[str, list[str]] = {}
    start = 0
    for block in blocks:
        columns = list(enumerate(block.columns, start))
        if sentence := _sentence(methods, columns, standing) + _unbeaten(methods, columns, standing, copy):
            found.setdefault(sentence, []).append(block.title)
        start += len(block.columns)
    return tuple(f"{listed(titles)}: {sentence}" for sentence, titles in found.items())


def unequal_changes(
    rows: Sequence[Row], columns: Sequence[Column], standing: Standing
) -> Mapping[str, tuple[str, ...]]:
    """A warning for the blocks whose methods changed the attribute by different amounts: theirs is not one edit.

    Returns the sentence with the titles of these blocks; nothing where there are none.
    """
    methods = [row for row in rows if row.kind == "method" and row.absent is None]
    found: dict[str, None] = {}
    for at, column in enumerate(columns):
        own = [(row.name, row.entries[at]) for row in methods]
        if column.metric.name == "share" and any(standing.apart(column, *both) for both in combinations(own, 2)):
            found[column.pass_name.block] = None
    said = "the methods did different shares of what was asked (Share); --mode matched compares at equal change."
    return {f"{listed([*found])}: {said}": tuple(found)} if found else {}


def _unbeaten(
    methods: Sequence[Row], columns: Sequence[tuple[int, Column]], standing: Standing, copy: Row | None
) -> str:
    """In which columns doing nothing is better than every method: to lead there says little."""
    if copy is None:
        return ""
    labels = []
    for at, column in columns:
        floor, entries = copy.entries[at], {row.name: row.entries[at] for row in methods}
        names = ranking(entries, column)
        enough = min([floor.n, *(entries[name].n for name in names)]) >= standing.facts.smallest_marked(column.protocol)
        if names and enough and ranking({"": floor, **entries}, column)[0] == "":
            labels += [column.label] if intervals_apart(floor, entries[names[0]]) else []
    return f" A copy of the input is better than every method in {listed(labels)}." if labels else ""


def _sentence(methods: Sequence[Row], columns: Sequence[tuple[int, Column]], standing: Standing) -> str:
    shared: dict[tuple[str, ...], list[str]] = {}
    few = []
    for at, column in columns:
        entries = {row.name: row.entries[at] for row in methods}
        names = ranking(entries, column)
        if len(names) < 2:
            continue
        if entries[names[0]].n < standing.facts.smallest_marked(column.protocol):
            few.append(column.label)
            continue
        leaders = standing.leaders(column, entries)
        titles = tuple(row.title for row in methods if row.name in leaders)
        shared.setdefault(titles if len(leaders) < len(names) else (), []).append(column.label)
    open_ones = shared.pop((), [])
    parts = [_lead(names, columns) for names, columns in shared.items()]
    if open_ones:
        parts.append(f"no method stands apart in {listed(open_ones)}")
    if few and not parts:
        smallest = standing.facts.smallest_marked(columns[0][1].protocol)
        return f"fewer than {smallest} images, too few to tell methods apart."
    if few:
        parts.append(f"too few images to tell in {listed(few)}")
    return "; ".join(parts) + "." if parts else ""


def _lead(names: Sequence[str], columns: Sequence[str]) -> str:
    if len(names) > _MOST_NAMES:
        return f"{len(names)} methods share the lead in {listed(columns)}"
    verb = "is best" if len(names) == 1 else "share the lead"
    return f"{listed(names)} {verb} in {listed(columns)}"
