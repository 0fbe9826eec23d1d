"""What is no file, no file of this kind, or not all of one."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path

from tests.unit.hostile.archives import CONTENT
from tests.unit.hostile.arrays import described
from tests.unit.hostile.making import (
    ZOO,
    every,
    npy,
    old_container,
    pickle_zip,
)
from tests.unit.hostile.pictures import saved


# --- what is no file, or no file of this kind ---
def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path, head: bytes = b"") -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1 << 40)


every("pipe", os.mkfifo)
every("socket", _socket)
every("folder", Path.mkdir)
every("zeros for ever", lambda path: path.symlink_to("/dev/zero"))
every("nothing for ever", lambda path: path.symlink_to("/dev/null"))
every("loop", lambda path: path.symlink_to(path.name))
every("nowhere", lambda path: path.symlink_to("gone"))
every("sparse", _sparse)
every("empty", Path.touch)
every("nul", lambda path: path.write_bytes(bytes(100_000)))
every("page", lambda path: path.write_bytes(b"\n<!DOCTYPE html><html><body>quota</body></html>"))
every("pointer", lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"))
ZOO["sparse array.npy"] = lambda path: _sparse(path, npy("<f4", (1 << 30,)))
ZOO["sparse tensors.safetensors"] = lambda path: _sparse(
    path,
    (lambda text: struct.pack("<Q", len(text)) + text)(json.dumps({"a": described([10**9], 0, 4 * 10**9)}).encode()),
)
ZOO["sparse, old.pt"] = lambda path: (old_container(path, CONTENT), os.truncate(path, 1 << 40))
ZOO["truncated.pt"] = lambda path: pickle_zip(path, CONTENT) or os.truncate(path, 200)
ZOO["truncated.zip"] = lambda path: pickle_zip(path, CONTENT) or os.truncate(path, 400)
ZOO["truncated.npy"] = lambda path: path.write_bytes(npy("<f4", (100,)) + bytes(100))
ZOO["truncated.jpg"] = lambda path: saved("JPEG")(path) or os.truncate(path, 700)
ZOO["truncated.webp"] = lambda path: saved("WEBP")(path) or os.truncate(path, 700)
ZOO["truncated.tif"] = lambda path: saved("TIFF")(path) or os.truncate(path, 700)
