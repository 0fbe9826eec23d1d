"""What a manifest names that the suite has not: a run's protocol files, and the plug-ins that it was made with.

Nothing that a file names is executed: a plug-in is loaded where the user names it (`--plugin`), and only said to be
missing where something needs it. Values of one an image are stored; a protocol's file is enough to show them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.domains import find_domain
from bench.core.errors import MissingError, UsageError
from bench.core.modules import loaded_plugins
from metrics.protocol import ProtocolFile, load_protocol

# Of what plug-ins offer; methods and kinds of data leave all that a table says in rows and manifest.
_READ_BY_REPORTS = frozenset({"DOMAINS", "METRICS"})


def recorded_protocol(manifest: Mapping[str, Any], name: str) -> ProtocolFile:
    """A protocol of a run, from its file.

    Raises:
        MissingError: The file is gone, or what it means is a plug-in's; names the file and the option.
    """
    about = manifest["protocols"][name] or {}
    file = about.get("file")
    if file and not Path(file).is_file():
        raise MissingError(f"the run's protocol file {file} is not here", "put it back, or go where the run was made")
    try:
        if "domain" in manifest:
            find_domain(manifest["domain"])
        return load_protocol(file or name, stored=about.get("pair_metrics", ()))
    except UsageError as error:
        here = {own[which] for own in loaded_plugins() for which in ("name", "code")}
        needed = [own for own in manifest.get("plugins", ()) if not _READ_BY_REPORTS.isdisjoint(own["offers"])]
        lacking = [own for own in needed if here.isdisjoint((own["name"], own["code"]))]
        if not lacking:
            raise
        said = ", ".join(f"{own['name']} (code {own['code'][:8]})" for own in lacking)
        options = shlex.join(word for own in lacking for word in ("--plugin", own["name"]))
        what = f"{error.what}; the run was made with plug-ins that are not loaded: {said}"
        raise MissingError(what, f"the same command with {options}") from None


def changed_plugins(manifest: Mapping[str, Any]) -> list[str]:
    """Plug-ins that are loaded, but are not the code that the run was made with."""
    here = {Path(own["name"]).name: own["code"] for own in loaded_plugins()}
    recorded = [(own["name"], own["code"]) for own in manifest.get("plugins", ())]
    return [name for name, code in recorded if here.get(Path(name).name, code) != code]
