"""The facts of a manifest, completed with what the protocol files say of their columns."""

from __future__ import annotations

from collections.abc import Mapping
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
    if facts.paper_table is None and is_table_2(facts):
        facts = replace(facts, paper_table=2)
    known = _protocols(manifest)
    return replace(
        facts,
        columns={**_words(known), **facts.columns},
        marked_from={name: protocol.numbers.smallest_marked for name, protocol in known.items()},
    )


def _protocols(manifest: Mapping[str, Any]) -> dict[str, ProtocolFile]:
    """The run's protocols, read from their files; those that are no longer here are left out."""
    from bench.core.errors import BenchError
    from metrics.protocol import load_protocol

    found = {}
    for name, about in (manifest.get("protocols") or {}).items():
        try:
            found[name] = load_protocol((about or {}).get("file") or name)
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
