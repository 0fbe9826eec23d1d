"""Conformance tests of a method, a plug-in's too: the contract, determinism,
independence of the batch, and that inverting once equals recomputing.
"""

from __future__ import annotations

import argparse
import json

from bench.cli.plugin_option import add_plugin
from bench.cli.printing import show
from bench.core.device import choose_device
from bench.core.errors import ExitCode


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: METHOD, its checkpoint, domain and plug-ins."""
    parser.add_argument("method", metavar="METHOD", help="its name (ls methods)")
    parser.add_argument("--domain", metavar="NAME", default="faces", help="faces (the default) or cars")
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE", help="its files (default: the registry's)"
    )
    parser.add_argument("--preset", help="whose checkpoint to take where none is given (default: synthetic)")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or mps")
    add_plugin(parser)
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the conformance checks on a method; 0 when all hold, 4 when one does not."""
    from bench.plan.checkpoints import load_one
    from bench.plan.plugins import load_plugins
    from methods.conformance import check

    device = choose_device(options.device)
    load_plugins(options.plugin)
    findings = check(load_one(options.method, options.domain, options.checkpoint, options.preset, device))
    if options.json:
        print(json.dumps([vars(finding) for finding in findings], ensure_ascii=False))
    else:
        rows = [{**vars(finding), "result": "ok" if finding.ok else "FAILED"} for finding in findings]
        show(rows, ("check", "result", "detail"))
    return int(ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.FAILED_CELLS)
