"""`weights fetch --from DIR`: files already downloaded, recognised by their content and put where the registry
looks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.core.archives import tar_members, zip_members
from bench.core.checkpoint import head_of, read_checkpoint
from bench.core.errors import MissingError
from bench.core.files import check_folder
from bench.core.options import options_of
from bench.core.signature import recognise
from bench.core.small_files import read_tensors
from bench.weights.fetch import pin
from bench.weights.registry import Entry, entries, find, folder_of, home
from bench.weights.transfer import digest_of

SUFFIXES = (".pt", ".pth", ".tar", ".npy", ".zip", ".gz", ".tgz", ".pkl", ".safetensors", ".ckpt", ".bin")
_SMALL = 10_000_000
_DIRECTION = 1_000_000
# In a file of that size, unless it claims more than it holds.
_VALUES = 1_000_000


@dataclass(frozen=True)
class Adoption:
    """What became of one file: the entry it is, or None and why not."""

    file: Path
    name: str | None
    detail: str


@dataclass(frozen=True)
class Contents:
    """What is recognised by: tensor names with shapes as `state_dict` names them, and the authors' encoder type."""

    shapes: Mapping[str, tuple[int, ...]]
    encoder_type: str = ""


def adopt(folder: Path | str, *, copy: bool = False) -> list[Adoption]:
    """Look through a folder and everything below it, and take over every file the registry knows.

    A file is linked into `home()` (hard link where the disk allows, else a copy); `copy` always copies. Names do not
    matter, except between networks whose tensors are the same.

    Returns one line a file that looks like weights.

    Raises:
        MissingError: No such folder.
        UsageError: Nothing can be written into `home()`.
    """
    root = Path(folder)
    if not root.is_dir():
        raise MissingError(f"{root}: no such folder")
    check_folder(home(), "WARPRES_BENCH_HOME")
    outcome = []
    for path in _candidates(root):
        try:
            outcome.append(_adopt(path, copy))
        except MissingError as error:
            outcome.append(Adoption(path, None, error.what))
        except Exception as error:  # whatever is wrong with one file, the others have their turn
            said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            outcome.append(Adoption(path, None, f"cannot be read ({said})"))
    return outcome


def identify(path: Path) -> list[Entry]:
    """Entries that a file can be, best first; several when its content cannot tell. Raises MissingError: damaged."""
    head_of(path)
    known = [item for item in entries().values() if item.status == "released"]
    by_digest = _by_digest(path, known)
    if by_digest:
        return by_digest
    members = _archive_members(path)
    if members is not None:
        return [item for item in known if item.members and set(item.members) <= members]
    by_values = _by_values(path, known)
    if by_values or path.suffix.lower() == ".npy":
        return by_values
    return matching(contents_of(read_checkpoint(path)), known, path.name)


def matching(contents: Contents, known: Iterable[Entry], file: str = "") -> list[Entry]:
    """Entries whose signature fits; the authors' own file name decides between equals."""
    found = [item for item in known if item.tensors and _fits(contents, item)]
    named = [item for item in found if item.encoder_type and item.encoder_type == contents.encoder_type]
    found = named or found
    same_name = [item for item in found if item.file == file]
    return same_name or found


def contents_of(checkpoint: Mapping[str, Any]) -> Contents:
    """Names and shapes of a checkpoint as `read_checkpoint` gives it: `state_dict` and `models` vanish, other levels
    join by dots.
    """
    encoder_type = str(options_of(checkpoint).get("encoder_type", ""))
    shapes = dict(_flat(checkpoint, ""))
    # StyleCLIP's own files say "mapper." before the names of StyleRes' slim copies.
    shapes |= {name.removeprefix("mapper."): shape for name, shape in shapes.items() if name.startswith("mapper.")}
    return Contents(shapes, encoder_type)


