"""The facts of a manifest, completed with what the protocol files say of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reports.inputs import Facts


def gather_facts(manifest: Mapping[str, Any]) -> Facts:
    """`Facts` with the title, direction and explanation of every column of the run's protocols.

    A run of every method of the paper's Table 2 follows that table, if it was not told to follow another.
    """
    from reports.published.rows import is_table_2

    facts = Facts.from_manifest(manifest)
    if facts.paper_table is None and is_table_2(facts):
        facts = replace(facts, paper_table=2)
    return replace(facts, columns={**_protocol_words(manifest), **facts.columns})


def _protocol_words(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Title, direction and explanation of each column, from the protocol files themselves."""
    from bench.core.errors import BenchError
    from metrics.protocol import load_protocol

    words: dict[str, Mapping[str, Any]] = {}
    for name, about in (manifest.get("protocols") or {}).items():
        try:
            protocol = load_protocol((about or {}).get("file") or name)
        except BenchError:
            continue  # a protocol that is no longer here; its columns keep their plain names
        for column in protocol.columns:
            words[f"{column.metric}@{name}"] = {"title": column.title, "better": column.better, "what": column.what}
    return words
