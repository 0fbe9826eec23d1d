"""The facts of a manifest, completed with what protocol files say of columns, and the registry of methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reports.inputs import Facts

if TYPE_CHECKING:
    from metrics.protocol import ProtocolFile


def gather_facts(manifest: Mapping[str, Any]) -> Facts:
    """`Facts` with the title, direction and explanation of every column of the run's protocols.

    A run of every method of the paper's Table 2 follows that table, if it was not told to follow another.
    """
    from reports.published.rows import is_table_2

    facts = Facts.from_manifest(manifest)
    if manifest.get("paper_table") is None and is_table_2(facts):
        facts = replace(facts, paper_table=2)
    known = _protocols(manifest)
    titles, places = titles_and_places([*facts.methods, *facts.absent_methods])
    return replace(
        facts,
        titles={**titles, **facts.titles},
        places={**places, **facts.places},
        columns={**_words(known), **facts.columns},
        marked_from={name: protocol.numbers.smallest_marked for name, protocol in known.items()},
    )


def titles_and_places(names: Iterable[str]) -> tuple[dict[str, str], dict[str, int]]:
    """What methods call themselves and where they stand, for who is not told by a manifest.

    Of two runs' methods of one name each says whose it is: "warpres@monday" is "WarpRes (monday)".
    """
    from methods.registry import entries

    titles, places = {}, {}
    for name in names:
        own, _, run = name.partition("@")
        if (entry := entries().get(own)) is not None:
            titles[name] = (entry.title or own) + (f" ({run})" if run else "")
            places[name] = entry.place
    return titles, places


def _protocols(manifest: Mapping[str, Any]) -> dict[str, ProtocolFile]:
    """The run's protocols, read from their files; those that are no longer here are left out."""
    from bench.core.errors import BenchError
    from bench.results.recorded import recorded_protocol

    found = {}
    for name in manifest.get("protocols") or {}:
        try:
            found[name] = recorded_protocol(manifest, name)
        except BenchError:
            continue  # its columns keep their plain names, and no method is called better in them
    return found


def _words(protocols: Mapping[str, ProtocolFile]) -> dict[str, Mapping[str, Any]]:
    """Title, direction and explanation of each column."""
    return {
        f"{column.metric}@{name}": {"title": column.title, "better": column.better, "what": column.what}
        for name, protocol in protocols.items()
        for column in protocol.columns
    }
