"""Where files lie: checkpoints of methods, networks of protocols, direction files of edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.domains import rows_of
from bench.core.errors import MissingError, UsageError
from bench.core.metadata import read_metadata
from bench.plan.config import Config
from bench.plan.sources import family_of

if TYPE_CHECKING:
    from bench.core.contract import Domain
    from bench.data.listing import Kind
    from bench.weights import registry
    from methods.registry import MethodEntry

WORLD_RECIPES = Path(__file__).parents[2] / "methods" / "training" / "recipes" / "world"


class AbsentError(MissingError):
    """A method's checkpoint that is not here; `status` says whether anybody has it, `files` which ones (registry)."""

    def __init__(self, what: str, next_step: str = "", status: str = "missing", files: Sequence[str] = ()) -> None:
        super().__init__(what, next_step, files)
        self.status = status


def checkpoint_files(config: Config, name: str, domain: Domain, entry: MethodEntry) -> tuple[Path, ...]:
    """The checkpoint files of a method: those given, else the family's own.

    Raises AbsentError where there is none, UsageError where files were given that are too few or too many.
    """
    given = config.checkpoints.get(name) or (config.variants[name].checkpoint if name in config.variants else ())
    if given:
        return _given(name, entry, [Path(file) for file in given])
    if not entry.files:
        return ()
    if (family := family_of(config)) is not None:
        return _of_world(family, entry) or _shipped(family, name)
    if domain not in entry.domains:
        raise _other_domain(entry, domain)
    if name in config.variants:
        raise AbsentError(f"no checkpoint of {name} was released", f"add --checkpoint {name}=FILE", "not released")
    return _released(name, domain, entry)


def _other_domain(entry: MethodEntry, domain: Domain) -> AbsentError:
    from bench.weights import registry

    notes = [item.note for item in registry.checkpoint_entries(entry.name, domain) if item.note]
    why = f": {notes[0]}" if notes else ""
    advice = f"leave it out of --methods, or add a method with a {domain} network by --plugin"
    return AbsentError(f"{entry.name} has no {domain} network{why}", advice, "not released")


def _given(name: str, entry: MethodEntry, files: list[Path]) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            raise AbsentError(f"{name}: there is no file {file}", f"check --checkpoint {name}=FILE")
    ours = all(file.suffix == ".safetensors" for file in files)
    if not ours and not len(entry.files) <= len(files) <= len(entry.files) + len(entry.optional):
        wanted = "; ".join(entry.files)
        raise UsageError(f"{name} needs {len(entry.files)} checkpoint file(s), got {len(files)}", f"give: {wanted}")
    if ours and len(files) == 1:
        parts = (_part_of(files[0], part) for part in _facts(files[0], "parts", []))
        return (files[0], *parts, *_registered(_facts(files[0], "beside", [])))
    return tuple(files)


def _registered(names: Sequence[str]) -> list[Path]:
    """Released files that one of ours was trained on, by registry name. Raises AbsentError."""
    from bench.weights.registry import locate

    try:
        return [locate(name) for name in names]
    except MissingError as error:
        raise AbsentError(error.what, error.next_step, files=error.files) from None


def _part_of(file: Path, part: str) -> Path:
    """A part that a file of ours was trained on: beside it, in the folder of the training that made it, or shipped.

    Raises AbsentError where there is none, or none with the digest that the training noted.
    """
    from bench.core.checkpoint import file_digest

    trained = file.parent.with_name(Path(part).stem) / part
    shipped = [folder / part for folder in shipped_folders()]
    places = [path for path in (file.with_name(part), trained, *shipped) if path.is_file()]
    wanted = _facts(file, "made", {}).get("inputs", {}).get(part)
    for path in places:
        if wanted is None or file_digest(path) == wanted:
            return path
    why = "is not here" if not places else f"is another than that it was trained on ({places[0]})"
    raise AbsentError(f"{part}, a part of {file}, {why}", f"put it beside {file.name}, or give both files")


