"""The registry of weights: every file by name, where it lies on this machine, and what to do when it does not.

Files lie in `home()/weights/<name>/`. Ours come with the package. The facts are in registry.toml.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path

from bench.core.errors import FETCH, MissingError, UsageError, all_missing
from bench.core.files import read_object
from bench.core.metadata import read_metadata
from bench.core.names import known_name
from bench.core.schema import from_table, read_toml

Kind = Literal["checkpoint", "part", "network", "direction"]
Status = Literal["released", "not released", "ours"]
OUR_LICENCE = "Apache-2.0 (ours)"
OURS = Path(__file__).parents[1] / "world" / "weights"


@dataclass(frozen=True)
class Entry:
    """One file of the registry.

    Attributes:
        name: Registry name ("e4e-faces", "vgg16-imagenet", "smile.pt").
        kind: "checkpoint" of a method, "part" that a checkpoint needs, auxiliary "network", edit "direction".
        file: The owner's file name; "" when nothing is released.
        status: "released", "not released", or "ours" (comes with the package).
        method, domain: For checkpoints and parts.
        container: How the tensors lie in the file, in words.
        bytes: About how large it is; 0 when unknown.
        sha256, sha256_start: Digest, or its first digits, when known before the first fetch.
        seen: Digests of copies that are known to be right; other copies are not refused.
        values: Digest of the tensor values (`adopt.value_digest`), equal in copies whose bytes differ.
        licence, source, note: For people.
        drive, urls: Google Drive id, and addresses in order of preference.
        needs: Other entries a method needs beside this one.
        training: For what is not released: the words after "python -m methods.training" that train it.
        members: Files of an archive and their digests ("" when unknown); a folder of them serves as well.
        tensors, absent, encoder_type: Tensor names with shapes ([]: any), prefixes that must not occur, and the
            authors' option that tells networks of equal tensors apart. They recognise the file by its content.
    """

    name: str
    kind: Kind
    file: str
    status: Status
    method: str = ""
    domain: str = ""
    container: str = ""
    bytes: int = 0
    sha256: str = ""
    sha256_start: str = ""
    seen: tuple[str, ...] = ()
    values: str = ""
    licence: str = ""
    source: str = ""
    note: str = ""
    drive: str = ""
    urls: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    training: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    encoder_type: str = ""

    @property
    def fetchable(self) -> bool:
        """Is there an address to fetch it from?"""
        return bool(self.drive or self.urls)


def home() -> Path:
    """Where fetched files lie: WARPRES_BENCH_HOME, else `warpres-bench` in the user's cache directory."""
    chosen = os.environ.get("WARPRES_BENCH_HOME")
    return Path(chosen).expanduser() if chosen else user_cache_path("warpres-bench", appauthor=False)


def entries() -> dict[str, Entry]:
    """All entries by name: the registry file's, then the weights that come with the package."""
    return {**_registered(), **_ours()}


def entry(name: str) -> Entry:
    """The entry called `name`, in any case. Raises UsageError with close names."""
    known = entries()
    return known[known_name("weights", name, known)]


def short_name(method: str) -> str:
    """The name that a residual method on e4e has without its base: "e4e+warpres" is "warpres" by its long name."""
    return method.removeprefix("e4e+")


def checkpoint_entries(method: str, domain: str) -> list[Entry]:
    """Everything a method needs in a domain, its own checkpoint first; "psp+styleres" needs the base encoder's as well.

    [] for a method the registry does not know: a plug-in, or a combination that nobody trained in this domain.
    """
    method = short_name(method)
    own = [
        item
        for item in _registered().values()
        if (item.kind, item.method, item.domain) == ("checkpoint", method, domain)
    ]
    base = method.partition("+")[0]
    wanted = [item.name for item in own] + ([f"{base}-{domain}"] if own and base != method else [])
    found: dict[str, Entry] = {}
    while wanted:
        item = entry(wanted.pop(0))
        if item.name not in found:
            found[item.name] = item
            wanted += item.needs
    return list(found.values())


def folder_of(item: Entry) -> Path:
    """The folder of an entry's file in `home()`."""
    return home() / "weights" / item.name


def find(item: Entry) -> Path | None:
    """The entry's file (or the folder of its members) on this machine, or None."""
    if item.status == "ours":
        return OURS / item.file
    folder = folder_of(item)
    if item.file and (folder / item.file).is_file():
        return folder / item.file
    if item.members and all((folder / member).is_file() for member in item.members):
        return folder
    return None


