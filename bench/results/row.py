"""A result: what it is about (its key), what was measured, and the line it is on disk."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import itemgetter
from typing import Any, TypeVar

IDENTITY = (
    "picture", "picture_digest", "method", "method_digest", "pass", "edit_digest", "strength", "protocol",
    "protocol_digest",
)  # fmt: skip
# Names on disk that are not the fields' own.
FIELDS = {"picture": "image", "picture_digest": "image_digest", "pass": "pass_name"}

# The real images' own rows, compared with themselves; the references of set metrics come from them. Where a protocol
# stores JPEG, the same images before it are compared with those after it.
REAL, REAL_JPEG = "real", "real-jpeg"
ORIGINAL = "original"
# Where the true edit is known: it, as if a method had made it. The input as it is under an edit is a row of REAL.
TRUTH = "truth"
# Their stand-in for a method's digest. What such a row holds is decided by the code in its protocol's digest.
REAL_DIGESTS: Mapping[str, str] = {REAL: "real 2", REAL_JPEG: "real-jpeg 1", TRUTH: "truth 1"}
# Why a row failed that no second try can change: the image's own bytes are no image.
INPUT = "input: "

# A line is {"sum": "<16 hex digits of BLAKE2b over the rest>", ...}: it is checked before it is read as JSON.
HEAD, AFTER = b'{"sum": "', b'", '
_SUM = 16
_SUM_END = len(HEAD) + _SUM
_START = _SUM_END + len(AFTER)


N = TypeVar("N", int, float)


class Compact(Mapping[str, N]):
    """A small read-only mapping to numbers: one array, and names shared by all rows of a kind.

    A run of 250,000 rows stays below 300 MB by it.
    """

    __slots__ = ("_names", "_numbers")
    _known: dict[tuple[str, ...], tuple[str, ...]] = {}  # noqa: RUF012

    def __init__(self, names: Iterable[str], numbers: Iterable[N], kind: str) -> None:
        own = tuple(names)
        self._names = self._known.setdefault(own, own)
        self._numbers: Sequence[N] = array(kind, numbers)

    def __getitem__(self, name: str) -> N:
        try:
            return self._numbers[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


_NOTHING: Mapping[str, Any] = Compact((), (), "d")


@dataclass(frozen=True, slots=True)
class Row:
    """One image of one pass of one method under one protocol.

    Attributes:
        image, image_digest, method, method_digest, pass_name, edit_digest, strength, protocol, protocol_digest:
            What the row is about; `key` is their SHA-256. `pass_name` is written "pass" on disk.
        status: "ok" or "failed"; `reason` says why.
        values: Pair metrics, truth columns: metric -> float, never NaN.
        failures: Metric -> why this value is absent.
        features: Metric -> index of the record in the shard's feature file of that metric and protocol.
        sums: Metric -> CRC-32 of that record.
        shard: Name of the shard the row lies in; not part of the row on disk.
    """

    image: str
    image_digest: str
    method: str
    method_digest: str
    pass_name: str
    edit_digest: str
    strength: float
    protocol: str
    protocol_digest: str
    status: str = "ok"
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict, compare=False)
    shard: str = ""
    _key: str = field(default="", init=False, repr=False, compare=False)

    @property
    def key(self) -> str:
        """SHA-256 of what the row is about; made once."""
        if not self._key:
            object.__setattr__(
                self, "_key", row_key(**{name: getattr(self, FIELDS.get(name, name)) for name in IDENTITY})
            )
        return self._key

    @property
    def final(self) -> bool:
        """Whether another try could not say anything else: it is measured, or its image's own bytes are no image."""
        return self.status == "ok" or (self.reason or "").startswith(INPUT)

    def to_json(self) -> str:
        """The line on disk, without its newline; the same row always gives the same bytes."""
        about = {name: getattr(self, FIELDS.get(name, name)) for name in IDENTITY}
        features = {metric: [index, self.sums.get(metric, 0)] for metric, index in self.features.items()}
        record = {"key": self.key, **about, "status": self.status, "reason": self.reason}
        record |= {"values": dict(self.values), "failures": dict(self.failures), "features": features}
        body = json.dumps(record, ensure_ascii=False, allow_nan=False)[1:]
        return f"{HEAD.decode()}{_sum(body.encode())}{AFTER.decode()}{body}"