def shipped_folders() -> list[Path]:
    """Folders of weights that come with kinds of data sets."""
    from bench.data import kinds

    return [kind.weights for kind in kinds().values() if kind.weights is not None]


def _of_world(family: Kind, entry: MethodEntry) -> tuple[Path, ...]:
    """The family's files that a method without weights of its own runs on."""
    assert family.weights is not None
    return tuple(family.weights / file for file in entry.world)


def _shipped(family: Kind, name: str) -> tuple[Path, ...]:
    """Our own checkpoint, with the files beside it that its metadata names as parts (a shared generator or encoder).

    On e4e a residual method is the one without a base in its name.
    """
    assert family.weights is not None
    file = family.weights / f"{name.removeprefix('e4e+')}.safetensors"
    if not file.is_file():
        raise AbsentError(f"no checkpoint of {name} for the {family.name} world is shipped", _training_of(name))
    return (file, *(file.with_name(part) for part in _facts(file, "parts", [])))


def has_world_weights(name: str) -> bool:
    """Whether a method's weights for the world are shipped, or a recipe would train them."""
    stem = name.removeprefix("e4e+")
    shipped = [folder / f"{stem}.safetensors" for folder in shipped_folders()]
    return any(file.is_file() for file in (*shipped, WORLD_RECIPES / f"{stem}.toml"))


def _training_of(name: str) -> str:
    """What to do for a method without shipped weights: the command that trains it, where there is a recipe."""
    stem = name.removeprefix("e4e+")
    if not (WORLD_RECIPES / f"{stem}.toml").is_file():
        return f"give one that was trained on the world's generator: --checkpoint {name}=FILE"
    file = f"training-runs/world/{stem}/{stem}.safetensors"
    return f"train it (python -m methods.training world/{stem}) and add --checkpoint {name}={file}"


def _facts(file: Path, key: str, default: Any) -> Any:
    """One of a safetensors file's facts. Raises AbsentError for a damaged file."""
    return _metadata(file).get(key, default)


def _damaged(file: Path, error: MissingError) -> AbsentError:
    shipped = file.parent in shipped_folders()
    advice = f"restore it: git checkout -- {file.parent}" if shipped else "write it again"
    return AbsentError(f"{file} is damaged: {error.what}", advice)


def _metadata(file: Path) -> dict[str, Any]:
    """Metadata of a safetensors file. Raises AbsentError for a damaged one."""
    try:
        return read_metadata(file)
    except MissingError as error:
        raise _damaged(file, error) from None


def _released(name: str, domain: Domain, entry: MethodEntry) -> tuple[Path, ...]:
    from bench.weights import registry

    if domain in entry.released:
        return _located([registry.entry(item) for item in entry.released[domain]])
    items = registry.checkpoint_entries(name, domain)
    if not items:
        raise AbsentError(f"the registry has no checkpoint of {name}", f"give one: --checkpoint {name}=FILE")
    closed = [item for item in items if item.status == "not released"]
    if closed:
        error = registry.missing(closed[0])
        raise AbsentError(error.what, error.next_step, "not released")
    return _located(items)


def _located(items: Sequence[registry.Entry]) -> tuple[Path, ...]:
    from bench.weights import registry

    try:
        return tuple(registry.all_paths(items))
    except MissingError as error:
        raise AbsentError(error.what, error.next_step, files=error.files) from None


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
                size = _metadata(file)["config"]["generator"]["size"]
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


def files_of(method: str, domain: Domain, given: Sequence[str], preset: str | None) -> tuple[Path, ...]:
    """Checkpoint files of one method for commands outside a run: those given, else the preset's family's."""
    from bench.plan.config import load_config
    from methods.registry import find

    entry = find(method)
    config = load_config(preset, command_line={"checkpoints": {method: list(given)}} if given else None)
    return checkpoint_files(config, method, domain, entry)
