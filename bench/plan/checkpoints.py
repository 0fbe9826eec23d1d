"""Where files lie: checkpoints of methods, networks of protocols, direction files of edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.domains import rows_of
from bench.core.errors import UsageError
from bench.plan.config import Config
from bench.plan.sources import family_of
from bench.plan.work import UNUSABLE
from methods.checkpoint_files import RELEASED, AbsentError, beside, family_files, metadata, part_of

if TYPE_CHECKING:
    from bench.core.contract import Domain, Method
    from methods.registry import MethodEntry


def entry_of(config: Config, name: str) -> MethodEntry:
    """The registry's entry of a method, or of what a variant is one of. Raises UsageError with close names."""
    from methods.registry import find

    return find(config.variants[name].method if name in config.variants else name)


def checkpoint_files(config: Config, name: str, domain: Domain) -> tuple[Path, ...]:
    """The checkpoint files of a method or variant: those given, else the family's own.

    Raises AbsentError where there is none, UsageError where files were given that are too few or too many.
    """
    entry = entry_of(config, name)
    name = name if name in config.variants else entry.name
    given = config.checkpoints.get(name) or (config.variants[name].checkpoint if name in config.variants else ())
    if given:
        return _given(name, entry, [Path(file) for file in given])
    if entry.files and config.weights == RELEASED:
        if domain not in entry.domains:
            raise _other_domain(entry, domain)
        if name in config.variants:
            raise AbsentError(f"no checkpoint of {name} was released", f"add --checkpoint {name}=FILE", "not released")
    return family_files(config.weights, name, domain, entry)


def _other_domain(entry: MethodEntry, domain: Domain) -> AbsentError:
    from bench.weights import registry

    notes = [item.note for item in registry.checkpoint_entries(entry.name, domain) if item.note]
    why = f": {notes[0]}" if notes else ""
    advice = f"leave it out of --methods, or add a method with a {domain} network by --plugin"
    return AbsentError(f"{entry.name} has no {domain} network{why}", advice, "not released")


def _given(name: str, entry: MethodEntry, files: list[Path]) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            what = "no regular file at" if file.exists() else "no file"
            raise AbsentError(f"{name}: there is {what} {file}", f"check --checkpoint {name}=FILE", UNUSABLE)
    ours = all(file.suffix == ".safetensors" for file in files)
    if not ours and not len(entry.files) <= len(files) <= len(entry.files) + len(entry.optional):
        wanted = "; ".join(entry.files)
        raise UsageError(f"{name} needs {len(entry.files)} checkpoint file(s), got {len(files)}", f"give: {wanted}")
    if ours and len(files) == 1:
        known = metadata(files[0])
        parts = (part_of(files[0], part) for part in known.get("parts", []))
        return (files[0], *parts, *beside(known.get("beside", [])))
    return tuple(files)


def network_path(name: str) -> Path:
    """An auxiliary network by registry name. Raises MissingError with the command that gets it."""
    from bench.weights.registry import locate

    return locate(name)


def latent_rows(files: Sequence[Path], default: int) -> int:
    """Rows L of the codes of checkpoint files: ours say how large their generator is, the authors' are the family's."""
    for file in files:
        if file.suffix == ".safetensors":
            # A plug-in's file may mean something else by "config", or hold no JSON there.
            try:
                size = metadata(file)["config"]["generator"]["size"]
                return rows_of(int(size))
            except (KeyError, TypeError, ValueError):
                continue
    return default


def direction_files(config: Config) -> Callable[[str], Path]:
    """A resolver of direction file names: the folder given, beside their card or the data, shipped, or fetched."""
    from bench.edits.directions import direction_folders
    from bench.weights.registry import entries

    folders = [Path(config.edits.files)] if config.edits.files else []
    folders += dict.fromkeys(Path(card).parent for card in config.edits.cards)
    family = family_of(config)
    if family is not None and family.weights is not None:
        folders.append(family.weights)
    else:
        root = Path(config.data.root)
        folders += [root / "directions", root.parent / "directions"] if config.data.root else []
    nearby = direction_folders(folders)

    def resolve(name: str) -> Path:
        here = any((folder / name).exists() for folder in folders)
        return nearby(name) if here or family is not None or name not in entries() else network_path(name)

    return resolve


def check_planned(config: Config, name: str, domain: Domain) -> None:
    """Raise as `load_planned`, as far as the names and shapes in a method's files tell; nothing is loaded."""
    from methods.fitting import fit_of

    fit_of(entry_of(config, name), domain, checkpoint_files(config, name, domain))


def load_planned(config: Config, name: str, domain: Domain, device: str = "cpu") -> Method:
    """A method or variant of a configuration, loaded with its files. Raises as `checkpoint_files` and `load_method`."""
    from methods import load_method

    files, entry = checkpoint_files(config, name, domain), entry_of(config, name)
    return load_method(entry.name, domain=domain, checkpoint=files, device=device, steps=config.run.steps)


def load_one(name: str, domain: Domain, given: Sequence[str], preset: str | None, device: str = "cpu") -> Method:
    """One method for commands outside a run, with the files given, else the preset's family's. Raises as above."""
    from bench.plan.config import load_config
    from methods.registry import find

    name = find(name).name
    config = load_config(preset, command_line={"checkpoints": {name: list(given)}} if given else None)
    return load_planned(config, name, domain, device)
