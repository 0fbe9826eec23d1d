"""Look at a data set's folder: what is there, what is missing, and where such
data is to be had; a line a problem.
"""

from __future__ import annotations

import argparse
import json

from bench.core.arguments import whole
from bench.core.errors import ExitCode

SOME_FACES = 100


def _faces(text: str) -> int | None:
    return None if text == "all" else whole(0)(text)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the folder, its kind and how thoroughly to look."""
    parser.add_argument("action", choices=("check",), help="look at all of it")
    parser.add_argument("--root", required=True, metavar="DIR", help="the data set's folder")
    parser.add_argument("--data", metavar="NAME", help="kind of data set (default: told by what is in the folder)")
    parser.add_argument("--split", default="test", help="which split (default: test)")
    parser.add_argument("--quick", action="store_true", help="look at headers only, decode nothing")
    parser.add_argument(
        "--faces", type=_faces, default=SOME_FACES, metavar="N|all",
        help=f"look for a face in so many images, where a detector is here (default: {SOME_FACES}; --quick: 0)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Check a data set's folder; 3 when it cannot be used."""
    from pathlib import Path

    from bench.data.check import guess, inspect
    from bench.plan.detectors import face_detector

    root = Path(options.root)
    name = options.data or guess(root)
    faces = 0 if options.quick and options.faces == SOME_FACES else options.faces
    detector = face_detector() if faces != 0 else None
    report = inspect(name, root, options.split, thorough=not options.quick, detector=detector, faces=faces)
    if options.json:
        print(json.dumps({"data": name, "guessed": not options.data, **vars(report)}, ensure_ascii=False))
    else:
        guessed = [] if options.data else [f"guess: {name}, by what lies there; --data NAME says what it is"]
        print("\n".join([*guessed, *report.lines]))
    return int(ExitCode.MISSING if report.problems else ExitCode.OK)
