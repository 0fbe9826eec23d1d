"""Every encoder-based method keeps the contract, on small networks of the same classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.checkpoint import read_checkpoint, write_safetensors
from bench.core.errors import MissingError, UsageError
from methods import load_method
from methods.conformance import check
from tests.unit.methods.small import write_small

CASES = [
    ("e4e", "faces"),
    ("e4e", "cars"),
    ("psp", "faces"),
    ("restyle", "faces"),
    ("restyle", "cars"),
    ("restyle-psp", "cars"),
    ("hyperstyle", "faces"),
    ("hyperstyle", "cars"),
]


@pytest.mark.parametrize(("name", "domain"), CASES)
def test_conformance(name: str, domain: Any, tmp_path: Path) -> None:
    method = load_method(name, domain=domain, checkpoint=write_small(tmp_path, name, domain))
    assert method.input_size == method.output_size == ((64, 64) if domain == "faces" else (48, 64))
    findings = check(method)
    assert len(findings) == 10
    assert not [finding for finding in findings if not finding.ok]


def test_cars_are_the_middle_rows_of_the_generator(tmp_path: Path) -> None:
    method: Any = load_method("e4e", domain="cars", checkpoint=write_small(tmp_path, "e4e", "cars"))
    inversion = method.invert(torch.zeros(1, 3, 48, 64))
    whole = method.generator(inversion.codes)
    assert torch.equal(method.edit(inversion), whole[:, :, 8:56])


def test_deltas_go_over_a_shared_row_and_rows_do_not(tmp_path: Path) -> None:
    images = torch.rand(1, 3, 64, 64)
    e4e: Any = load_method("e4e", checkpoint=write_small(tmp_path, "e4e", "faces"))
    psp: Any = load_method("psp", checkpoint=write_small(tmp_path, "psp", "faces"))
    own = psp.encoder(images)
    expected = torch.cat([own[:, :1], own[:, :1] + own[:, 1:]], 1)
    torch.testing.assert_close(e4e.encoder(images), expected)
    torch.testing.assert_close(e4e.invert(images).codes, expected + e4e.latent_avg)


def test_hyperstyle_keeps_the_offsets_of_the_image(tmp_path: Path) -> None:
    method: Any = load_method("hyperstyle", checkpoint=write_small(tmp_path, "hyperstyle", "faces"))
    inversion = method.invert(torch.rand(2, 3, 64, 64))
    assert sorted(inversion.offsets) == list(range(9))
    assert torch.equal(inversion.codes[:, 0] - method.latent_avg[0], inversion.codes[:, 5] - method.latent_avg[5])
    plain = method.generator(inversion.codes)
    assert (method.edit(inversion) - plain).abs().max() > 1e-3
    sliced = inversion[1:]
    assert all(len(offset) == 1 for offset in sliced.offsets.values())


def test_another_method_of_ours_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write_small(tmp_path, "psp", "faces")
    with pytest.raises(MissingError, match="looks like psp for faces; expected e4e for cars"):
        load_method("e4e", domain="cars", checkpoint=path)


@pytest.mark.parametrize("name", ["e4e", "restyle", "hyperstyle"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("decoder.convs.0.conv.weight"), r"missing decoder\.convs\.0\.conv\.weight"),
        (lambda tensors: tensors.update({"encoder.body.99.x": torch.ones(1)}), r"unexpected encoder\.body\.99\.x"),
        (lambda tensors: tensors.update({"decoder.input.input": torch.ones(1, 3, 4, 4)}), "decoder.input.input has"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: str, change: Any, said: str, tmp_path: Path) -> None:
    read = read_checkpoint(write_small(tmp_path, name, "faces"))
    tensors = dict(read["state_dict"])
    change(tensors)
    write_safetensors(tmp_path / "changed.safetensors", tensors, read["metadata"])
    with pytest.raises(MissingError, match=said):
        load_method(name, checkpoint=tmp_path / "changed.safetensors")


@pytest.mark.parametrize("name", ["psp", "restyle", "hyperstyle"])
def test_a_tensor_of_no_part_is_named(name: str, tmp_path: Path) -> None:
    read = read_checkpoint(write_small(tmp_path, name, "faces"))
    write_safetensors(tmp_path / "more.safetensors", {**read["state_dict"], "extra.a": torch.ones(1)}, read["metadata"])
    with pytest.raises(MissingError, match=r"unexpected extra\.a"):
        load_method(name, checkpoint=tmp_path / "more.safetensors")


def test_restyles_average_image_is_float32_whatever_the_first_call_was(tmp_path: Path) -> None:
    path = write_small(tmp_path, "restyle", "faces")
    rough, fresh = (load_method("restyle", checkpoint=path) for _ in range(2))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        rough.invert(images)
    assert rough.average_image().dtype == torch.float32  # type: ignore[attr-defined]
    assert torch.equal(rough.invert(images).codes, fresh.invert(images).codes)


def test_a_hypernetwork_without_square_layers_needs_no_shared_one() -> None:
    from methods.hyperstyle.network import HyperNet
    from tests.unit.methods.small import GENERATOR, HYPER

    # Offsets 14 and 15 belong to the layers of 64 px, 12 -> 8 and 8 -> 8 channels.
    network = HyperNet(replace(HYPER, tuned=(11, 12)), GENERATOR, 64).eval()
    offsets = network(torch.zeros(2, 6, 64, 64))
    assert {layer: tuple(offset.shape) for layer, offset in offsets.items()} == {
        7: (2, 8, 12, 1, 1),
        8: (2, 8, 8, 1, 1),
    }


def test_number_of_files_is_checked(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=r"hyperstyle needs 2 file\(s\), got 1"):
        load_method("hyperstyle", checkpoint=tmp_path / "a.pt")
