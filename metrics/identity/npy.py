"""Reading `.npy` files that hold a pickled dictionary of arrays, without letting the pickle run anything."""

from __future__ import annotations

import io
import pickle
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.core.archives import open_tar, read_member, read_tar_member, tar_members, zip_members
from bench.core.errors import MissingError
from bench.core.files import regular_size
from bench.core.pickles import Allowed, look_through

# What rebuilding arrays and dictionaries takes, under the module names of NumPy 1 and 2; everything else is refused.
_ALLOWED = {
    (module, name)
    for module, names in {
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
        "numpy": ("ndarray", "dtype"),
        "collections": ("OrderedDict",),
        "_codecs": ("encode",),
    }.items()
    for name in names
}
_NAMES = Allowed(
    frozenset(f"{module}.{name}" for module, name in _ALLOWED) - {"numpy.ndarray"}, re.compile(r"numpy\.ndarray")
)
# The largest of such files has two megabytes.
_MOST = 64 << 20
_NEXT = "run_bench.py weights fetch mtcnn"


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """What rebuilds an array of numbers; refuses every other name."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"forbidden global {module}.{name}")
        return super().find_class(module, name)


def read_arrays(path: Path, names: Sequence[str]) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Dictionaries {tensor name: array} of `<name>.npy` in the folder or archive `path`, or beside the file `path`.

    Raises:
        MissingError: No such file, damaged, or its pickle asks for anything but arrays.
    """
    members = _members(path, [f"{name}.npy" for name in names])
    found = {}
    for name in names:
        if f"{name}.npy" not in members:
            raise MissingError(f"{name}.npy is not in {path}", _NEXT)
        found[name] = _dictionary(members[f"{name}.npy"], f"{name}.npy of {path}")
    return found


def _members(path: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Bytes of the files that are wanted, by name; no more of an archive is unpacked than they may have."""
    if path.is_file() and path.suffix == ".npy":
        path = path.parent
    try:
        if path.is_dir():
            here = [file for file in path.rglob("*.npy") if file.name in wanted]
            return {file.name: file.read_bytes() for file in here if regular_size(file) <= _MOST}
        regular_size(path)
        if zipfile.is_zipfile(path):
            items = [item for item in zip_members(path) if _fits(item.filename, item.file_size, wanted)]
            with zipfile.ZipFile(path) as archive:
                return {Path(item.filename).name: read_member(archive, item, _MOST) for item in items}
        files = [item for item in tar_members(path) if item.isfile() and _fits(item.name, item.size, wanted)]
        with open_tar(path) as tar:
            return {Path(file.name).name: read_tar_member(tar, file, _MOST) for file in files}
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise MissingError(f"{path} cannot be read as a folder or archive of .npy files ({error})", _NEXT) from None


def _fits(name: str, size: int, wanted: Sequence[str]) -> bool:
    return Path(name).name in wanted and size <= _MOST


def _dictionary(content: bytes, where: str) -> Mapping[str, np.ndarray]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = reader(file)
        if dtype != np.dtype(object):
            raise MissingError(f"{where} holds an array, not a dictionary of arrays", _NEXT)
        start = file.tell()
        look_through(file, len(content), _NAMES)
        file.seek(start)
        holder = _ArraysOnly(file, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise MissingError(
            f"{where} is refused: its pickle is not of arrays alone ({error}); nothing was run", _NEXT
        ) from None
    except MissingError:
        raise
    except Exception as error:  # whatever a damaged or hostile pickle makes of the reader
        raise MissingError(f"{where} is damaged ({error})", _NEXT) from None
    inner = holder.item() if isinstance(holder, np.ndarray) and holder.size == 1 else holder
    if not isinstance(inner, Mapping) or not all(isinstance(value, np.ndarray) for value in inner.values()):
        raise MissingError(f"{where} does not hold a dictionary of arrays", _NEXT)
    return inner
