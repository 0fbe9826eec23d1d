"""A leaderboard of results files: one static page of a folder of them, the
check that a submission must pass, and a run's methods as one file each.

  leaderboard FOLDER               the page: FOLDER/index.html
  leaderboard check FILE...        exit 0 when all may stand on it, else 2
  leaderboard add RUN FOLDER       FOLDER/METHOD.json of each of its methods
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from bench.cli.plugin_option import add_plugin, load_for_runs
from bench.cli.printing import tell
from bench.core.errors import BenchError, ExitCode, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the action, and the files or folders of results."""
    parser.usage = "%(prog)s [check | add] PATH [PATH ...] [options]"
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a folder; check and files; add, a run and a folder")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the page goes (FOLDER/index.html)")
    parser.add_argument("--title", default="Leaderboard", help="the page's heading")
    parser.add_argument("--methods", metavar="A,B", help="add: which methods (default: all of the run)")
    parser.add_argument("--protocol", action="append", default=[], metavar="FILE", help="a protocol file of your own")
    add_plugin(parser, "kinds of metric")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Make the leaderboard of results files, check files, or add them to a folder."""
    load_for_runs(options.plugin, ())
    action, paths = options.paths[0], [Path(word) for word in options.paths[1:]]
    if action == "check":
        return _check(paths, options)
    if action == "add":
        return _add(paths, options)
    if paths:
        raise UsageError(f"leaderboard takes one folder, but got {len(options.paths)} words", _HELP)
    return _page(Path(action), options)


def _check(paths: Sequence[Path], options: argparse.Namespace) -> int:
    from reports.results_file.check import problems, read_results

    if not paths:
        raise UsageError("leaderboard check: no file is named", _HELP)
    found: dict[str, list[str]] = {}
    for path in paths:
        try:
            found[str(path)] = problems(read_results(path), options.protocol)
        except BenchError as error:
            found[str(path)] = [error.what]
    bad = {path: said for path, said in found.items() if said}
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for name, said in found.items():
            print(f"{name}: {'ok' if not said else f'{len(said)} problems' if len(said) > 1 else '1 problem'}")
            for sentence in said:
                print(f"  {sentence}")
    return int(ExitCode.USAGE if bad else ExitCode.OK)


def _add(paths: Sequence[Path], options: argparse.Namespace) -> int:
    from bench.cli.run_command import names
    from reports.leaderboard.entries import write_entries

    if len(paths) != 2:
        raise UsageError("leaderboard add takes a run and a folder", _HELP)
    files = write_entries(paths[0], paths[1], names(options.methods, "--methods") or (), options.protocol)
    print(json.dumps([str(file) for file in files]) if options.json else "\n".join(map(str, files)))
    return int(ExitCode.OK)


def _page(folder: Path, options: argparse.Namespace) -> int:
    from bench.core.files import check_file, write_atomic
    from reports.leaderboard.board import read_folder
    from reports.leaderboard.page import render

    target = options.output or folder / "index.html"
    if options.output:
        check_file(target, "--output")
    boards = read_folder(folder, options.protocol)
    write_atomic(target, render(boards, options.title, folder, target))
    count = len({entry.file for board in boards for entry in board.entries})
    tell(f"{count} file{'s' * (count > 1)}, {len(boards)} board{'s' * (len(boards) > 1)}")
    print(json.dumps({"file": str(target)}) if options.json else target)
    return int(ExitCode.OK)


_HELP = "python run_bench.py leaderboard --help"
