"""Where a method's checkpoint files lie: shipped with a data set, released and fetched, or beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import MissingError, UsageError
from bench.core.metadata import read_metadata
from bench.data import kind_of, kinds
from bench.weights import registry

if TYPE_CHECKING:
    from bench.core.contract import Domain
    from bench.data.listing import Kind
    from methods.registry import MethodEntry

RELEASED = "released"
WORLD_RECIPES = Path(__file__).parent / "training" / "recipes" / "world"


class AbsentError(MissingError):
    """A method's checkpoint that is not here; `status` says whether anybody has it, `files` which ones (registry)."""

    def __init__(self, what: str, next_step: str = "", status: str = "missing", files: Sequence[str] = ()) -> None:
        super().__init__(what, next_step, files)
        self.status = status


def family_files(weights: str, name: str, domain: Domain, entry: MethodEntry) -> tuple[Path, ...]:
    """A method's files in a family of weights: "released", or the name of a data set that comes with its own.

    Raises AbsentError where there are none.
    """
    if not entry.files:
        return ()
    if weights == RELEASED:
        return released(name, domain, entry)
    kind = family(weights)
    assert kind.weights is not None
    return tuple(kind.weights / file for file in entry.world) or shipped(kind, name)


def family(name: str) -> Kind:
    """The kind of data set that comes with weights of its own. Raises UsageError for one without, or unknown."""
    kind = kind_of(name)
    if kind.weights is None:
        raise UsageError(f"no weights come with the data set {kind.name}", f"weights = {RELEASED!r}")
    return kind


def beside(names: Sequence[str]) -> list[Path]:
    """Released files that one of ours was trained on, by registry name. Raises AbsentError."""
    try:
        return [registry.locate(name) for name in names]
    except MissingError as error:
        raise AbsentError(error.what, error.next_step, files=error.files) from None


def part_of(file: Path, part: str) -> Path:
    """A part that a file of ours was trained on: beside it, in the folder of the training that made it, or shipped.

    Raises AbsentError where there is none, or none with the digest that the training noted.
    """
    from bench.core.checkpoint import file_digest

    trained = file.parent.with_name(Path(part).stem) / part
    here = [folder / part for folder in shipped_folders()]
    places = [path for path in (file.with_name(part), trained, *here) if path.is_file()]
    wanted = metadata(file).get("made", {}).get("inputs", {}).get(part)
    for path in places:
        if wanted is None or file_digest(path) == wanted:
            return path
    why = "is not here" if not places else f"is another than that it was trained on ({places[0]})"
    raise AbsentError(f"{part}, a part of {file}, {why}", f"put it beside {file.name}, or give both files")


def shipped_folders() -> list[Path]:
    """Folders of weights that come with kinds of data sets."""
    return [kind.weights for kind in kinds().values() if kind.weights is not None]


def shipped(family: Kind, name: str) -> tuple[Path, ...]:
    """Our own checkpoint, with the files beside it that its metadata names as parts (a shared generator or encoder).

    On e4e a residual method is the one without a base in its name.
    """
    assert family.weights is not None
    file = family.weights / f"{registry.short_name(name)}.safetensors"
    if not file.is_file():
        raise AbsentError(f"no checkpoint of {name} for the {family.name} world is shipped", _training_of(name))
    return (file, *(file.with_name(part) for part in metadata(file).get("parts", [])))


def has_world_weights(name: str) -> bool:
    """Whether a method's weights for the world are shipped, or a recipe would train them."""
    stem = registry.short_name(name)
    here = [folder / f"{stem}.safetensors" for folder in shipped_folders()]
    return any(file.is_file() for file in (*here, WORLD_RECIPES / f"{stem}.toml"))


def _training_of(name: str) -> str:
    """What to do for a method without shipped weights: the command that trains it, where there is a recipe."""
    stem = registry.short_name(name)
    if not (WORLD_RECIPES / f"{stem}.toml").is_file():
        return f"give one that was trained on the world's generator: --checkpoint {name}=FILE"
    file = f"training-runs/world/{stem}/{stem}.safetensors"
    return f"train it (python -m methods.training world --only {stem}) and add --checkpoint {name}={file}"


def metadata(file: Path) -> dict[str, Any]:
    """Metadata of a safetensors file. Raises AbsentError for a damaged one."""
    try:
        return read_metadata(file)
    except MissingError as error:
        shipped = file.parent in shipped_folders()
        advice = f"restore it: git checkout -- {file.parent}" if shipped else "write it again"
        raise AbsentError(f"{file} is damaged: {error.what}", advice) from None


def released(name: str, domain: Domain, entry: MethodEntry) -> tuple[Path, ...]:
    """The authors' files of a method for a domain, as the registry names them and where they were fetched to.

    Raises AbsentError where there are none, none were released, or one is not fetched yet.
    """
    if domain in entry.released:
        return _located([registry.entry(item) for item in entry.released[domain]])
    items = registry.checkpoint_entries(name, domain)
    if not items:
        raise AbsentError(
            f"no checkpoint of {name} was released", f"give one: --checkpoint {name}=FILE", "not released"
        )
    closed = [item for item in items if item.status == "not released"]
    if closed:
        error = registry.missing(closed[0])
        raise AbsentError(error.what, error.next_step, "not released")
    return _located(items)


def _located(items: Sequence[registry.Entry]) -> tuple[Path, ...]:
    try:
        return tuple(registry.all_paths(items))
    except MissingError as error:
        raise AbsentError(error.what, error.next_step, files=error.files) from None
