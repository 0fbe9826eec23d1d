"""Names of methods and how each is built. A newcomer is one folder `methods/<name>/adapter.py` with a METHODS tuple.

Plug-ins of other distributions come by the entry point group "warpres_bench.methods": each entry point loads to a
`MethodEntry` or a sequence of them. A plug-in cannot take a built-in's name.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

from bench.core.checkpoint import file_digest, read_checkpoint, state_dict_of
from bench.core.contract import CODE_RULES, Domain, Method, Rule
from bench.core.digest import code_of
from bench.core.errors import MissingError, UsageError
from bench.core.folder_names import check_name
from bench.core.names import REFERENCES, WORDS, known_name
from methods.nets.memory import keep_pages

# Every method over a StyleGAN2 generator.
STYLE_RULES: tuple[Rule, ...] = (*CODE_RULES, "style")
GROUP = "warpres_bench.methods"
_ROOT = Path(__file__).parent
_NO_METHODS = {"nets", "training"}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file, read.

    Attributes:
        path: Where it lies, for messages.
        content: As `read_checkpoint` gives it.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of one of our safetensors files; empty for authors' files."""
        found = self.content.get("metadata", {})
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class MethodEntry:
    """One name of the registry.

    Attributes:
        name: "e4e", "psp+warpres", ...
        build: (entry, domain, checkpoints) -> the method on the CPU, in eval mode.
        domains: Domains the method exists for.
        files: What the checkpoint files are, in words; their number is how many are needed, () for a method without
            weights.
        optional: Further files that may be given, in words.
        edits: Kinds of edit the method takes; an edit of another kind does not apply to it.
        generator: Its generator as edit cards call it; by domain and rows of the codes where "".
        latent_rows: L of that generator; by the family of checkpoints where 0.
        optimises: Whether every image is optimised by itself, so that `--steps` applies.
        steps: Steps asked for, set by `load_method`; 0 for the method's own number.
        released: Domain -> registry names of its files, where they are not checkpoints of its own.
        world: Files of the synthetic world it runs on, where no file is called as the method.
        summary: One line for `ls methods`.
        golden: Names of the parity data behind the method ("e4e_ffhq", ...).
        no_golden: Why there is none, for a built-in method that was compared with no authors' network.
        title: What tables call it; its name where "".
        place: Where it stands in tables, smallest first; methods of one place by name.
        origin: "built-in", or the distribution a plug-in comes from; set by the registry.
    """

    name: str
    build: Callable[[MethodEntry, Domain, Sequence[Checkpoint]], Method]
    domains: tuple[Domain, ...] = ("faces",)
    files: tuple[str, ...] = ("the authors' checkpoint",)
    optional: tuple[str, ...] = ()
    edits: tuple[Rule, ...] = CODE_RULES
    generator: str = ""
    latent_rows: int = 0
    optimises: bool = False
    steps: int = 0
    released: Mapping[Domain, tuple[str, ...]] = field(default_factory=dict)
    world: tuple[str, ...] = ()
    summary: str = ""
    golden: tuple[str, ...] = ()
    no_golden: str = ""
    title: str = ""
    place: int = 100
    origin: str = "built-in"

    @property
    def wanted(self) -> str:
        """What to give, in words."""
        return "; ".join((*self.files, *(f"perhaps {file}" for file in self.optional)))


def load_method(
    name: str,
    *,
    domain: Domain = "faces",
    checkpoint: str | Path | Sequence[str | Path] = (),
    weights: str = "",
    device: str | torch.device = "cpu",
    steps: int = 0,
) -> Method:
    """Load a method, ready to run, in eval mode and without gradients.

    Args:
        name: Registry name.
        domain: "faces" or "cars".
        checkpoint: The authors' file, several where the method needs them (any order), or ours (safetensors), in one
            file or in parts (generator, encoder, what was trained on them); none for a method without weights.
        weights: Instead of files, a family of them: "synthetic" (shipped) or "released" (fetched before, `run_bench.py
            weights fetch`; the default where no file is given).
        device: Where its networks go.
        steps: Optimisation steps an image, for methods that have some; 0 for the method's own number.

    Returns:
        The method, with the attribute `digest`: hex SHA-256 over the files and the code that decides its numbers.

    Raises:
        UsageError: Unknown name or domain, or a wrong number of files.
        MissingError: A file that is absent, damaged, or of something else.
    """
    keep_pages()
    entry = with_steps(find(name), steps)
    name = entry.name
    _check_domain(entry, domain)
    paths = [Path(checkpoint)] if isinstance(checkpoint, str | Path) else [Path(path) for path in checkpoint]
    if not paths:
        from methods.checkpoint_files import RELEASED, family_files

        paths = list(family_files(weights or RELEASED, name, domain, entry))
    method: Any = assembled(entry, domain, [Checkpoint(path, read_checkpoint(path)) for path in paths])
    if isinstance(method, torch.nn.Module):
        method = method.eval().requires_grad_(False).to(device)
    method.digest = method_digest(entry, paths)
    return method


