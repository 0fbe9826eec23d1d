"""Wrong files are named in one sentence: what they look like, and what was expected."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.core.errors import ExitCode, MissingError
from bench.core.signature import expect, recognise
from tests import filling

# Manifest -> what its file is. The second files of two-file methods come after "/".
KNOWN = {
    "psp_ffhq": ("psp", "faces", 1024),
    "e4e_ffhq": ("e4e", "faces", 1024),
    "e4e_cars": ("e4e", "cars", 512),
    "restyle_e4e_ffhq": ("restyle", "faces", 1024),
    "restyle_e4e_cars": ("restyle", "cars", 512),
    "restyle_psp_ffhq": ("restyle-psp", "faces", 1024),
    "hyperstyle_ffhq": ("hyperstyle", "faces", 1024),
    "hyperstyle_cars": ("hyperstyle", "cars", 512),
    "hyperstyle_w_encoder_cars": ("hyperstyle's W encoder", "cars", 512),
    "hfgi_ffhq": ("hfgi", "faces", 1024),
    "style_transformer_ffhq": ("styletransformer", "faces", 1024),
    "style_transformer_cars": ("styletransformer", "cars", 512),
    "styleres_ffhq": ("styleres", "faces", 1024),
    "stylegan2_512": ("a StyleGAN2 generator", "cars", 512),
    "curricularface": ("an identity network", "", None),
    "warpc_glunet": ("a GLU-Net flow network", "", None),
}


def layout(name: str, *, options: bool = True) -> dict[str, Any]:
    """The file's layout with tensors of no size: names decide, not values."""
    listing = filling.manifest(name)
    values = {key: torch.empty(0) for key in listing["tensors"]}
    if name.startswith("styleres"):
        return filling._by_first_part(values)
    if name.startswith("stylegan2"):
        return {"g_ema": values}
    given = filling._OPTIONS.get(name) or (listing.get("container_example") or {}).get("opts")
    return filling.nested(values, given if options else None)


@pytest.mark.parametrize("name", KNOWN)
def test_released_files_are_recognised(name: str) -> None:
    looks = recognise(layout(name))
    assert (looks.what, looks.domain, looks.size) == KNOWN[name]


def test_psp_and_e4e_have_the_same_names_and_need_their_options() -> None:
    assert recognise(layout("psp_ffhq", options=False)).what == "e4e or psp"
    assert recognise(layout("restyle_psp_ffhq", options=False)).what == "restyle or restyle-psp"
    expect(layout("psp_ffhq", options=False), "file", "e4e", "faces")


@pytest.mark.parametrize(
    ("name", "method", "domain", "sentence"),
    [
        ("psp_ffhq", "e4e", "faces", "x.pt looks like psp for faces, 1024 px; expected e4e for faces, 1024 px"),
        ("e4e_cars", "e4e", "faces", "x.pt looks like e4e for cars, 512 px; expected e4e for faces, 1024 px"),
        ("hfgi_ffhq", "e4e", "faces", "x.pt looks like hfgi for faces, 1024 px; expected e4e for faces, 1024 px"),
        ("stylegan2_512", "psp", "faces", "x.pt looks like a StyleGAN2 generator for cars, 512 px; expected psp"),
        ("curricularface", "styleres", "faces", "x.pt looks like an identity network; expected styleres for faces"),
    ],
)
def test_a_wrong_file_is_one_sentence(name: str, method: str, domain: str, sentence: str) -> None:
    with pytest.raises(MissingError) as caught:
        expect(layout(name), "x.pt", method, domain)
    assert caught.value.what.startswith(sentence)
    assert "\n" not in caught.value.what
    assert caught.value.exit_code == ExitCode.MISSING


def test_other_data_sets_are_named() -> None:
    content = layout("e4e_ffhq")
    content["opts"] = {**content["opts"], "dataset_type": "church_encode"}
    with pytest.raises(MissingError, match="looks like e4e for church, 1024 px; expected e4e for faces"):
        expect(content, "x.pt", "e4e", "faces")


def test_a_foreign_dictionary_is_nothing_known() -> None:
    with pytest.raises(MissingError, match="looks like nothing known here; expected e4e"):
        expect({"model": {"layer.weight": torch.ones(1)}}, "x.pt", "e4e", "faces")
