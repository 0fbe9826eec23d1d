"""PyTorch's and safetensors' files as they are on disk: looked through first, then read without running anything.

Nothing is made of a file that claims more than it holds: members, storages and views are held against its size.
"""

from __future__ import annotations

import argparse
import datetime
import io
import mmap
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from bench.core.archives import read_member, zip_members
from bench.core.errors import MissingError
from bench.core.metadata import check_head, parsed
from bench.core.pickles import Allowed, ForbiddenError, UnpicklingError, look_through

FETCH = "run_bench.py weights fetch (or weights fetch --from DIR for files you already have)"
# What an authors' file may hold beside tensors and plain containers: attribute storage, dates, NumPy's scalars (a
# step, a loss) and paths of a configuration, all of them inert.
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
_CORES = ("core", "_core")
_NUMPY_TYPES = (
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool",
    "str",
)  # fmt: skip
_DATES = (datetime.datetime, datetime.date, datetime.timedelta)
_CALLED: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "numpy.dtype": np.dtype,
    **{f"datetime.{kind.__name__}": kind for kind in _DATES},
    **{f"numpy.{core}.multiarray._reconstruct": np.ones(0).__reduce__()[0] for core in _CORES},
    **{f"numpy.{core}.multiarray.scalar": np.float64(0).__reduce__()[0] for core in _CORES},
    **{f"{module}.{name}": PurePosixPath for module in ("pathlib", "pathlib._local") for name in _PATHS},
}
# These stand for themselves alone: as text, the small may become large.
_NAMED: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    **{f"builtins.{kind.__name__}": kind for kind in (list, dict, int, float, str, tuple)},
}
_OF_TORCH = (
    *(f"torch._utils._rebuild_{what}" for what in ("tensor", "tensor_v2", "tensor_v3", "parameter")),
    *("torch._utils._rebuild_parameter_with_state", "torch._tensor._rebuild_from_type_v2"),
    *("torch.nn.parameter.Parameter", "torch.Size", "torch.device", "torch.serialization._get_layout"),
    *("collections.OrderedDict", "collections.Counter", "_codecs.encode"),
    *("builtins.bytearray", "builtins.set", "builtins.complex"),
)
_TYPES = r"torch\.((cuda\.|storage\.)?\w*Storage|[a-z]*\d\w*|bool|half|float|double|long|int|short|strided|Tensor)"
_VALUES = "|".join(re.escape(name) for name in _NAMED)
ALLOWED = Allowed(frozenset({*_CALLED, *_OF_TORCH}), re.compile(f"{_VALUES}|{_TYPES}"))
# The pickles of PyTorch's older container: a mark, a version, the system, the content, the keys of its storages.
_OLD_PARTS, _OLD_MARK = 5, 0x1950A86A20F9469CFC6C
_MOST_PICKLE = 64 << 20


def is_safetensors(path: Path, head: bytes) -> bool:
    """Whether a file of these first bytes is to be read as safetensors."""
    return path.suffix.lower() == ".safetensors" or (len(head) > 8 and head[8:9] == b"{" and not head.startswith(b"PK"))


def read_safetensors(path: Path) -> dict[str, Any]:
    """{"state_dict": tensors by name, "metadata": values by key, parsed from JSON}.

    Raises MissingError: it is truncated, damaged, or describes more than a checkpoint has.
    """
    check_head(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            metadata = {key: parsed(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError, AttributeError, RuntimeError, TypeError, MemoryError) as error:
        raise MissingError(f"{path} is a truncated or damaged safetensors file ({error})", FETCH) from None
    return {"state_dict": tensors, "metadata": metadata}


def read_torch(path: Path, head: bytes) -> object:
    """What `torch.save` wrote, in either of its containers; tensors may be memory-mapped.

    Raises MissingError: truncated, damaged, no such file, asks for code, or claims more than it holds.
    """
    zipped = head.startswith(b"PK")
    if zipped and not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise MissingError(f"{path} is a truncated zip archive ({size:,} bytes): the download was cut off", FETCH)
    try:
        _look_through_zip(path) if zipped else _look_through_plain(path)
        with safe_globals():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MissingError:
        raise
    except Exception as error:  # whatever a hostile or damaged file makes of the reader
        raise _refusal(path, zipped, error) from None


def read_torch_bytes(content: bytes) -> object:
    """What `torch.save` wrote into a pickle of somebody else's. Raises UnpicklingError, or what PyTorch raises."""
    if not content.startswith(b"PK"):
        _look_through_parts(io.BytesIO(content), len(content))
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    raise UnpicklingError("an archive in a pickle")


@contextmanager
def safe_globals() -> Iterator[None]:
    """What a file may hold beside tensors and plain containers, for PyTorch's weights-only reader."""
    named = [(value, name) for name, value in {**_CALLED, **_NAMED}.items()]
    types = [type(np.dtype(name)) for name in _NUMPY_TYPES]
    with warnings.catch_warnings(), torch.serialization.safe_globals([*named, *types]):
        # PyTorch warns of pickle protocols that it may not know; what it does not know is refused anyway.
        warnings.simplefilter("ignore", UserWarning)
        yield


def _look_through_zip(path: Path) -> None:
    size = path.stat().st_size
    # PyTorch stores its members as they are; a compressed one may unpack to anything.
    members = zip_members(path, most_bytes=1 << 50)
    if any(item.compress_type != zipfile.ZIP_STORED or item.file_size > size for item in members):
        raise MissingError(
            f"{path} is a compressed zip archive, not a checkpoint as PyTorch writes it", "unpack it, or save it again"
        )
    # PyTorch finds its members whatever the case of their letters.
    found = [item for item in members if PurePosixPath(item.filename).name.lower() == "data.pkl"]
    if len(found) == 1:
        with zipfile.ZipFile(path) as archive:
            content = read_member(archive, found[0], _MOST_PICKLE)
        look_through(io.BytesIO(content), size, ALLOWED)
    elif found:
        raise UnpicklingError("it has several contents")


def _look_through_plain(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # A map is a stream of bytes that never reads beyond its end.
        _look_through_parts(cast("IO[bytes]", content), len(content))


def _look_through_parts(stream: IO[bytes], size: int) -> None:
    for part in range(_OLD_PARTS):
        found = look_through(stream, size, ALLOWED)
        if part == 0 and found != _OLD_MARK:
            raise UnpicklingError("it is a pickle of another program")


def _refusal(path: Path, zipped: bool, error: Exception) -> MissingError:
    if isinstance(error, ForbiddenError):
        return MissingError(
            f"{path} is a pickle that asks for the forbidden global {error.name}; nothing of it was run",
            "use the authors' plain checkpoint (tensors and options only); or, where you trust the file and have its "
            f'code: c = torch.load("{path.name}", weights_only=False); '
            'torch.save({"state_dict": c["state_dict"], "latent_avg": c.get("latent_avg")}, "plain.pt")',
        )
    why = str(error) if type(error) is UnpicklingError else type(error).__name__
    if zipped:
        return MissingError(
            f"{path} is a zip archive but not a whole PyTorch checkpoint ({why}): damaged, truncated or made to harm",
            FETCH,
        )
    return MissingError(f"{path} is not a PyTorch checkpoint, or a truncated one ({why}); nothing of it was run", FETCH)
