"""The embedding networks: CurricularFace IR-101 (the metric) and ArcFace IR-SE-50 (the lineage's training loss).

Both are `methods.nets.irse.IRSEEmbedder`; images float32 (N, 3, 112, 112) in [-1, 1], RGB, to unit embeddings (N,
512). Files are bare state dictionaries with the official names. Source: identity card 1.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of
from methods.nets.irse import IR_101, IRSEConfig, IRSEEmbedder


def curricularface(path: str | Path) -> IRSEEmbedder:
    """CurricularFace IR-101 from `CurricularFace_Backbone.pth`: no squeeze-excite, last BatchNorm without affine.

    Raises:
        MissingError: The file is damaged or holds another network; the tensors that do not fit are named.
    """
    return _load(IR_101, False, Path(path), "CurricularFace IR-101")


def arcface(path: str | Path) -> IRSEEmbedder:
    """ArcFace IR-SE-50 from `model_ir_se50.pth`. Methods train on it, so as a metric it is only a diagnosis.

    Raises:
        MissingError: The file is damaged or holds another network; the tensors that do not fit are named.
    """
    return _load(IRSEConfig(), True, Path(path), "ArcFace IR-SE-50")


def _load(config: IRSEConfig, affine: bool, path: Path, what: str) -> IRSEEmbedder:
    with torch.device("meta"):
        network = IRSEEmbedder(config, affine=affine)
    load_strict(network, state_dict_of(read_checkpoint(path)), f"{path.name} ({what})")
    network.requires_grad_(False)
    return network.eval()


LOADERS = {"curricularface": curricularface, "arcface-irse50": arcface}
