"""List what there is: methods, edits, metrics, presets or protocols."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent, shorten
from typing import Any

from bench.cli.printing import show
from bench.plan.config import load_config, preset_names

WHAT = ("methods", "edits", "metrics", "presets", "protocols", "data")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=WHAT)
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help="Python module that adds methods"
    )
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(options: argparse.Namespace) -> int:
    if options.what == "methods":
        return _show_methods(_methods(options), as_json=options.json)
    if options.what == "edits":
        return show_edits(as_json=options.json)
    rows, columns = {
        "metrics": _metrics,
        "presets": _presets,
        "protocols": _protocols,
        "data": _data,
    }[options.what](options)
    show(rows, columns, as_json=options.json)
    return 0


Answer = tuple[list[dict[str, Any]], tuple[str, ...]]


def _methods(options: argparse.Namespace) -> list[dict[str, Any]]:
    from bench.plan.plugins import load_plugins
    from methods import describe

    load_plugins(options.plugin)
    return describe()


def _show_methods(rows: Sequence[Mapping[str, Any]], *, as_json: bool, width: int = 80) -> int:
    """Print each method, its summary, and how far it is from every golden that is behind it."""
    if as_json:
        show(rows, (), as_json=True)
        return 0
    longest = max(len(row["name"]) for row in rows)
    goldens = max((len(card["golden"]) for row in rows for card in row["parity"]), default=0)
    print(f"{'name':<{longest}}  {'domains':<11}  origin")
    print(f"    {'golden':<{goldens}}  largest deviation of tolerance, share, date")
    for row in rows:
        print(f"{row['name']:<{longest}}  {', '.join(row['domains']):<11}  {row['origin']}"[:width].rstrip())
        print(indent(shorten(row["summary"], width - 4, placeholder=" ..."), "    "))
        for card in row["parity"]:
            print(f"    {card['golden']:<{goldens}}  {_deviation(card)}")
    return 0


def _deviation(card: Mapping[str, Any]) -> str:
    tolerance, share = card["tolerance"], card["largest_share_of_tolerance"]
    # What is allowed grows with the values, so the share says more than the two numbers before it.
    return f"{card['largest_deviation']:.1e} of {tolerance['atol']:.0e}  {share:4.0%}  {card['date']}"


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
            "column": f"{column.stem}@{name}",
            "title": column.title,
            "better": column.better,
            "domains": list(column.domains),
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
        stems = [column.stem for column in rules.columns]
        rows.append({"name": name, "columns": stems, "digest": rules.digest, "title": rules.title})
    return rows, ("name", "title")


def _data(options: argparse.Namespace) -> Answer:
    from bench.data import kinds

    rows = [
        {"name": kind.name, "domain": kind.domain, "splits": list(kind.splits), "source": kind.source}
        for kind in kinds().values()
    ]
    own = {
        "name": "synthetic",
        "domain": "faces",
        "splits": ["train", "val", "test"],
        "source": "comes with the package",
    }
    return [own, *rows], ("name", "domain", "splits", "source")