def locate(name: str) -> Path:
    """The file called `name` on this machine.

    Raises UsageError for an unknown name, MissingError with the command that gets it, or why nothing can.
    """
    item = entry(name)
    path = find(item)
    if path is None:
        raise missing(item)
    pin = read_pins().get(name)
    if pin and path.is_file() and path.stat().st_size != pin["size"]:
        fault = f"{path} has {path.stat().st_size} bytes, it had {pin['size']} when it was fetched"
        raise MissingError(fault, f"{FETCH} {name}", (name,))
    return path


def missing(item: Entry) -> MissingError:
    """The error for an entry whose file is not here: the command that gets it, or that nobody has released it."""
    if item.status == "not released":
        own = f"give your own with --checkpoint {item.method}=FILE"
        if item.training:
            made = f"then add --checkpoint {item.method}={_result_of(item)}"
            own = f"python -m methods.training {item.training}; {made}"
        return MissingError(f"{item.name} is not released: {item.note}", own)
    file = item.file if item.file != item.name else ""
    if not item.fetchable:
        by_hand = f"get it by hand ({item.source}), then: {FETCH} --from FOLDER"
        return MissingError(f"{item.name} is not here{_about(file)}: {item.note}", by_hand, (item.name,))
    size = f"about {human_bytes(item.bytes)}" if item.bytes else ""
    return MissingError(f"{item.name} is not here{_about(file, size)}", f"{FETCH} {item.name}", (item.name,))


def _about(*facts: str) -> str:
    """ " (smile.pt, about 3 kB)" of those that say something."""
    return f" ({', '.join(said)})" if (said := [fact for fact in facts if fact]) else ""


def _result_of(item: Entry) -> str:
    """Where the training of an entry writes its result."""
    recipe, *words = item.training.split()
    runs = words[words.index("--out") + 1] if "--out" in words else "training-runs"
    return f"{runs}/{recipe}/{recipe.rpartition('/')[2]}.safetensors"


def all_paths(items: Iterable[Entry]) -> list[Path]:
    """The files of entries. Raises MissingError naming all that are not here."""
    paths, absent = [], []
    for item in items:
        try:
            paths.append(locate(item.name))
        except MissingError as error:
            absent.append(error)
    if absent:
        raise all_missing(absent)
    return paths


def read_pins() -> dict[str, dict[str, Any]]:
    """Digest and size of every file at its first fetch: name -> {"sha256", "size"}."""
    path = home() / "pins.json"
    if not path.exists():
        return {}
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"{path} cannot be read ({error})", "remove it; files are pinned again at the next fetch"
        ) from error


def human_bytes(count: int) -> str:
    """ "1.2 GB", "43 MB", "3 kB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if unit == "GB" else f"{count / size:.0f} {unit}"
    return f"{count} bytes"


def rows() -> list[dict[str, str]]:
    """The answer of `weights ls`: one dictionary of text an entry; "here" is a path or ""."""
    pins = read_pins()
    return [
        {
            "name": item.name,
            "kind": item.kind,
            "method": item.method,
            "domain": item.domain,
            "status": item.status,
            "size": human_bytes(item.bytes) if item.bytes else "",
            "here": str(find(item) or ""),
            "sha256": item.sha256 or str(pins.get(item.name, {}).get("sha256", "")) or "unknown until first fetched",
            "licence": item.licence,
            "source": item.source,
            "note": item.note,
        }
        for item in entries().values()
    ]


@cache
def _registered() -> Mapping[str, Entry]:
    table = read_toml(Path(__file__).with_name("registry.toml"))
    found: dict[str, Entry] = {}
    for raw in table["entry"]:
        item = from_table(Entry, raw, f"registry.toml: {raw.get('name')}")
        if item.name in found:
            raise UsageError(f"registry.toml: {item.name} is there twice")
        found[item.name] = item
    return found


def _ours() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path in sorted(OURS.glob("*.safetensors")):
        facts = _facts(path)
        name = f"synthetic/{path.stem}"
        found[name] = Entry(
            name,
            "checkpoint" if facts.get("method") else "network",
            path.name,
            "ours",
            method=str(facts.get("method", "")),
            domain=str(facts.get("domain", "")),
            container="safetensors with the configuration in its metadata",
            bytes=path.stat().st_size,
            licence=OUR_LICENCE,
            source="comes with the package",
        )
    return found


def _facts(path: Path) -> dict[str, Any]:
    """Metadata of one of our files; {} for a damaged one, which its reader names."""
    try:
        return read_metadata(path)
    except MissingError:
        return {}
