"""Run methods over images and edits, measure them, write tables, plots and a page.

A run is found again by what was asked: the same command carries on where it
stopped, and computes nothing that is there already.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cli.parser import LIST
from bench.cli.plugin_option import add_plugin
from bench.cli.printing import COLUMNS
from bench.core.errors import UsageError, unknown_name
from bench.core.names import in_any_case
from bench.plan.config import Config, load_config, preset_names
from bench.plan.names import spelled_out, stands_for_several
from bench.plan.own_data import data_layer, preset_for, retitled

# In the name of one file; more are no path's.
_MOST_COMMAS = 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: what to run, on what, how, and where results go."""
    what = parser.add_argument_group("what to run")
    what.add_argument("--preset", help=f"where to start from: {', '.join(preset_names())}")
    what.add_argument("--config", type=Path, metavar="FILE", help="a run, or part of one, as a TOML file")
    what.add_argument("--methods", metavar=LIST, help="methods (ls methods), patterns (*+warpres), all, or ready")
    what.add_argument("--edits", metavar=LIST, help="edits (ls edits), patterns, all, ready, or none")
    what.add_argument("--protocols", metavar=LIST, help="how it is measured (ls protocols)")
    what.add_argument(
        "--data", metavar="DIR|KIND:DIR", help="folder of the data set; images of your own: folder:DIR (ls data)"
    )
    what.add_argument("--align", action="store_true", help="crop photographs of faces as FFHQ does (pip extra: align)")
    what.add_argument("--face", type=int, metavar="N", help="align this face of each, the largest is 1")
    what.add_argument("--split", help="split of the data set")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    what.add_argument(
        "--checkpoint", action="append", default=[], metavar="NAME=FILE",
        help="checkpoint of a method (again for each file)",
    )  # fmt: skip
    what.add_argument("--strength", action="append", default=[], metavar="EDIT=S", help="strength of an edit")
    what.add_argument("--mode", help="strengths: fixed, sweep, or matched (equal achieved change)")
    what.add_argument("--directions", metavar="DIR", help="folder of the edits' direction files")
    what.add_argument("--card", action="append", default=[], metavar="FILE", help="a further edit card (edits fit)")
    add_plugin(what)
    how = parser.add_argument_group("how to run")
    how.add_argument("--output", metavar="DIR", help="where runs lie (default: runs)")
    how.add_argument("--name", help="name of the run (default: made of what is asked)")
    how.add_argument("--seed", type=int, help="seed of everything random")
    how.add_argument("--device", help="auto, cpu, cuda or mps")
    how.add_argument("--batch", type=int, metavar="N", help="images held at a time; numbers do not depend on it")
    how.add_argument("--steps", type=int, metavar="N", help="steps an image of methods that optimise (pti)")
    how.add_argument("--backend", metavar="NAME", help="who runs the parts: local, dask or slurm")
    how.add_argument("--parts", type=int, metavar="N", help="parts for dask or slurm")
    how.add_argument("--scheduler", metavar="ADDRESS", help="dask's scheduler (default: a cluster of this machine's)")
    how.add_argument("--part", metavar="K/N", help="this part of N, or all, whatever torchrun or an array says")
    again = how.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="carry on where the run stopped (the default)")
    again.add_argument("--fresh", action="store_true", help="forget the run's results and start again")
    how.add_argument("--dry-run", action="store_true", help="print the plan and what is missing, run nothing")
    how.add_argument("--print-config", action="store_true", help="print all of this as TOML for --config, run nothing")
    how.add_argument("--profile", action="store_true", help="say where the time went")
    how.add_argument("--columns", choices=COLUMNS, default="few", help="columns of the table here: few telling, or all")
    how.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Run methods over images and edits, and report; 4 when cells failed or are unfinished."""
    config = configuration(options)
    if options.print_config:
        from bench.plan.config_text import config_text

        print(config_text(config), end="")
        return 0
    from bench.cli import running

    return running.run(config, options)


def configuration(options: argparse.Namespace) -> Config:
    """The configuration of a command line."""
    layer: dict[str, Any] = {"data": {}, "edits": {}, "run": {}}
    _put(layer, "methods", names(options.methods, "--methods"))
    if "methods" in layer and not any(map(stands_for_several, layer["methods"])):
        layer["order"] = "asked"
    _put(layer, "protocols", names(options.protocols, "--protocols"))
    _put(layer["edits"], "names", names(options.edits, "--edits", empty=True))
    _put(layer["edits"], "files", options.directions)
    _put(layer["edits"], "mode", options.mode)
    _put(layer["edits"], "strengths", _strengths(options.strength))
    _put(layer["edits"], "cards", options.card or None)
    for key in ("split", "limit"):
        _put(layer["data"], key, getattr(options, key))
    _put(layer["data"], "align", options.align or None)
    _put(layer["data"], "face", options.face)
    for key in ("output", "name", "seed", "device", "batch", "steps", "backend", "parts", "scheduler"):
        _put(layer["run"], key, getattr(options, key))
    _put(layer, "checkpoints", checkpoints(options.checkpoint))
    _put(layer, "plugins", options.plugin or None)
    preset = options.preset
    if options.data is not None:
        layer["data"] |= (given := data_layer(options.data))
        if options.config is None:
            preset = preset or preset_for(given)
            layer |= retitled(preset, given)
    config = spelled_out(load_config(preset, options.config, layer))
    _check_strengths(layer["edits"].get("strengths", {}), config.edits.names)
    return config


def _check_strengths(given: Mapping[str, object], edits: Sequence[str]) -> None:
    """Raise UsageError for the strength of an edit that the run does not have."""
    run = sorted({name[:-1] if name[-1:] in "+-" else name for name in edits})
    for name in given:
        if in_any_case(name, run) not in run:
            error = unknown_name("edit of --strength", name, run)
            raise UsageError(error.what, f"{error.next_step or 'the run has no edits'}; --edits names those of the run")


def _put(layer: dict[str, Any], key: str, value: object) -> None:
    if value is not None:
        layer[key] = value


def names(text: str | None, option: str, *, empty: bool = False) -> list[str] | None:
    """Names separated by commas; "none" or nothing means no edits at all."""
    if text is None:
        return None
    names = [name for part in split_paths(text) if (name := part.strip())]
    if [name.casefold() for name in names] == ["none"] and empty:
        return []
    if not names and not empty:
        raise UsageError(f"{option} names nothing", f"{option} a,b")
    return names


def _pairs(items: list[str], example: str) -> list[tuple[str, str]]:
    """(NAME, VALUE) of NAME=VALUE; `example` is what is right, "--strength smile=3"."""
    option = example.split()[0]
    for item in items:
        if "=" not in item or item.startswith("=") or item.endswith("="):
            raise UsageError(f"{option} {item!r} is not NAME=VALUE", example)
    return [(name, value) for name, _, value in (item.partition("=") for item in items)]


def checkpoints(items: list[str]) -> dict[str, list[str]] | None:
    """Method -> its files, of --checkpoint NAME=FILE (several by commas); None where none is given."""
    files: dict[str, list[str]] = {}
    for name, value in _pairs(items, "--checkpoint warpres=FILE"):
        files.setdefault(name, []).extend(split_paths(value))
    return files or None


def split_paths(text: str) -> list[str]:
    """Names separated by commas; a comma within the path of a file that is there belongs to it."""
    parts, found = text.split(","), list[str]()
    while parts:
        # The longest path that exists; else the first part is a name of its own.
        most = min(len(parts), _MOST_COMMAS)
        sizes = [size for size in range(most, 1, -1) if _is_file(",".join(parts[:size]))]
        size = sizes[0] if sizes else 1
        found.append(",".join(parts[:size]))
        parts = parts[size:]
    return found


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # longer than any path
        return False


def _strengths(items: list[str]) -> dict[str, list[float]] | None:
    strengths: dict[str, list[float]] = {}
    for name, value in _pairs(items, "--strength smile=3"):
        if name in strengths:
            raise UsageError(f"--strength {name} is given twice", f"several by commas: --strength {name}=-3,3")
        try:
            strengths[name] = [float(part) for part in value.split(",")]
        except ValueError:
            raise UsageError(f"--strength {name}={value}: not a number", "--strength smile=3") from None
    return strengths or None
