"""List what there is: methods, edits, metrics, presets or protocols."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli.printing import show
from bench.config import load_config, preset_names

WHAT = ("methods", "edits", "metrics", "presets", "protocols", "data")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=WHAT)
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help="Python module that adds methods"
    )
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(options: argparse.Namespace) -> int:
    rows, columns = {
        "methods": _methods,
        "edits": _edits,
        "metrics": _metrics,
        "presets": _presets,
        "protocols": _protocols,
        "data": _data,
    }[options.what](options)
    show(rows, columns, as_json=options.json)
    return 0


Answer = tuple[list[dict[str, Any]], tuple[str, ...]]


def _methods(options: argparse.Namespace) -> Answer:
    from bench.plugins import load_plugins
    from methods import describe

    load_plugins(options.plugin)
    rows = describe()
    for row in rows:
        row["checked"] = "; ".join(_card(card) for card in row["parity"])
    return rows, ("name", "domains", "origin", "checked", "summary")


def _card(card: dict[str, Any]) -> str:
    try:
        return f"{card['golden']} {card['largest_deviation']:.1e} of {card['tolerance']:.0e}, {card['date']}"
    except (KeyError, TypeError, ValueError):
        return str(card.get("golden", "?"))


def _edits(options: argparse.Namespace) -> Answer:
    from bench.edits.cards import all_cards, rows

    return rows(all_cards()), ("name", "generator", "rule", "layers", "columns")


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
