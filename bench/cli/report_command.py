"""Make a run's tables, plots and page again from its rows; no network is
loaded. Rows of several shards are merged, and so are several runs over the
same images under the same protocols: their merge is a run of its own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.cli.plugin_option import add_plugin, load_for_runs
from bench.cli.printing import COLUMNS, tell
from bench.core.arguments import whole
from bench.core.errors import ExitCode, MissingError
from bench.core.files import check_folder
from bench.core.names import known_name


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the runs, and which tables or figure."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder (runs/<name>), or several")
    parser.add_argument("--columns", choices=COLUMNS, default="few", help="what the table here shows: few, or all")
    add_plugin(parser, "what the run was made with")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    merge = parser.add_argument_group("several runs as one")
    merge.add_argument("-o", "--output", type=Path, metavar="DIR", help="the merge's folder (beside the first run)")
    merge.add_argument("--keep-both", action="store_true", help="unlike methods of one name: warpres@monday, ...")
    merge.add_argument("--across", metavar="A,B", help="runs may differ in: machine, code (in neither by default)")
    figure = parser.add_argument_group("a figure of the paper instead, from the images the run kept")
    figure.add_argument("--figure", type=int, metavar="N", help="1, 3, 4, 5, 6 or 7; written to RUN/figures/")
    figure.add_argument("--images", metavar="A,B", help="which images (stems of their names)")
    figure.add_argument("--count", type=whole(1, 1000), default=6, metavar="N", help="how many, chosen by the rule")
    figure.add_argument("--rule", choices=("first", "spread"), default="first", help="how they are chosen")
    figure.add_argument("--methods", metavar="A,B", help="which methods, in order (default: all)")


def run(options: argparse.Namespace) -> int:
    """Make a run's tables and page again, of several runs merged, or one of the paper's figures."""
    from bench.results.manifest import read_manifest

    load_for_runs(options.plugin, map(read_manifest, options.runs))
    folder = options.runs[0] if len(options.runs) == 1 else _merge(options)
    if options.figure is not None:
        return _figure(folder, options)
    from bench.cli.reporting import report, tell_state
    from bench.results.wholeness import load_results

    results = load_results(folder)
    if not results.rows:
        raise MissingError(f"{folder} has no results yet", results.next_step)
    text, answer = report(results, columns=options.columns, again=True)
    print(json.dumps(answer, ensure_ascii=False) if options.json else f"{text}\n{folder}")
    failed = sum(row.status == "failed" for row in results.rows)
    if failed:
        tell(f"{failed} of {len(results.rows)} results failed")
    tell_state(results)
    return int(ExitCode.OK if results.whole else ExitCode.FAILED_CELLS)


def _merge(options: argparse.Namespace) -> Path:
    """The folder of the runs as one, written anew."""
    from bench.cli.run_command import names
    from bench.results.merge import ACROSS, merged_manifest, parts_of
    from bench.results.merged_run import write_merge
    from bench.results.wholeness import load_results

    across = [known_name("difference", name, ACROSS) for name in names(options.across, "--across") or ()]
    if options.output:
        check_folder(options.output, "--output")
    parts = parts_of([load_results(run) for run in options.runs], keep_both=options.keep_both, across=across)
    folder: Path = options.output or options.runs[0].parent / "+".join(part.label for part in parts)
    write_merge(parts, merged_manifest(parts, folder.name, ["python", "run_bench.py", *options.words]), folder)
    return folder


def _figure(folder: Path, options: argparse.Namespace) -> int:
    from bench.cli.run_command import names
    from bench.core.files import write_atomic
    from bench.results.manifest import read_manifest
    from reports.build import paper_figure
    from reports.facts import gather_facts

    facts = gather_facts(read_manifest(folder))
    images, methods = (names(text, option) or [] for text, option in
                       ((options.images, "--images"), (options.methods, "--methods")))  # fmt: skip
    grid = paper_figure(folder, options.figure, facts, options.count, options.rule, images, methods)
    path = folder / "figures" / f"{grid.name}.png"
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, grid.png)
    print(json.dumps({"file": str(path), "caption": grid.caption}) if options.json else f"{path}\n{grid.caption}")
    return int(ExitCode.OK)
