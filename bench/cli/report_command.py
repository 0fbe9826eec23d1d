"""Make a run's tables, plots and page again from its rows; no network is
loaded. Rows of several shards are merged.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.cli.printing import COLUMNS, tell
from bench.core.errors import ExitCode, MissingError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder (runs/<name>)")
    parser.add_argument("--columns", choices=COLUMNS, default="few", help="what the table here shows: few, or all")
    parser.add_argument("--json", action="store_true")
    figure = parser.add_argument_group("a figure of the paper instead, from the images the run kept")
    figure.add_argument("--figure", type=int, metavar="N", help="1, 3, 4, 5, 6 or 7; written to RUN/figures/")
    figure.add_argument("--images", metavar="A,B", help="which images (stems of their names)")
    figure.add_argument("--count", type=int, default=6, metavar="N", help="how many, chosen by the rule")
    figure.add_argument("--rule", choices=("first", "spread"), default="first", help="how they are chosen")
    figure.add_argument("--methods", metavar="A,B", help="which methods, in order (default: all)")


def run(options: argparse.Namespace) -> int:
    if options.figure is not None:
        return _figure(options)
    from bench.cli.reporting import report, tell_state
    from bench.results.wholeness import load_results

    results = load_results(options.folder)
    if not results.rows:
        raise MissingError(f"{options.folder} has no results yet", results.next_step)
    text, answer = report(results, columns=options.columns, again=True)
    print(json.dumps(answer, ensure_ascii=False) if options.json else f"{text}\n{options.folder}")
    failed = sum(row.status == "failed" for row in results.rows)
    if failed:
        tell(f"{failed} of {len(results.rows)} results failed")
    tell_state(results)
    return int(ExitCode.OK if results.whole else ExitCode.FAILED_CELLS)


def _figure(options: argparse.Namespace) -> int:
    from bench.cli.run_command import names
    from bench.core.files import write_atomic
    from bench.results.store import read_manifest
    from reports.build import paper_figure
    from reports.facts import gather_facts

    facts = gather_facts(read_manifest(options.folder))
    images, methods = (names(text, option) or [] for text, option in
                       ((options.images, "--images"), (options.methods, "--methods")))  # fmt: skip
    grid = paper_figure(options.folder, options.figure, facts, options.count, options.rule, images, methods)
    path = options.folder / "figures" / f"{grid.name}.png"
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, grid.png)
    print(json.dumps({"file": str(path), "caption": grid.caption}) if options.json else f"{path}\n{grid.caption}")
    return int(ExitCode.OK)
