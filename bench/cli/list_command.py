"""List what there is: methods (what can run here first), edits, metrics,
presets, protocols, kinds of data sets, or the runs of a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cli.plugin_option import add_plugin
from bench.cli.printing import show
from bench.core.domains import domains
from bench.plan.config import load_config, preset_names

WHAT = ("methods", "edits", "metrics", "presets", "protocols", "data", "runs")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: what to list, and for which preset."""
    parser.add_argument("what", choices=WHAT, help="what to list")
    add_plugin(parser)
    parser.add_argument("--output", type=Path, metavar="DIR", default=Path("runs"), help="runs: where they lie (runs)")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(options: argparse.Namespace) -> int:
    """List what there is of a kind: names, and what each is."""
    if options.what == "methods":
        return _methods(options)
    if options.what == "edits":
        return show_edits(as_json=options.json)
    rows, columns = {
        "metrics": _metrics,
        "presets": _presets,
        "protocols": _protocols,
        "data": _data,
        "runs": _runs,
    }[options.what](options)
    show(rows, columns, as_json=options.json)
    return 0


Answer = tuple[list[dict[str, Any]], tuple[str, ...]]


def _methods(options: argparse.Namespace) -> int:
    from bench.cli.methods_list import methods_listed, show_methods

    rows = methods_listed(options.plugin)
    if options.json:
        show(rows, (), as_json=True)
    else:
        show_methods(rows)
    return 0


def _runs(options: argparse.Namespace) -> Answer:
    from bench.cli.runs_list import runs_listed

    return runs_listed(options.output), ("name", "changed", "state", "what")


def show_edits(extra: Sequence[Path] = (), *, as_json: bool = False) -> int:
    """Print the edit cards, those of one generator and kind under one heading."""
    from bench.edits.cards import all_cards, rows

    listed = rows(all_cards(extra))
    if as_json:
        show(listed, (), as_json=True)
        return 0
    groups: dict[str, list[dict[str, str]]] = {}
    for row in listed:
        groups.setdefault(f"{row['generator']}: {row['group'] or 'others'}, {row['rule']}", []).append(row)
    for number, (heading, found) in enumerate(sorted(groups.items())):
        print(("\n" if number else "") + f"{heading} ({len(found)})")
        show(found, ("name", "layers", "columns"))
    return 0


def _metrics(options: argparse.Namespace) -> Answer:
    from metrics.protocol import load_protocol, protocol_names

    rows = [
        {
            "column": f"{column.metric}@{name}",
            "title": column.title,
            "better": column.better,
            "domains": list(column.domains or domains()),
            "what": " ".join(column.what.split()),
        }
        for name in protocol_names()
        for column in load_protocol(name).columns
    ]
    return rows, ("column", "title", "better", "what")


def _presets(options: argparse.Namespace) -> Answer:
    rows = []
    for name in preset_names():
        config = load_config(name)
        about = {"methods": config.methods, "edits": config.edits.names, "protocols": config.protocols}
        rows.append({"name": name, "data": f"{config.data.name} {config.data.split}", **about, "title": config.title})
    return rows, ("name", "data", "title")


def _protocols(options: argparse.Namespace) -> Answer:
    from metrics.protocol import load_protocol, protocol_names

    rows = []
    for name in protocol_names():
        rules = load_protocol(name)
        metrics = [column.metric for column in rules.columns]
        rows.append({"name": name, "columns": metrics, "digest": rules.digest, "title": rules.title})
    return rows, ("name", "title")


def _data(options: argparse.Namespace) -> Answer:
    from bench.data import kinds

    rows = [
        {"name": kind.name, "domain": kind.domain, "splits": list(kind.splits), "source": kind.source}
        for kind in kinds().values()
    ]
    return rows, ("name", "domain", "splits", "source")
