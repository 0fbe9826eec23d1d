"""Base encoders of StyleRes and WarpRes: which there are, and how one is put together from the files given.

Files are told apart by content. Ours carry their configuration part by part, so that a generator, an encoder and what
was trained on top of them can lie in three files, each stored once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.checkpoint import refuse_strangers, state_dict_of
from bench.core.contract import Domain, Method
from bench.core.errors import MissingError
from bench.core.signature import recognise
from methods.e4e import adapter as e4e
from methods.generators import built, find_generator
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.psp import adapter as psp
from methods.registry import Checkpoint, MethodEntry, merged
from methods.styletransformer import adapter as styletransformer

BASES: Mapping[str, MethodEntry] = {
    entry.name: entry for entry in (*psp.METHODS, *e4e.METHODS, *styletransformer.METHODS)
}
_GENERATOR_GOLDENS: Mapping[Domain, str] = {"faces": "stylegan2_1024", "cars": "stylegan2_512"}
_BASE = ("encoder.", "decoder.", "latent_avg", styletransformer.MAPPING)


def parts_golden(base: str) -> tuple[str, ...]:
    """What the parts of a method on that base were compared under; as wholes such methods were never released."""
    entry = BASES[base]
    return (*entry.golden, *(_GENERATOR_GOLDENS[domain] for domain in entry.domains))


def pick(checkpoints: Sequence[Checkpoint], what: str, *, ours: bool | None = None) -> Checkpoint | None:
    """The file that looks like `what`, or None; `ours` restricts to our files or to the authors'."""
    for file in checkpoints:
        looks = recognise(file.content)
        if looks.fits(what) and ours in (None, looks.ours):
            return file
    return None


def ours_of(
    checkpoints: Sequence[Checkpoint], part: str, entry: MethodEntry, domain: Domain, also: Sequence[str] = ()
) -> Checkpoint:
    """Our file with the trained part ("styleres", "warpres").

    Args:
        also: Further parts whose tensors may lie in it.

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
            known = (*(f"{name}." for name in (part, *also)), *_BASE)
            refuse_strangers(state_dict_of(file.content), known, file.path)
            return file
    seen = "; ".join(f"{file.path.name} looks like {recognise(file.content)}" for file in checkpoints)
    raise MissingError(
        f"{entry.name} for {domain} needs the {part} parts that training writes, and no file has them ({seen})",
        f"python -m methods.training trains them; give: {entry.wanted}",
    )


def base_method(name: str, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Method:
    """pSp, e4e or StyleTransformer of the files, on the shared generator where one is given ("warpres" card, 3).

    A file with a generator but no encoder of this kind (rosinality's, the released StyleRes file, ours) is the shared
    one. Without one, the decoder in the encoder's own checkpoint stays.
    """
    entry = BASES[name]
    ours = _merged_ours(checkpoints)
    if ours is not None and "encoder" in ours.metadata["config"]:
        return entry.build(entry, domain, [_base_part(ours)])
    file = pick(checkpoints, name, ours=False)
    if file is None:
        seen = "; ".join(f"{file.path.name} looks like {recognise(file.content)}" for file in checkpoints)
        raise MissingError(f"no {name} checkpoint among the files given ({seen})", f"add it: {entry.files[0]}")
    base: Any = entry.build(entry, domain, [file])
    shared = shared_generator(checkpoints)
    if shared is not None:
        _check_exchange(shared.config, base.generator.config, f"{name} ({domain})", domain)
        base.generator = shared
    return base


def _check_exchange(shared: GeneratorConfig, own: GeneratorConfig, who: str, domain: Domain) -> None:
    """Raise MissingError unless the shared generator can take the place of the base method's own."""
    for what, given, wanted in (
        ("style rows", shared.rows, own.rows),
        ("numbers a row", shared.style_dim, own.style_dim),
        ("channels", dict(shared.channels), dict(own.channels)),
    ):
        if given != wanted:
            raise MissingError(
                f"the shared generator has {given} {what}, {who} has {wanted}", f"give the {domain} generator, or none"
            )


def _merged_ours(checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    ours = [file for file in checkpoints if file.metadata]
    return merged(ours) if ours else None


def _base_part(ours: Checkpoint) -> Checkpoint:
    """Our files without what was trained on top of the base method."""
    tensors = {name: value for name, value in state_dict_of(ours.content).items() if name.startswith(_BASE)}
    return Checkpoint(ours.path, {"state_dict": tensors, "metadata": ours.metadata})


def shared_generator(checkpoints: Sequence[Checkpoint]) -> Generator | None:
    """The generator of a file given for it, or None."""
    for file in checkpoints:
        if not file.metadata and ("generator_smooth" in file.content or "g_ema" in file.content):
            return _generator(file)
    ours = _merged_ours(checkpoints)
    return None if ours is None or "generator" not in ours.metadata["config"] else _generator(ours)


def _generator(file: Checkpoint) -> Generator | None:
    found = find_generator(file.content, file.path)
    return None if found is None else built(found, file.path)