def assembled(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Method:
    """The method of files that are read, on the CPU. Raises as `load_method`."""
    name = entry.name
    _check_domain(entry, domain)
    ours = bool(checkpoints) and all(file.metadata for file in checkpoints)
    if ours and not entry.world:
        checkpoints = [merged(checkpoints)]
    elif not ours and not len(entry.files) <= len(checkpoints) <= len(entry.files) + len(entry.optional):
        raise UsageError(f"{name} needs {len(entry.files)} file(s), got {len(checkpoints)}", f"give: {entry.wanted}")
    try:
        return entry.build(entry, domain, checkpoints)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        # A file that says of itself what it does not hold, or says it in another way.
        files = ", ".join(str(file.path) for file in checkpoints) or "without files"
        raise MissingError(
            f"{name} cannot be built from {files}: {type(error).__name__}: {error}",
            f"check that this is the right file; {name} takes: {entry.wanted or 'no files'}",
        ) from error


def _check_domain(entry: MethodEntry, domain: Domain) -> None:
    if domain not in entry.domains:
        raise UsageError(
            f"{entry.name} has no {domain} network", f"domains of {entry.name}: {', '.join(entry.domains)}"
        )


def with_steps(entry: MethodEntry, steps: int) -> MethodEntry:
    """The entry with a number of optimisation steps; methods that do not optimise stay as they are."""
    return replace(entry, steps=steps) if entry.optimises and steps else entry


def merged(files: Sequence[Checkpoint]) -> Checkpoint:
    """Our files as one: all tensors, and all parts of the configuration (a generator, an encoder, what builds on them).

    Raises:
        MissingError: Where two files hold the same tensor or part, or are for different domains.
    """
    tensors: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for file in files:
        own = file.metadata.get("config")
        if not isinstance(own, Mapping):
            raise MissingError(f"the metadata of {file.path} has no config", "write it again, as our trainings do")
        for into, values in ((tensors, state_dict_of(file.content)), (config, own)):
            if twice := sorted(into.keys() & values.keys()):
                raise MissingError(f"{file.path} and another file both hold {twice[0]}", "give each part once")
            into.update(values)
    methods = " or ".join(str(file.metadata.get("method", "")) for file in files)
    metadata: dict[str, Any] = {}
    for file in files:
        if metadata and file.metadata.get("domain") != metadata.get("domain"):
            raise MissingError(f"{file.path} is for another domain than {files[0].path}", "give parts of one domain")
        metadata |= file.metadata
    metadata |= {"method": methods, "config": config}
    return Checkpoint(files[0].path, {"state_dict": tensors, "metadata": metadata})


def find(name: str) -> MethodEntry:
    """The entry of a name, in any case. Raises UsageError with close names."""
    known = entries()
    return known[known_name("method", name, known)]


def method_names() -> list[str]:
    """Every known name, sorted."""
    return sorted(entries())


@lru_cache(maxsize=1)
def entries() -> Mapping[str, MethodEntry]:
    """All entries by name, built-in ones first. Raises UsageError when two claim one name."""
    found: dict[str, MethodEntry] = {}
    for module in sorted(pkgutil.iter_modules([str(_ROOT)]), key=lambda info: info.name):
        if module.ispkg and module.name not in _NO_METHODS and (_ROOT / module.name / "adapter.py").is_file():
            adapter = importlib.import_module(f"methods.{module.name}.adapter")
            for entry in adapter.METHODS:
                _add(found, _owned(entry, "built-in"))
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        loaded = point.load()
        for entry in [loaded] if isinstance(loaded, MethodEntry) else loaded:
            _add(found, _owned(entry, point.dist.name if point.dist else point.value))
    return found


def register(entry: MethodEntry, *, origin: str) -> None:
    """Add an entry in this process alone, as `--plugin` does; the same plug-in loaded again replaces its own.

    Raises:
        UsageError: The name belongs to another origin, or cannot be a method's.
    """
    known = entries()
    assert isinstance(known, dict)
    if entry.name in known and known[entry.name].origin == origin:
        del known[entry.name]
    _add(known, _owned(entry, origin))


def _owned(entry: MethodEntry, origin: str) -> MethodEntry:
    return replace(entry, origin=origin)


def _add(found: dict[str, MethodEntry], entry: MethodEntry) -> None:
    check_name(entry.name, f"{entry.origin}: method", (*REFERENCES, *WORDS))
    if entry.name in found:
        raise UsageError(
            f"method name {entry.name!r} is claimed by {found[entry.name].origin} and by {entry.origin}",
            "rename one of them; names are never shadowed",
        )
    found[entry.name] = entry


def method_digest(entry: MethodEntry, paths: Sequence[Path]) -> str:
    """Hex SHA-256 over the checkpoint files (in any order) and the code that builds the method, plug-in or not.

    Raises:
        UsageError: A plug-in without source files.
    """
    whole = hashlib.sha256(f"{entry.name} {entry.steps}".encode() if entry.steps else entry.name.encode())
    for digest in sorted(file_digest(path) for path in paths):
        whole.update(digest.encode())
    build: Any = entry.build
    while isinstance(build, partial):
        whole.update(repr((build.args, sorted(build.keywords.items()))).encode())
        build = build.func
    try:
        whole.update(code_of(build).encode())
    except (TypeError, SyntaxError) as error:
        raise UsageError(f"{entry.name}: its code cannot be read: {error}", "give the plug-in as a .py file") from None
    return whole.hexdigest()


def describe() -> list[dict[str, Any]]:
    """What `ls methods` shows: name, domains, files, summary, origin and parity cards, as plain data."""
    cards = parity_cards()
    return [
        {
            "name": entry.name,
            "domains": list(entry.domains),
            "files": list(entry.files),
            "edits": list(entry.edits),
            "summary": entry.summary,
            "origin": entry.origin,
            "parity": [cards[name] for name in entry.golden if name in cards],
        }
        for _, entry in sorted(entries().items())
    ]


def parity_cards() -> dict[str, dict[str, Any]]:
    """Parity cards by golden name: {"golden", "largest_deviation", "date", ...}; empty outside a checkout."""
    import json

    folder = _ROOT.parent / "tests" / "parity" / "cards"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
