"""Compare two runs over the same images: exit 1 when the second is worse than
the first in any cell, 0 otherwise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.plugin_option import add_plugin, load_for_runs
from bench.core.arguments import number
from bench.core.errors import ExitCode
from bench.core.text_table import aligned

if TYPE_CHECKING:
    from bench.results.regression import Finding
    from bench.results.summaries import Summaries
    from bench.results.wholeness import Results

CLOSING = ("worse", "missing", "moved")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the two runs and the tolerance."""
    parser.add_argument("first", type=Path, metavar="RUN_A", help="the run to hold against")
    parser.add_argument("second", type=Path, metavar="RUN_B", help="the run that must not be worse")
    parser.add_argument(
        "--tolerance", type=number(0, 1e6), default=0.02, help="allowed change, share of the value (0.02)"
    )
    parser.add_argument(
        "--unchanged", action="store_true", help="close for any value that moved by more than that, for the better too"
    )
    add_plugin(parser, "what the runs were made with")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare two runs; 1 when the second is worse."""
    from bench.results.paired import Difference, Pairs, difference
    from bench.results.regression import check_comparable, compare, moved
    from bench.results.wholeness import load_results
    from reports.columns import split_column
    from reports.facts import gather_facts

    runs = [load_results(folder) for folder in (options.first, options.second)]
    load_for_runs(options.plugin, [run.manifest for run in runs])
    check_comparable(*(run.manifest for run in runs))
    for whole in runs:
        whole.refuse_unfinished()
    first, second = (cells_of(whole) for whole in runs)
    facts = gather_facts(runs[1].manifest)
    before, after = (Pairs.of_run(own) for own in runs)

    def paired(method: str, edit: str, column: str) -> Difference | None:
        one, other = (own.values(edit, column, method) for own in (before, after))
        return difference(edit, column, one, other, after.rules[split_column(column)[1]].numbers)

    findings = compare(
        first,
        second,
        lambda column: facts.metric(*split_column(column)).better,
        options.tolerance,
        paired,
        lambda column: facts.smallest_marked(split_column(column)[1]),
    )
    if options.unchanged:
        findings = moved(findings, options.tolerance)
    closed = [finding for finding in findings if finding.verdict in CLOSING]
    if options.json:
        print(json.dumps({"worse": bool(closed), "cells": [vars(finding) for finding in findings]}))
    else:
        told = [(finding.verdict, _told(finding)) for finding in findings if finding.verdict in (*CLOSING, "better")]
        for line in aligned(told):
            print(line)
        closing = "worse, missing or moved" if options.unchanged else "worse or missing"
        print(f"{len(findings)} cells: {len(closed)} {closing}")
    return int(ExitCode.GATE if closed else ExitCode.OK)


def cells_of(results: Results) -> Summaries:
    """(method, pass) -> column -> cell of a run's methods, without its floors."""
    from bench.results.summaries import summarise_run
    from reports.naming import is_reference

    cells = summarise_run(results)
    return {block: found for block, found in cells.items() if not is_reference(block[0], {})}


def _told(finding: Finding) -> str:
    where = f"{finding.method}, {finding.edit}, {finding.column}"
    return f"{where}: {_number(finding.before)} -> {_number(finding.after)} {finding.detail}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
