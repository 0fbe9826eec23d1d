"""Whose work a run's methods are: licences of the files they were read from, and what to cite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reports.inputs import Facts
from reports.naming import in_reading_order, method_title
from reports.seeds import first_seed

_BIBLIOGRAPHY = Path(__file__).parents[1] / "citations.bib"
# What every method stands on.
_GENERATOR = "stylegan2"


@dataclass(frozen=True)
class Origin:
    """One method.

    Attributes:
        title: Its printed name.
        files: (file name, licence) of each file that it was read from.
        keys: Keys of its entries in `citations.bib`.
    """

    title: str
    files: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]


@cache
def bibliography() -> Mapping[str, str]:
    """Key -> BibTeX entry of `citations.bib`."""
    entries = re.split(r"\n(?=@)", _BIBLIOGRAPHY.read_text(encoding="utf-8"))
    return {match[1]: text.strip() for text in entries if (match := re.match(r"@\w+\{([^,]+),", text.strip()))}


def origins(manifest: Mapping[str, Any], facts: Facts) -> list[Origin]:
    """Every method of a run that has rows or files, in reading order."""
    methods = manifest.get("methods") or {}
    known = {name: about for name, about in methods.items() if isinstance(about, Mapping)}
    domain = str(manifest.get("domain") or "")
    return [
        Origin(method_title(name, facts.titles), _files(known[name], domain), _keys(name, known[name]))
        for name in in_reading_order(known, facts.places)
        if known[name].get("files") is not None
    ]


def cited(found: list[Origin]) -> str:
    """The BibTeX of all of them, each entry once."""
    keys = dict.fromkeys(key for origin in found for key in origin.keys)
    return "\n\n".join(bibliography()[key] for key in keys)


def _files(about: Mapping[str, Any], domain: str) -> tuple[tuple[str, str], ...]:
    return tuple((str(file["name"]), _licence(str(file["name"]), domain)) for file in about["files"])


@cache
def _licence(file: str, domain: str) -> str:
    """What the registry says of a file of that name; a file that it does not know is the user's own."""
    from bench.weights.registry import entries

    own = [item for item in entries().values() if item.file == Path(file).name and item.licence]
    fitting = [item for item in own if item.domain in ("", domain)] or own
    return fitting[0].licence if fitting else "not in the registry: a file of your own"


def _keys(name: str, about: Mapping[str, Any]) -> tuple[str, ...]:
    """Entries of the method, of the base it stands on and of the generator, as far as the bibliography has them."""
    words = [str(about.get("method") or ""), first_seed(name), *name.split("+")]
    words += [word.rpartition("-")[0] for word in list(words)]
    words += [Path(str(file["name"])).stem for file in about["files"]]
    found = dict.fromkeys(word for word in words if word in bibliography())
    return tuple(dict.fromkeys([*found, *([_GENERATOR] if found else [])]))
