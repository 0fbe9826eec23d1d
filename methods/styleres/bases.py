"""Base encoders of StyleRes and WarpRes: which there are, and how one is put together from the files given.

Files are told apart by content. Ours carry their configuration part by part, so that a generator, an encoder and what
was trained on top of them can lie in three files, each stored once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bench.contract import Domain
from bench.errors import MissingError
from bench.weights.load import load_strict, state_dict_of, take
from bench.weights.signature import recognise
from methods.nets.configs import from_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.registry import Checkpoint, MethodEntry, find, merged
from methods.styleres.names import RELEASED_CLAMP, generator_tensors

BASES: Mapping[str, tuple[Domain, ...]] = {
    "psp": ("faces",),
    "e4e": ("faces", "cars"),
    "styletransformer": ("faces", "cars"),
}


def pick(checkpoints: Sequence[Checkpoint], what: str, *, ours: bool | None = None) -> Checkpoint | None:
    """The file that looks like `what`, or None; `ours` restricts to our files or to the authors'."""
    for file in checkpoints:
        looks = recognise(file.content)
        if looks.fits(what) and ours in (None, looks.ours):
            return file
    return None


def ours_of(checkpoints: Sequence[Checkpoint], part: str, entry: MethodEntry, domain: Domain) -> Checkpoint:
    """Our file with the trained part ("styleres", "warpres").

    Raises:
        MissingError: None of the files has it, or it was trained for another domain or, where it says so, another base.
    """
    base = entry.name.rpartition("+")[0] or "e4e"
    for file in checkpoints:
        if part in file.metadata.get("config", {}):
            for what, wanted in (("domain", domain), ("base", base)):
                if (found := file.metadata.get(what, wanted)) != wanted:
                    raise MissingError(
                        f"{file.path} was trained for {what} {found}; {entry.name} ({domain}) needs {wanted}",
                        f"give the {part} parts trained for {wanted}",
                    )
            return file
    seen = "; ".join(f"{file.path.name} looks like {recognise(file.content)}" for file in checkpoints)
    raise MissingError(
        f"{entry.name} for {domain} needs the {part} parts that training writes, and no file has them ({seen})",
        f"python -m methods.training trains them; give all of: {'; '.join(entry.files)}",
    )


def base_method(name: str, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Any:
    """pSp, e4e or StyleTransformer of the files, on the shared generator where one is given ("warpres" card, 3).

    A file with a generator but no encoder of this kind (rosinality's, the released StyleRes file, ours) is the shared
    one. Without one, the decoder in the encoder's own checkpoint stays.
    """
    entry = find(name)
    own = [file for file in checkpoints if file.metadata]
    ours = merged(own) if own else None
    if ours is not None and "encoder" in ours.metadata["config"]:
        return entry.build(entry, domain, [_base_part(ours)])
    file = pick(checkpoints, name, ours=False)
    if file is None:
        seen = "; ".join(f"{file.path.name} looks like {recognise(file.content)}" for file in checkpoints)
        raise MissingError(f"no {name} checkpoint among the files given ({seen})", f"add it: {entry.files[0]}")
    base: Any = entry.build(entry, domain, [file])
    shared = shared_generator(checkpoints)
    if shared is not None:
        if shared.config.rows != base.latent_rows:
            raise MissingError(
                f"the shared generator has {shared.config.rows} style rows, {name} ({domain}) has {base.latent_rows}",
                f"give the {domain} generator, or none",
            )
        base.generator = shared
    return base


def _base_part(ours: Checkpoint) -> Checkpoint:
    """Our files without what was trained on top of the base method."""
    own = ("encoder.", "decoder.", "latent_avg")
    tensors = {name: value for name, value in state_dict_of(ours.content).items() if name.startswith(own)}
    return Checkpoint(ours.path, {"state_dict": tensors, "metadata": ours.metadata})


def shared_generator(checkpoints: Sequence[Checkpoint]) -> Generator | None:
    """The generator of a file given for it, or None."""
    for file in checkpoints:
        if file.metadata:
            continue
        content, clamp = file.content, None
        if isinstance(content.get("generator_smooth"), dict):
            tensors, clamp = generator_tensors(content["generator_smooth"]), RELEASED_CLAMP
        elif isinstance(content.get("g_ema"), dict):
            tensors = content["g_ema"]
        else:
            continue
        size = 8 << max(int(name.split(".")[1]) for name in tensors if name.startswith("to_rgbs."))
        with torch.device("meta"):
            generator = Generator(GeneratorConfig.config_f(size, clamp=clamp))
        load_strict(generator, tensors, f"{file.path}: generator")
        return generator
    own = [file for file in checkpoints if file.metadata]
    ours = merged(own) if own else None
    if ours is not None and "generator" in ours.metadata["config"]:
        with torch.device("meta"):
            generator = Generator(from_dict(GeneratorConfig, ours.metadata["config"]["generator"]))
        load_strict(generator, take(state_dict_of(ours.content), "decoder."), f"{ours.path}: generator")
        return generator
    return None
