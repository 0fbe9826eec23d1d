"""List what there is: methods, edits, metrics, presets or protocols."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill, indent, shorten
from typing import Any

from bench.cli.printing import show
from bench.core.domains import domains
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
    """Methods as the registry describes them, with the presets they are ready on and what gets them on others."""
    from bench.plan.beyond import licence_of
    from bench.plan.names import places_of
    from bench.plan.plugins import load_plugins
    from methods import describe
    from methods.registry import find

    load_plugins(options.plugin)
    rows = []
    for row in describe():
        places = places_of(find(row["name"]))
        lacking = {place.preset: place.next_step for place in places if not place.ready}
        entry = find(row["name"])
        row["licence"] = {domain: text for domain in entry.domains if (text := licence_of(entry, domain))}
        rows.append({**row, "ready": [place.preset for place in places if place.ready], "next": lacking})
    return sorted(rows, key=lambda row: not row["ready"])


def _show_methods(rows: Sequence[Mapping[str, Any]], *, as_json: bool, width: int = 80) -> int:
    """Print each method with the presets it is ready on, then how far each golden is from its network here."""
    if as_json:
        show(rows, (), as_json=True)
        return 0
    longest = max(len(row["name"]) for row in rows)
    print(f"{'name':<{longest}}  {'domains':<11}  ready on")
    for row in rows:
        origin = "" if row["origin"] == "built-in" else f" (from {row['origin']})"
        ready = f"{', '.join(row['ready']) or '-'}{origin}"
        print(f"{row['name']:<{longest}}  {', '.join(row['domains']):<11}  {ready}"[:width])
        print(indent(shorten(row["summary"], width - 4, placeholder=" ..."), "    "))
        for licence in dict.fromkeys(row["licence"].values()):
            print(indent(shorten(f"licence: {licence}", width - 4, placeholder=" ..."), "    "))
        for presets, step in _next_steps(row["next"]):
            line = f"{presets}: {step}"
            print(fill(line, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False))
    _show_parity(rows)
    return 0


def _next_steps(steps: Mapping[str, str]) -> list[tuple[str, str]]:
    """What gets a method, each step once: presets of one family want the same."""
    presets: dict[str, list[str]] = {}
    for preset, step in steps.items():
        presets.setdefault(step, []).append(preset)
    return [(", ".join(names), " ".join(step.split())) for step, names in presets.items() if step]


def _show_parity(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print each golden of the authors' networks once."""
    cards = {card["golden"]: card for row in rows for card in row["parity"]}
    widest = max(map(len, cards), default=0)
    print("\nparity with the authors' networks: largest deviation of tolerance, share, date")
    for golden, card in sorted(cards.items()):
        print(f"    {golden:<{widest}}  {_deviation(card)}")


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
