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


def run(options: argparse.Namespace) -> int:
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
