"""Images that the command line names: a kind of data set, its folder, or both at once ("folder:photos/")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.domains import find_domain
from bench.core.names import in_any_case
from bench.plan.config import load_config


def data_layer(text: str) -> dict[str, str]:
    """What `--data` says, as keys of the configuration's [data].

    KIND:DIR is both; a kind's name is one where no folder is called so; all else is a folder. Raises UsageError for
    KIND:DIR with a kind that does not exist.
    """
    from bench.data import kind_of, kinds

    before, colon, root = text.partition(":")
    # One letter is a drive of Windows.
    if colon and len(before) > 1 and not Path(text).exists():
        return {"name": kind_of(before.lower()).name, "root": root}
    known = [name for kind in kinds().values() for name in (kind.name, *kind.aliases)]
    if (name := in_any_case(text, known)) in known and not Path(text).exists():
        return {"name": name}
    return {"root": text}


def preset_for(data: Mapping[str, str]) -> str | None:
    """The preset of the released networks, where nothing but images of one's own says what is meant; else None."""
    from bench.data import kind_of

    if not {"name", "root"} <= data.keys():
        return None
    kind = kind_of(data["name"])
    return find_domain(kind.domain).preset or None if kind.own else None


def retitled(preset: str | None, data: Mapping[str, str]) -> dict[str, Any]:
    """Keys that keep a preset of the paper from calling other images the paper's."""
    config = load_config(preset)
    if data.get("name", config.data.name) == config.data.name:
        return {}
    title = f"Images of {Path(data['root']).name or data['root']}" if data.get("root") else f"Images of {data['name']}"
    return {"title": title, "paper_table": 0, "paper_figure": 0}
