"""Where files lie: checkpoints of methods, networks of protocols, direction files of edits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import Config
from bench.errors import MissingError, UsageError

if TYPE_CHECKING:
    from bench.contract import Domain

SYNTHETIC_WEIGHTS = Path(__file__).parent / "synthetic" / "weights"


class AbsentError(MissingError):
    """A method's checkpoint that is not here; `status` says whether anybody has it."""

    def __init__(self, what: str, next_step: str = "", status: str = "missing") -> None:
        super().__init__(what, next_step)
        self.status = status


def checkpoint_files(config: Config, name: str, domain: Domain, entry: Any) -> tuple[Path, ...]:
    """The checkpoint files of a method: those given, else the family's own.

    Raises AbsentError where there is none, UsageError where files were given that are too few or too many.
    """
    given = config.checkpoints.get(name) or (config.variants[name].checkpoint if name in config.variants else ())
    if given:
        return _given(name, entry, [Path(file) for file in given])
    if config.weights == "synthetic":
        return _shipped(name)
    if domain not in entry.domains:
        raise AbsentError(f"{entry.name} has no {domain} network", "", "not released")
    if name in config.variants:
        raise AbsentError(f"no checkpoint of {name} was released", f"add --checkpoint {name}=FILE", "not released")
    return _released(name, domain)


def _given(name: str, entry: Any, files: list[Path]) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            raise AbsentError(f"{name}: there is no file {file}", f"check --checkpoint {name}=FILE")
    ours = all(file.suffix == ".safetensors" for file in files)
    if not ours and not len(entry.files) <= len(files) <= len(entry.files) + len(getattr(entry, "optional", ())):
        wanted = "; ".join(entry.files)
        raise UsageError(f"{name} needs {len(entry.files)} checkpoint file(s), got {len(files)}", f"give: {wanted}")
    return tuple(files)


def _shipped(name: str) -> tuple[Path, ...]:
    """Our own checkpoint, with the files beside it that its metadata names as parts (a shared generator or encoder)."""
    file = SYNTHETIC_WEIGHTS / f"{name}.safetensors"
    if not file.is_file():
        raise AbsentError(
            f"no checkpoint of {name} for the synthetic world is shipped",
            f"train one (python -m methods.training --help) and add --checkpoint {name}=FILE",
        )
    return (file, *(file.with_name(part) for part in _parts(file)))


def _parts(file: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as content:
            parts: list[str] = json.loads((content.metadata() or {}).get("parts", "[]"))
            return parts
    except (SafetensorError, ValueError, OSError) as error:
        raise AbsentError(
            f"{file} is damaged: {error}", "restore it: git checkout -- bench/synthetic/weights"
        ) from None


def _released(name: str, domain: Domain) -> tuple[Path, ...]:
    from bench.weights import registry

    items = registry.checkpoint_entries(name, domain)
    if not items:
        raise AbsentError(f"the registry has no checkpoint of {name}", f"give one: --checkpoint {name}=FILE")
    closed = [item for item in items if item.status == "not released"]
    if closed:
        error = registry.missing(closed[0])
        raise AbsentError(error.what, error.next_step, "not released")
    try:
        return tuple(registry.checkpoint_paths(name, domain))
    except MissingError as error:
        raise AbsentError(error.what, error.next_step) from None


def network_path(name: str) -> Path:
    """An auxiliary network by registry name. Raises MissingError with the command that gets it."""
    from bench.weights.registry import locate

    return locate(name)


def direction_files(config: Config) -> Callable[[str], Path]:
    """A resolver of direction file names: the folder given, beside the data, what we ship, what was fetched."""
    from bench.edits.directions import direction_folders

    folders = [Path(config.edits.files)] if config.edits.files else []
    if config.weights == "synthetic":
        folders.append(SYNTHETIC_WEIGHTS)
    else:
        root = Path(config.data.root)
        folders += [root / "directions", root.parent / "directions"] if config.data.root else []
    nearby = direction_folders(folders)

    def resolve(name: str) -> Path:
        if any((folder / name).exists() for folder in folders) or config.weights == "synthetic":
            return nearby(name)
        return network_path(name)

    return resolve


def files_of(method: str, domain: Domain, given: Sequence[str], preset: str | None) -> tuple[Path, ...]:
    """Checkpoint files of one method for commands outside a run: those given, else the preset's family's."""
    from bench.config import load_config
    from methods.registry import find

    entry = find(method)
    config = load_config(preset, command_line={"checkpoints": {method: list(given)}} if given else None)
    return checkpoint_files(config, method, domain, entry)
