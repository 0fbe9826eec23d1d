"""How to make a run again, and how to see that it is the same: commands, versions and digests."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def commands(manifest: Mapping[str, Any]) -> str:
    """Shell lines that make the run again, beside the one that is here."""
    command = manifest.get("command")
    if not command:
        return ""
    typed = command if isinstance(command, str) else shlex.join(map(str, command))
    version = (manifest.get("versions") or {}).get("warpres-bench")
    run = shlex.quote(str(manifest.get("run") or "RUN"))
    first = [f"# warpres-bench {version}; Python, torch and the machine as listed below"] if version else []
    again = [
        typed,
        "# hold the new run against this one: exit 0 where nothing is worse",
        f"python run_bench.py gate FOLDER_OF_THIS_PAGE runs/{run}",
    ]
    return "\n".join([*first, *again])


def digests(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, name, SHA-256) of protocols, methods and their files: where these agree, the numbers are of one kind."""
    found = [
        ("Protocol", str(name), str(about["digest"]))
        for name, about in (manifest.get("protocols") or {}).items()
        if isinstance(about, Mapping) and about.get("digest")
    ]
    files: dict[str, str] = {}
    for name, about in (manifest.get("methods") or {}).items():
        if not isinstance(about, Mapping):
            continue
        if about.get("digest"):
            found.append(("Method", str(name), str(about["digest"])))
        for file in about.get("files") or ():
            files[str(file["name"])] = str(file["sha256"])
    return [*found, *(("File", name, digest) for name, digest in files.items())]


def facts_of_record(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The run's main facts as rows of a small table."""
    rows = [
        ("Preset", manifest.get("preset")),
        ("Images", _words(manifest.get("data") or {})),
        ("Seed", manifest.get("seed")),
        ("Machine", _words(manifest.get("machine") or manifest.get("device") or {})),
        ("Protocols", ", ".join(manifest.get("protocols") or ())),
        ("Versions", _words(manifest.get("versions") or {})),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "", {})]


def _words(values: object) -> str:
    if not isinstance(values, Mapping):
        return str(values)
    return ", ".join(f"{key} {value}" for key, value in values.items() if isinstance(value, str | int | float))