def _adopt(path: Path, copy: bool) -> Adoption:
    found = identify(path)
    if not found:
        return Adoption(path, None, f"not in the registry{_looks(path)}")
    if len(found) > 1:
        names = " or ".join(item.name for item in found)
        return Adoption(path, None, f"could be {names}: nothing inside tells; rename it to the authors' file name")
    item = found[0]
    if find(item) is not None:
        return Adoption(path, item.name, "already there")
    member = next((name for name, digest in item.members.items() if digest and digest == digest_of(path)), None)
    target = folder_of(item) / (member or item.file)
    _place(path, target, copy)
    if member is None:
        pin(item, target, digest_of(target))
    return Adoption(path, item.name, f"now {target}")


def _fits(contents: Contents, item: Entry) -> bool:
    for name, shape in item.tensors.items():
        if name not in contents.shapes or (shape and contents.shapes[name] != shape):
            return False
    if item.encoder_type and contents.encoder_type and item.encoder_type != contents.encoder_type:
        return False
    return not any(name.startswith(prefix) for prefix in item.absent for name in contents.shapes)


def _by_digest(path: Path, known: Sequence[Entry]) -> list[Entry]:
    digests: dict[str, list[Entry]] = {}
    for item in known:
        for digest in {item.sha256, *item.seen, *item.members.values()} - {""}:
            digests.setdefault(digest, []).append(item)
    # Files without a published digest are small or known by their tensors; hashing gigabytes for nothing takes minutes.
    if path.stat().st_size > _SMALL and not any(item.sha256 for item in known):
        return []
    return digests.get(digest_of(path), [])


def value_digest(path: Path) -> str:
    """SHA-256 of the float32 values of a small tensor file, keys in order; "" for a file that holds anything else.

    Repositories ship the same direction in files of different bytes.
    """
    try:
        content = read_tensors(path)
        parts = [content[key] for key in sorted(content)] if isinstance(content, dict) else [content]
        digest = hashlib.sha256()
        for part in parts:
            assert isinstance(part, Tensor) and not part.is_complex() and part.numel() <= _VALUES
            digest.update(part.detach().float().contiguous().numpy().astype("<f4").tobytes())
    except Exception:  # whatever is wrong with it, it is no direction; the reader for checkpoints says what it is
        return ""
    return digest.hexdigest()


def _by_values(path: Path, known: Sequence[Entry]) -> list[Entry]:
    if path.stat().st_size > _DIRECTION or path.suffix.lower() not in (".npy", ".pt", ".pth"):
        return []
    digest = value_digest(path)
    return [item for item in known if item.values and item.values == digest]


def _archive_members(path: Path) -> set[str] | None:
    """Base names inside a zip or tar file, or None for anything else; PyTorch's own zip files are not archives here."""
    if zipfile.is_zipfile(path):
        names = {Path(member.filename).name for member in zip_members(path)}
        return None if "data.pkl" in names else names
    if path.name.lower().endswith((".tar.gz", ".tgz", ".gz")):
        return {Path(member.name).name for member in tar_members(path)}
    return None


def _flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, value in content.items():
        if isinstance(value, Tensor):
            yield prefix + str(key), tuple(value.shape)
        elif isinstance(value, Mapping) and key != "metadata":
            yield from _flat(value, prefix if key in ("state_dict", "models") else f"{prefix}{key}.")


def _looks(path: Path) -> str:
    try:
        looks = recognise(read_checkpoint(path))
    except MissingError:
        return ""
    return f"; it looks like {looks}" if looks.what else ""


def _candidates(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name.lower().endswith(SUFFIXES))


def _place(source: Path, target: Path, copy: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not copy:
            try:
                os.link(source.resolve(), target)
                return
            except OSError:
                pass
        fresh = target.with_name(target.name + ".part")
        shutil.copyfile(source, fresh)
        fresh.replace(target)
    except OSError as error:
        advice = "choose another folder with WARPRES_BENCH_HOME"
        raise MissingError(f"{target}: cannot be written ({error.strerror or error})", advice) from error