def row_key(**identity: str | float) -> str:
    """SHA-256 of the nine identity fields: the same result has the same key on every machine."""
    if set(identity) != set(IDENTITY):
        raise ValueError(f"a key needs exactly {IDENTITY}")
    ordered = [float(identity[name]) if name == "strength" else identity[name] for name in IDENTITY]
    return hashlib.sha256(json.dumps(ordered, ensure_ascii=False).encode()).hexdigest()


def parse(line: bytes, shard: str, texts: Texts) -> Row | None:
    """The row of a line without its newline; None where the line is not what was written.

    `texts` keeps one copy of what many rows share.
    """
    if not line.startswith(HEAD) or line[_SUM_END:_START] != AFTER:
        return None
    body = line[_START:]
    if _sum(body).encode() != line[len(HEAD) : _SUM_END]:
        return None
    try:
        text = "{" + body.decode()
        record, end = _read(text)
        return _row(record, shard, texts) if end == len(text) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


# What many rows share, each once: names, and what rows of one block have in common.
Texts = dict[Any, Any]
# As `json.loads`, without its looks at the encoding and at white space, of which our lines have none.
_read = json.JSONDecoder().raw_decode
_names_of = itemgetter("picture", "picture_digest", "key")
_block_of = itemgetter("method", "method_digest", "pass", "edit_digest", "protocol", "protocol_digest", "status")
_rest_of = itemgetter("strength", "reason", "values", "failures", "features")


def _row(record: dict[str, Any], shard: str, texts: Texts) -> Row:
    # 250,000 of these are read in a few seconds: types are looked at a set at a time.
    image, image_digest, key = names = _names_of(record)
    block = _block_of(record)
    strength, reason, values, failures, features = _rest_of(record)
    if {*map(type, names), *map(type, block)} != _TEXT or len(key) != 64:
        raise TypeError("a name that is no text")
    if type(strength) not in _NUMBERS or not (reason is None or type(reason) is str):
        raise TypeError("a strength that is no number, or a reason that is no text")
    share = texts.setdefault
    method, method_digest, pass_name, edit_digest, protocol, protocol_digest, status = share(block, block)
    if status not in ("ok", "failed"):
        raise TypeError("a status that is none")
    indices, sums = zip(*features.values(), strict=True) if features else ((), ())
    row = Row(
        share(image, image),
        share(image_digest, image_digest),
        method,
        method_digest,
        pass_name,
        edit_digest,
        float(strength),
        protocol,
        protocol_digest,
        status,
        None if reason is None else share(reason, reason),
        _numbers(values, values.values(), "d"),
        _texts(failures, texts),
        _numbers(features, indices, "q"),
        _numbers(features, sums, "q"),
        shard,
    )
    object.__setattr__(row, "_key", key)
    return row


_TEXT, _NUMBERS = {str}, {float, int}


def _numbers(names: Iterable[str], found: Collection[Any], kind: str) -> Mapping[str, Any]:
    if not found:
        return _NOTHING
    if not {*map(type, found)} <= _NUMBERS or not isfinite(sum(found)):
        raise TypeError("a value that is no number")
    return Compact(names, found, kind)


def _texts(found: Mapping[str, Any], texts: Texts) -> Mapping[str, str]:
    if not found:
        return _NOTHING
    if {*map(type, found.values())} != _TEXT:
        raise TypeError("a reason that is no text")
    return {texts.setdefault(k, k): texts.setdefault(v, v) for k, v in found.items()}


def _sum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=_SUM // 2).hexdigest()


def in_table_order(rows: Sequence[Row]) -> list[Row]:
    """Sorted by (method, pass, image, protocol)."""
    return sorted(rows, key=lambda row: (row.method, row.pass_name, row.image, row.protocol, row.key))
