"""Write the synthetic world to disk in the layout of CelebA-HQ, for other
programs and for the reader of that data set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.core.arguments import whole
from bench.core.files import explain_write_errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the folder, the split and how many."""
    parser.add_argument("action", choices=("export",), help="write images and attributes")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder to write")
    parser.add_argument("--split", default="test", help="train, val or test")
    parser.add_argument("--limit", type=whole(1), metavar="N", help="only the first N images")


def run(options: argparse.Namespace) -> int:
    """Write the synthetic world as files."""
    from bench.world.export import export

    with explain_write_errors(options.folder):
        export(options.folder, split=options.split, limit=options.limit)
    print(options.folder)
    return 0
