"""Checkpoints and auxiliary networks: list them, fetch them, take over files
that were already downloaded, check their digests, say where they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from bench.cli.printing import show, tell
from bench.core.errors import ExitCode, MissingError, UsageError

if TYPE_CHECKING:
    from bench.weights.registry import Entry

# Digits of a digest in a table, enough to tell files apart; --json has all of them.
_DIGITS = 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the action, the names, and from where."""
    parser.add_argument("action", choices=("ls", "fetch", "verify", "path"), help="what to do")
    parser.add_argument("names", nargs="*", metavar="NAME", help="registry names (weights ls)")
    parser.add_argument("--from", dest="source", metavar="DIR", help="take over files of a folder, known by content")
    parser.add_argument("--accept-licence", action="store_true", help="accept the licences shown")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """List, fetch, verify or locate weights; 3 when something is missing."""
    return {"ls": _list, "fetch": _fetch, "verify": _verify, "path": _path}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from bench.weights.registry import rows

    found = [row for row in rows() if not options.names or any(name in row["name"] for name in options.names)]
    for row in found:
        row["state"] = "here" if row["here"] else row["status"]
    show(found, ("name", "kind", "size", "state", "licence"), as_json=options.json)
    return int(ExitCode.OK)


def _fetch(options: argparse.Namespace) -> int:
    if options.source:
        return _adopt(options)
    if not options.names:
        raise UsageError("weights fetch: nothing is named", "name entries of `weights ls`, or --from DIR")
    from bench.weights.fetch import fetch, progress_bar

    def accept(item: Entry) -> bool:
        tell(f"{item.name}: licence: {item.licence}\n  source: {item.source}")
        if options.accept_licence:
            return True
        return sys.stdin.isatty() and input("accept? [y/N] ").strip().lower() in ("y", "yes")

    for name in options.names:
        report, close = progress_bar(name)
        try:
            for path in fetch(name, accept=accept, progress=report):
                print(path)
        finally:
            close()
    return int(ExitCode.OK)


def _adopt(options: argparse.Namespace) -> int:
    from bench.weights.adopt import adopt

    found = adopt(options.source)
    if not found:
        raise MissingError(f"{options.source}: no file there looks like weights")
    rows = [{"file": item.file.name, "taken as": item.name or "-", "detail": item.detail} for item in found]
    show(rows, ("file", "taken as", "detail"), as_json=options.json)
    return int(ExitCode.OK if any(item.name for item in found) else ExitCode.MISSING)


def _verify(options: argparse.Namespace) -> int:
    from bench.weights.fetch import verify

    verdicts = verify(options.names)
    shown = (
        verdicts
        if options.names or options.json
        else [v for v in verdicts if v.state not in ("missing", "not released")]
    )
    # A damaged file's digests are in its detail, whole, on lines of their own.
    rows = [{**vars(verdict), "SHA-256": verdict.sha256[:_DIGITS], "file": verdict.detail} for verdict in shown]
    damaged = [verdict for verdict in shown if verdict.state == "damaged"]
    if options.json:
        print(json.dumps([vars(verdict) for verdict in shown], ensure_ascii=False))
    else:
        show(rows, ("name", "state", "SHA-256", "file"))
        for verdict in damaged:
            print(f"{verdict.name}: {verdict.detail}")
    bad = [verdict for verdict in shown if verdict.state != "ok"]
    return int(ExitCode.MISSING if bad else ExitCode.OK)


def _path(options: argparse.Namespace) -> int:
    from bench.weights.registry import home, locate

    paths = [str(locate(name)) for name in options.names] or [str(home())]
    print(json.dumps(paths) if options.json else "\n".join(paths))
    return int(ExitCode.OK)
