"""Several runs over the same images under the same protocols as one: whether they fit, and their one manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.core.errors import MissingError, UsageError
from bench.core.machine import words
from bench.core.names import numbered
from bench.results.regression import check_comparable
from bench.results.wholeness import Results

# What runs may be told to differ in: it moves last digits (machine), or what it moves is for the reader to know (code).
ACROSS = ("machine", "code")
Manifest = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One run of a merge.

    Attributes:
        results: Its manifest and rows.
        label: Its name, unlike those of the other parts.
        names: Its methods' names -> their names in the merge.
    """

    results: Results
    label: str
    names: Mapping[str, str]

    @property
    def manifest(self) -> Manifest:
        """Its record of itself."""
        return self.results.manifest

    def methods(self) -> dict[str, Mapping[str, Any]]:
        """Records of its methods by their names in the merge; a title of one that was renamed says whose it is."""
        return {self.names[name]: self._titled(name, about) for name, about in self.manifest["methods"].items()}

    def _titled(self, name: str, about: Mapping[str, Any]) -> Mapping[str, Any]:
        renamed = self.names[name] != name and about.get("title")
        return {**about, "title": f"{about['title']} ({self.label})"} if renamed else about


def parts_of(results: Sequence[Results], *, keep_both: bool = False, across: Collection[str] = ()) -> list[Part]:
    """The runs of a merge, held against the first.

    Args:
        keep_both: Methods of one name that differ are kept as "warpres@monday" and "warpres@tuesday", by the runs'
            names; without it they are refused.
        across: See `ACROSS`.

    Raises:
        UsageError: They differ in images, protocols, passes, code or machine, or in a method of one name; says in what.
        MissingError: A manifest does not say what a merge needs.
    """
    for own in results:
        if lacks := sorted({"run", "data", "pictures", "protocols", "passes", "methods"} - own.manifest.keys()):
            fault = f"{own.run}: its manifest has no {', '.join(lacks)}: another version wrote it"
            raise MissingError(fault, "run its command again: the manifest is written anew, results are kept")
    for other in results[1:]:
        _check_fit(results[0], other, across)
    labels = numbered([str(own.manifest["run"]) for own in results])
    parts = [
        Part(own, label, {name: name for name in own.manifest["methods"]})
        for own, label in zip(results, labels, strict=True)
    ]
    names = dict.fromkeys(name for part in parts for name in part.names)
    clashing = {name: where for name in names if (where := _clash(parts, name))}
    if clashing and not keep_both:
        said = "; ".join(f"{name}: {where}" for name, where in clashing.items())
        raise UsageError(f"the runs have unlike methods of one name: {said}", "--keep-both, each named by its run")
    return [replace(part, names={**part.names, **_renamed(part, clashing)}) for part in parts]


def merged_manifest(parts: Sequence[Part], name: str, command: Sequence[str]) -> dict[str, Any]:
    """The manifest of the whole: every method and pass of the parts, and under "sources" what each part was."""
    first = parts[0].manifest
    manifests = [part.manifest for part in parts]
    methods: dict[str, dict[str, Any]] = {}
    for part in parts:
        for method, about in part.methods().items():
            _add_method(methods, method, about)
    return {
        **{key: first[key] for key in ("format", "domain", "data", "seed", "device", "group", "machine")},
        "run": name,
        "title": _common(own.get("title") for own in manifests) or "",
        "command": list(command),
        **{key: _common(own.get(key) for own in manifests) for key in ("preset", "paper_table", "paper_figure")},
        "versions": _versions(manifests),
        "methods": methods,
        "passes": _passes(manifests),
        "plugins": _plugins(manifests),
        "protocols": _protocols(manifests),
        "missing": _missing(manifests, methods),
        "filled_weights": _filled(manifests),
        "pictures": {image: _image(manifests, image) for image in first["pictures"]},
        "sources": [source for part in parts for source in sources(part)],
    }


def sources(part: Part) -> list[dict[str, Any]]:
    """What a run was, one entry; of a run that is a merge itself, its own sources."""
    earlier = part.manifest.get("sources")
    if earlier:
        return [{**own, "methods": [part.names.get(name, name) for name in own["methods"]]} for own in earlier]
    return [source_of(part.manifest, part.label, [name for name, own in part.methods().items() if own.get("passes")])]


def source_of(manifest: Manifest, label: str, methods: Sequence[str]) -> dict[str, Any]:
    """A manifest's facts on how its numbers came to be."""
    keys = ("preset", "seed", "group", "device")
    found = {"run": label, "command": list(manifest["command"]), **{key: manifest.get(key) for key in keys}}
    return found | {
        "machine": dict(manifest.get("machine") or {}),
        "versions": dict(manifest.get("versions") or {}),
        # Where a plug-in lay is nobody else's business.
        "plugins": [{"name": Path(own["name"]).name, "code": own["code"]} for own in manifest.get("plugins", ())],
        "methods": list(methods),
    }


def _check_fit(first: Results, other: Results, across: Collection[str]) -> None:
    one, two = first.manifest, other.manifest
    try:
        if one["domain"] != two["domain"]:
            raise UsageError(f"their domains differ: {one['domain']} and {two['domain']}")
        check_comparable(one, two)
        for name, about in one["protocols"].items():
            _check_protocol(name, about, two["protocols"][name], (one, two), across)
        _check_passes(one, two)
        _check_labels(one, two)
    except UsageError as error:
        raise UsageError(f"{other.run} does not go with {first.run}: {error.what}", error.next_step) from None


