"""Protocols: every choice behind a number, in one file, with a name that the number carries (`fid@paper-1`).

A protocol file says how images are kept before anything looks at them, which columns there are and what each is made
of, what happens to an image without a value, and how intervals are drawn. `metrics/protocols/*.toml` are ours and
explain every column; a path to a file of the same form works as well. A protocol that has been used is never edited: a
change is a new name. One that says `extends = "synthetic-1"` has all of that protocol's keys and columns, and its own
over them. Source: protocol card, sections 0-3 and 7.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.core.arguments import LARGEST_SEED
from bench.core.contract import Domain
from bench.core.domains import domains, find_domain
from bench.core.errors import UsageError, unknown_name
from bench.core.evaluator import ABOUT, InputSource
from bench.core.schema import Bounds, from_table, read_toml

from .columns import PairKind, SetKind, known_kinds

FOLDER = Path(__file__).parent / "protocols"
# Kinds of column that mean nothing where a domain has no identity.
_IDENTITY = ("identity", "world_identity")
# Of a kept image, in pixels.
Side = Annotated[int, Bounds(1, 1 << 14)]


@dataclass(frozen=True)
class ImageRules:
    """How an image is kept, `[pictures]` of the file; both sides of every comparison go through this.

    Attributes:
        input: What a method is fed: "stored" (the image as kept here) or "original" (as the data set has it).
        resize: From full size to the kept size: "pil_bicubic" (antialiased), "tensor_bilinear" (not antialiased: the
            mean of the central pixels) or "nearest". Same size in and out changes nothing.
        sizes: Domain -> kept size, (height, width), under the domains' names in the file; a domain without one is kept
            as wide as the first, in its own aspect.
        storage: "jpeg" (PIL's baseline encoder, 4:2:0) or "memory" (lossless).
        jpeg_quality: Only with "jpeg"; 75 is PIL's default.
        uint8: Generated float to byte: "truncate" (v * 255 cut off) or "round" (to nearest).
    """

    input: InputSource
    resize: Literal["pil_bicubic", "tensor_bilinear", "nearest"]
    sizes: Mapping[Domain, tuple[Side, Side]]
    storage: Literal["jpeg", "memory"]
    uint8: Literal["truncate", "round"]
    jpeg_quality: Annotated[int, Bounds(1, 100)] = 75

    def size(self, domain: Domain) -> tuple[int, int]:
        """(height, width) images of `domain` are kept at."""
        return self.sizes.get(domain) or find_domain(domain).size(next(iter(self.sizes.values()))[1])


@dataclass(frozen=True)
class Failures:
    """What an image without a value does to the mean, `[failures]` of the file.

    Attributes:
        rule: "skip" leaves it out; "zero" counts it as 0 in columns where more is better (0 is what two unrelated
            images get) and leaves it out of distances, which have no worst value. The count of such images is in
            every cell.
    """

    rule: Literal["skip", "zero"]


@dataclass(frozen=True)
class Bootstrap:
    """Which images count and how intervals are drawn, `[numbers]` of the file.

    Attributes:
        images: "all": every image of the pass, an incomplete last batch too.
        smallest_set: Fewest images on either side for a set metric; below it the cell has no value.
        smallest_unpaired_set: The same where the two sides show different people (smile: those who do not smile,
            edited, against those who do): what the people bring then swamps what a method does.
        smallest_marked: Fewest images from which one method is called better than another: resampling fewer knows too
            little of the tails.
        confidence: Of the intervals.
        resamples: Bootstrap resamples of the images.
        seed: Of the resampling.
    """

    pictures: Literal["all"] = "all"
    smallest_set: Annotated[int, Bounds(2)] = 2
    smallest_unpaired_set: Annotated[int, Bounds(2)] = 2
    smallest_marked: Annotated[int, Bounds(2)] = 30
    confidence: Annotated[float, Bounds(above=0, below=1)] = 0.95
    resamples: Annotated[int, Bounds(1, 10**6)] = 2000
    seed: Annotated[int, Bounds(0, LARGEST_SEED)] = 2020


@dataclass(frozen=True)
class Column:
    """One column of a protocol.

    Attributes:
        metric: Name before the "@".
        title: Heading in tables.
        better: Which way is better.
        what: What the number means, in a sentence or two.
        kind: Name of the kind that makes it.
        domains: Where it applies; () for everywhere.
        options: The kind's own options; None where it is not known here, see `load_protocol`.
    """

    metric: str
    title: str
    better: Literal["lower", "higher"]
    what: str
    kind: str
    domains: tuple[str, ...]
    options: Any

    @property
    def is_set(self) -> bool:
        """Whether it has one value a set (FID) and not one an image (LPIPS)."""
        return isinstance(self.options, SetKind)


@dataclass(frozen=True)
class _Head:
    """The keys of a `[[columns]]` table that every kind has; `stem` is the metric's name."""

    stem: str
    title: str
    better: Literal["lower", "higher"]
    what: str
    kind: str
    domains: tuple[Domain, ...] = ()


@dataclass(frozen=True)
class ProtocolFile:
    """A protocol, read and checked.

    Attributes:
        name: Equals the file's name without ".toml".
        title: One line.
        images, failures, numbers: The tables of the file.
        columns: In table order, those of all domains.
        digest: Hex SHA-256 of the file's meaning: comments, line ends, `title` and `what` do not count.
    """

    name: str
    title: str
    images: ImageRules
    failures: Failures
    numbers: Bootstrap
    columns: tuple[Column, ...]
    digest: str

    def of(self, domain: Domain) -> tuple[Column, ...]:
        """The columns that apply to `domain`."""
        identity = find_domain(domain).identity
        own = (column for column in self.columns if not column.domains or domain in column.domains)
        return tuple(column for column in own if identity or column.kind not in _IDENTITY)

    def column(self, metric: str) -> Column:
        """The column called `metric`. Raises UsageError with close names."""
        for column in self.columns:
            if column.metric == metric:
                return column
        raise unknown_name(f"column of {self.name}", metric, [column.metric for column in self.columns])


def protocol_names() -> list[str]:
    """Names of the protocols that come with the suite, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_protocol(name: str | Path, stored: Collection[str] = ()) -> ProtocolFile:
    """Read a protocol by name ("paper-1") or from a path ending in ".toml".

    Args:
        stored: Metrics of one value an image that is stored: their columns may be of kinds that are not known here (a
            plug-in's), since nobody measures them.

    Raises:
        UsageError: Unknown name, unknown or missing key, wrong value, or a file that is not TOML; names file and key.
    """
    path = _file_of(str(name), Path())
    return _parse(_content(path), path, stored)


def _file_of(name: str, folder: Path) -> Path:
    """The file of a protocol's name, or of a path, which may be relative to `folder`."""
    path = folder / name if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise unknown_name("protocol", name, protocol_names())
    return path


def _content(path: Path, *extended: Path) -> dict[str, Any]:
    """A file's content over that of the protocol it extends: its keys win, columns are added or replaced by name."""
    own = read_toml(path)
    base = own.pop("extends", None)
    if base is None:
        return own
    if path in extended:
        raise UsageError(f"{path.name} extends itself", "name another protocol")
    if not isinstance(base, str):
        raise UsageError(f"{path.name}: extends is {base!r}, but must be text", 'extends = "synthetic-1"')
    content = _content(_file_of(base, path.parent), path, *extended)
    for key, value in own.items():
        if key == "columns" and isinstance(value, list):
            content[key] = _over(content.get(key, []), value)
        elif isinstance(value, dict) and isinstance(content.get(key), dict):
            content[key] = {**content[key], **value}
        else:
            content[key] = value
    return content


def _over(columns: list[Any], own: list[Any]) -> list[Any]:
    """Columns with `own` in the place of those of the same name, the others behind them."""
    named = {table.get("stem"): table for table in columns if isinstance(table, dict)}
    return list((named | {table.get("stem"): table for table in own if isinstance(table, dict)}).values())


def _parse(content: Mapping[str, Any], path: Path, stored: Collection[str]) -> ProtocolFile:
    known = ["name", "title", "pictures", "failures", "numbers", "columns"]
    for key in content:
        if key not in known:
            raise unknown_name(f"key in {path.name}", key, known)
    for key in ("name", "title", "pictures", "failures", "columns"):
        if key not in content:
            raise UsageError(f"{path.name} lacks {key!r}")
    if content["name"] != path.stem:
        raise UsageError(f"{path.name} calls itself {content['name']!r}", "a protocol's name is its file's name")
    columns = tuple(_column(table, path.name, stored) for table in content["columns"])
    _check_columns(columns, path.name)
    return ProtocolFile(
        name=content["name"],
        title=content["title"],
        images=_image_rules(content["pictures"], path.name),
        failures=from_table(Failures, content["failures"], f"[failures] of {path.name}"),
        numbers=from_table(Bootstrap, content.get("numbers", {}), f"[numbers] of {path.name}"),
        columns=columns,
        digest=_digest(content),
    )


def _image_rules(table: Mapping[str, Any], file: str) -> ImageRules:
    sizes = {key: value for key, value in table.items() if key in domains()}
    if not sizes:
        raise UsageError(
            f"[pictures] of {file} lacks a size", f"give one, (height, width), for {' or '.join(domains())}"
        )
    rest = {key: value for key, value in table.items() if key not in sizes}
    return from_table(ImageRules, {**rest, "sizes": sizes}, f"[pictures] of {file}")


def _column(table: Mapping[str, Any], file: str, stored: Collection[str]) -> Column:
    where = f"column {table.get('stem', '?')!r} of {file}"
    common = {field.name for field in fields(_Head)}
    kinds = known_kinds()
    if "kind" not in table:
        raise UsageError(f"{where} lacks the key 'kind'", f"known: {', '.join(sorted(kinds))}")
    foreign = table["kind"] not in kinds
    if foreign and table.get("stem") not in stored:
        unknown = unknown_name(f"kind in {where}", str(table["kind"]), sorted(kinds))
        raise UsageError(unknown.what, f"{unknown.next_step}; a plug-in's comes by --plugin FILE")
    own = set(table) - common if foreign else {field.name for field in fields(kinds[table["kind"]])}
    for key in table:
        if key not in common | own:
            raise unknown_name(f"key in {where}", key, sorted(common | own))
    head = from_table(_Head, {key: value for key, value in table.items() if key in common}, where)
    options: Any = None
    try:
        if not foreign:
            options = from_table(kinds[head.kind], {key: value for key, value in table.items() if key in own}, where)
    except UsageError as error:
        # A kind knows which of its options do not go together, but not where they stand.
        raise error if file in error.what else UsageError(f"{where}: {error.what}", error.next_step) from None
    return Column(head.stem, head.title, head.better, head.what, head.kind, head.domains, options)


def _check_columns(columns: tuple[Column, ...], file: str) -> None:
    metrics = [column.metric for column in columns]
    for metric in metrics:
        if metrics.count(metric) > 1:
            raise UsageError(f"{file} has two columns called {metric!r}")
        if not metric.isidentifier():
            raise UsageError(f"{file}: {metric!r} cannot be a column's name", "letters, digits and _ only")
        if metric in ABOUT:
            raise UsageError(f"{file}: {metric!r} cannot be a column's name", "every result says something else by it")
    for name in (name for column in columns for name in column.domains if name not in domains()):
        raise unknown_name(f"domain in {file}", name, list(domains()))
    sources = {column.metric for column in columns if column.is_set and column.options.shares() is None}
    for column in columns:
        if column.is_set and column.options.shares() not in sources | {None}:
            raise unknown_name(f"features for {column.metric!r} in {file}:", column.options.shares(), sorted(sources))


def _digest(content: Mapping[str, Any]) -> str:
    meaning = {key: value for key, value in content.items() if key != "title"}
    meaning["columns"] = [
        {key: value for key, value in table.items() if key not in ("title", "what")} for table in content["columns"]
    ]
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


__all__ = [
    "Bootstrap",
    "Column",
    "Failures",
    "ImageRules",
    "PairKind",
    "ProtocolFile",
    "SetKind",
    "load_protocol",
    "protocol_names",
]
