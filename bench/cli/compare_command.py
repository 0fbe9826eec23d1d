"""Compare two methods of a run on the same images: mean differences with
their 95 % intervals. Distances of sets (FID, KID) have no value an image and
are not here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.plugin_option import add_plugin, load_for_runs
from bench.cli.printing import show
from bench.core.errors import ExitCode, MissingError
from bench.core.names import known_name

if TYPE_CHECKING:
    from bench.results.paired import Difference
    from reports.columns import Metric


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: RUN, the two methods and what to show."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("first", metavar="A", help="a method of the run")
    parser.add_argument("second", metavar="B", help="another; shown is B - A")
    add_plugin(parser, "what the run was made with")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare two methods of a run image by image."""
    from bench.cli.reporting import tell_state
    from bench.results.paired import Pairs
    from bench.results.wholeness import load_results
    from reports.columns import split_column
    from reports.facts import gather_facts

    results = load_results(options.run)
    manifest = results.manifest
    load_for_runs(options.plugin, [manifest])
    first, second = (
        known_name("method of this run", name, manifest["methods"]) for name in (options.first, options.second)
    )
    results = results.only((first, second))
    facts = gather_facts(manifest)

    def metric_of(item: Difference) -> Metric:
        return facts.metric(*split_column(item.column))

    found = Pairs.of_run(results).all_differences(first, second, lambda c: facts.metric(*split_column(c)).better)
    order = {edit["column"]: place for place, edit in enumerate(manifest["passes"])}
    shown = [item for item in found if metric_of(item).shown_for(item.edit == "reconstruction")]
    if not shown:
        raise MissingError(
            f"{options.run} has no image that both {first} and {second} made",
            f"python run_bench.py report {options.run} says what they lack",
        )
    shown.sort(key=lambda item: (order[item.edit], item.column.partition("@")[2], metric_of(item).place))
    if options.json:
        show([vars(item) for item in shown], (), as_json=True)
    else:
        if results.banner:
            print(f"!! {results.banner}")
        _print(shown, first, second, metric_of)
    tell_state(results)
    return int(ExitCode.OK if results.whole else ExitCode.FAILED_CELLS)


def metric_name(item: Difference) -> str:
    """A difference's metric, without its protocol."""
    return item.column.partition("@")[0]


def _print(items: Sequence[Difference], first: str, second: str, metric_of: Callable[[Difference], Metric]) -> None:
    from reports.naming import split_pass

    print(f"{second} - {first}: means over the same images, with 95 % intervals")
    for (edit, protocol), group in groupby(items, key=lambda item: (item.edit, item.column.partition("@")[2])):
        own = list(group)
        print(f"\n{split_pass(edit).title}, {protocol}, n = {max(item.n for item in own)}")
        rows = [_texts(item, metric_of(item), first, second) for item in own]
        show(rows, ("column", first, second, "verdict", "difference"))
        if any(item.verdict == "too few" for item in own):
            print("too few: below the protocol's smallest number of images no method is called better")
        if any(metric_name(item) == "achieved" and _another_edit(item) for item in own):
            print("They changed the attribute by different amounts: this is not one edit.")


def _another_edit(change: Difference) -> bool:
    """Whether the changes reached differ by more than matched strengths, found on other images, may leave."""
    return change.differs and abs(change.value) > 0.2 * max(abs(change.first), abs(change.second))


def _texts(item: Difference, metric: Metric, first: str, second: str) -> dict[str, str]:
    digits = 2 if max(abs(item.first), abs(item.second)) >= 2 else 4
    interval = "" if item.low is None else f" [{item.low:+.{digits}f}, {item.high:+.{digits}f}]"
    return {
        "column": f"{metric.axis} {metric.arrow}".rstrip(),
        first: f"{item.first:.{digits}f}",
        second: f"{item.second:.{digits}f}",
        "difference": f"{item.value:+.{digits}f}{interval}",
        "verdict": item.verdict,
    }