def _check_protocol(
    name: str, one: Manifest, two: Manifest, manifests: tuple[Manifest, Manifest], across: Collection[str]
) -> None:
    if one.get("rules") != two.get("rules"):
        raise UsageError(f"the protocol {name} was another file", "run one of them again")
    if one.get("digest") == two.get("digest"):
        return
    for key in ("group", "seed"):
        if manifests[0].get(key) != manifests[1].get(key):
            raise UsageError(f"they differ in the {key}: {manifests[0].get(key)} and {manifests[1].get(key)}")
    machines = [words(manifest.get("machine") or {}) for manifest in manifests]
    what, said = ("code", f"{name} was measured by other versions of this code")
    if machines[0] != machines[1]:
        what, said = ("machine", f"they ran on other kinds of machine ({machines[0]}; {machines[1]})")
    if what not in across and not {*ACROSS} <= {*across}:
        raise UsageError(said, f"run one of them again, or --across {what} if that may differ")


def _check_passes(one: Manifest, two: Manifest) -> None:
    known = {edit["column"]: edit for edit in one["passes"]}
    for edit in two["passes"]:
        other = known.get(edit["column"], edit)
        for key, what in (("inputs", "images that go in"), ("reals", "real images"), ("reference", "true edit")):
            if edit.get(key) != other.get(key):
                said = f"{other.get(key)} and {edit.get(key)}" if key != "reference" else "asked at other strengths"
                raise UsageError(f"the pass {edit['column']} differs in its {what}: {said}")


def _check_labels(one: Manifest, two: Manifest) -> None:
    for image, about in two["pictures"].items():
        for label, value in about["attributes"].items():
            known = one["pictures"][image]["attributes"].get(label, value)
            if known != value:
                raise UsageError(f"the label {label} of {image} is {known} and {value}", "use one table of labels")


def _clash(parts: Sequence[Part], name: str) -> str:
    """In what runs differ that have a method of this name; empty where they do not."""
    having = [(part.label, own) for part in parts if (own := part.manifest["methods"].get(name, {})).get("passes")]
    for (label, one), (other_label, two) in ((having[0], other) for other in having[1:]):
        if one["digest"] != two["digest"]:
            files = [", ".join(f"{f['name']} {f['sha256'][:8]}" for f in own["files"]) for own in (one, two)]
            what = f"weights ({files[0]}; {files[1]})" if files[0] != files[1] else "code"
            return f"other {what} in {label} than in {other_label}"
        for column in one["passes"].keys() & two["passes"].keys():
            if one["passes"][column] != two["passes"][column]:
                return f"another strength or direction of {column} in {label} than in {other_label}"
    return ""


def _renamed(part: Part, clashing: Collection[str]) -> dict[str, str]:
    own = part.manifest["methods"]
    return {name: f"{name}@{part.label}" for name in clashing if own.get(name, {}).get("passes")}


def _add_method(methods: dict[str, dict[str, Any]], name: str, about: Mapping[str, Any]) -> None:
    known = methods.setdefault(name, dict(about))
    if about.get("passes"):
        passes = {**(known.get("passes") or {}), **about["passes"]}
        methods[name] = {**known, **about, "passes": passes}


def _passes(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for manifest in manifests:
        for edit in manifest["passes"]:
            found.setdefault(edit["column"], dict(edit))
    return list(found.values())


def _plugins(manifests: Sequence[Manifest]) -> list[Mapping[str, str]]:
    found = [plugin for manifest in manifests for plugin in manifest.get("plugins", ())]
    return [plugin for at, plugin in enumerate(found) if plugin not in found[:at]]


def _protocols(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The protocols, each with one digest for all parts.

    Where runs differ `across` something it is a digest of its own: no run may take such rows for its own kind's.
    """
    found = {}
    for name, about in manifests[0]["protocols"].items():
        digests = sorted({own["protocols"][name]["digest"] for own in manifests})
        joint = hashlib.sha256(" ".join(digests).encode()).hexdigest() if len(digests) > 1 else digests[0]
        found[name] = {**about, "digest": joint}
    return found


def _missing(manifests: Sequence[Manifest], methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    both = {
        kind: {name: why for own in manifests for name, why in own["missing"].get(kind, {}).items()}
        for kind in ("methods", "columns")
    }
    there = {name for name, about in methods.items() if about.get("passes")}
    return {**both, "methods": {name: why for name, why in both["methods"].items() if name not in there}}


def _image(manifests: Sequence[Manifest], image: str) -> dict[str, Any]:
    records = [manifest["pictures"][image] for manifest in manifests]
    return {**records[0], "attributes": {label: value for own in records for label, value in own["attributes"].items()}}


def _filled(manifests: Sequence[Manifest]) -> object:
    found = [own.get("filled_weights") for own in manifests if own.get("filled_weights")]
    return found[0] if found else manifests[0].get("filled_weights")


def _versions(manifests: Sequence[Manifest]) -> dict[str, str]:
    names = dict.fromkeys(name for own in manifests for name in own["versions"])
    found = {name: dict.fromkeys(own["versions"].get(name, "") for own in manifests) for name in names}
    return {name: " / ".join(filter(None, versions)) for name, versions in found.items()}


def _common(values: Iterable[T]) -> T | None:
    """The value that all have; None where they differ."""
    first, *others = values
    return first if all(value == first for value in others) else None
