"""Networks of this field by the names of their tensors alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

# First match wins: (what it is, prefixes that must all occur, prefixes that must not).
SIGNATURES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("hfgi", ("encoder.styles.", "residue.", "grid_align."), ()),
    ("styleres", ("e4e.", "generator_smooth."), ()),
    ("an EG3D generator", ("backbone.synthesis.", "superresolution."), ()),
    ("GOAE's encoder", ("swin_model.", "mapper_base_spatial."), ()),
    ("GOAE's AFA module", ("cross_att_gamma.", "cross_att_beta."), ()),
    ("sfe", ("inverter.fs_backbone.", "inverter.fuser.", "encoder.conv."), ()),
    ("hyperstyle", ("hypernet.",), ()),
    ("hyperstyle's W encoder", ("encoder.body.", "encoder.linear."), ("encoder.styles.",)),
    ("styletransformer", ("encoder.module.",), ()),
    ("e4e or psp", ("encoder.latlayer1.", "encoder.styles."), ()),
    ("restyle or restyle-psp", ("encoder.body.", "encoder.styles."), ()),
    ("featurestyle's encoder", ("block_1.", "content_layer."), ()),
    ("a StyleGAN2 generator", ("g_ema.",), ()),
    ("a StyleGAN2 discriminator", ("d.convs.",), ()),
    ("a StyleGAN2 discriminator", ("discriminator.b4.",), ()),
    ("VGG16 (Keras)", ("layer0.", "layer28."), ()),
    ("MoCo's ResNet-50", ("module.encoder_q.",), ()),
    ("an identity network", ("input_layer.", "output_layer."), ()),
    ("a GLU-Net flow network", ("pyramid.level_0.", "decoder4."), ()),
    ("a StyleGAN2 decoder without an encoder", ("decoder.convs.",), ()),
    ("a StyleGAN2 generator", ("style.", "convs.", "to_rgb1."), ()),
)
_GENERATOR = ("style.", "convs.", "to_rgb1.")


def known_names(content: Mapping[str, Any]) -> str:
    """What the tensors of a checkpoint are called like: a method, a part of one, or "" for nothing known."""
    names = list(tensor_names(content))
    return next((label for label, need, without in SIGNATURES if _has(names, need, without)), "")


def is_generator(tensors: Mapping[Any, Any]) -> bool:
    """Whether these are a StyleGAN2 generator's by rosinality's names."""
    return _has([str(name) for name in tensors], _GENERATOR, ())


def tensor_names(content: Mapping[str, Any]) -> Iterable[str]:
    """Names of the tensors of a checkpoint, those of a "state_dict" without that."""
    inner = content.get("models")  # some files of the GenForce family have their networks one level deeper
    for key, value in (inner if isinstance(inner, Mapping) else content).items():
        if isinstance(value, Tensor):
            yield str(key)
        elif isinstance(value, Mapping):
            prefix = "" if key == "state_dict" else f"{key}."
            yield from (prefix + str(name) for name, inner in value.items() if isinstance(inner, Tensor))


def _has(names: list[str], need: tuple[str, ...], without: tuple[str, ...]) -> bool:
    return all(any(name.startswith(prefix) for name in names) for prefix in need) and not any(
        name.startswith(without) for name in names if without
    )
