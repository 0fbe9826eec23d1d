"""Reading checkpoints: what is fine is read, what is not is named, and nothing of a file is ever run."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from bench.core.checkpoint import (
    file_digest,
    load_part,
    load_strict,
    read_checkpoint,
    state_dict_of,
    take,
    write_safetensors,
)
from bench.core.errors import ExitCode, MissingError
from bench.core.options import options_of


class Touch:
    """Creates a file when unpickled by anything that runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)


class Evaluate:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return eval, (f"__import__('pathlib').Path({str(self.path)!r}).touch()",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("namespace", [True, False])
def test_authors_files_come_back_as_saved(tmp_path: Path, zipped: bool, namespace: bool) -> None:
    options = {"stylegan_size": 1024, "label": None, "paths": ["a", "b"]}
    content = {
        "state_dict": OrderedDict({"encoder.weight": torch.arange(3.0)}),
        "latent_avg": torch.ones(2),
        "opts": argparse.Namespace(**options) if namespace else options,
    }
    path = tmp_path / "with space, ü.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert torch.equal(state_dict_of(read)["encoder.weight"], torch.arange(3.0))
    assert torch.equal(read["latent_avg"], torch.ones(2))
    assert options_of(read) == options


@pytest.mark.parametrize("evil", [Touch, Evaluate])
@pytest.mark.parametrize("how", ["zip", "legacy", "pickle-2", "pickle-5", "options"])
def test_malicious_pickles_are_named_and_never_run(tmp_path: Path, evil: Any, how: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "file.pt"
    bomb = evil(trace)
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps(bomb, int(how[-1])))
    else:
        content = {"state_dict": {"a": torch.ones(1)}, "opts": argparse.Namespace(x=bomb) if how == "options" else bomb}
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")
    with pytest.raises(
        MissingError, match="nothing of it was run" if how == "pickle-5" else r"forbidden global .*(system|eval)"
    ) as caught:
        read_checkpoint(path)
    assert caught.value.exit_code == ExitCode.MISSING
    assert not trace.exists()
    # The bomb is live: whoever unpickles it plainly is hit.
    if how == "pickle-5":
        pickle.loads(path.read_bytes())
        assert trace.exists()


class Calls:
    """Pickles as a call of a function of PyTorch's own, which the name alone does not make harmless."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle-2", "pickle-5"])
@pytest.mark.parametrize(
    ("function", "named"),
    [(torch.hub.load, "torch.hub.load"), (torch.load, "torch.serialization.load"), (nn.Linear, "torch.nn.modules.lin")],
)
def test_functions_of_pytorch_are_forbidden_too(tmp_path: Path, function: Any, named: str, how: str) -> None:
    path, call = tmp_path / "file.pt", Calls(function, 1, 1)
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps({"a": OrderedDict(b=OrderedDict()), "c": call}, int(how[-1])))
    else:
        torch.save({"a": torch.ones(1), "c": call}, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(
        MissingError, match="nothing of it was run" if how == "pickle-5" else rf"forbidden global {named}"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_cut_pickle_of_allowed_things_is_cut_and_not_forbidden(tmp_path: Path, protocol: int) -> None:
    # Names repeat, so that protocol 5 takes them from its memo.
    things = {str(i): [OrderedDict(), argparse.Namespace(x=i), {i}, bytearray(b"x")] for i in range(20)}
    (tmp_path / "file.pt").write_bytes(pickle.dumps(things, protocol)[:-4])
    with pytest.raises(MissingError, match="not a PyTorch checkpoint, or a truncated one"):
        read_checkpoint(tmp_path / "file.pt")


def _web_page(path: Path) -> None:
    path.write_text("\n <!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>")


def _truncated_zip(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def _truncated_legacy(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def _damaged_zip(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path)
    content = bytearray(path.read_bytes())
    start = content.index(b"data.pkl") + 40
    content[start : start + 30] = bytes(30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (_web_page, "web page"),
        (lambda path: path.write_text("<!-- saved from url=(0042) -->\n<html>"), "web page"),
        (lambda path: path.write_text("\n\t <BODY onload='x()'>quota exceeded"), "web page"),
        (lambda path: path.write_text("\ufeff\r\n<head>", encoding="utf-8"), "web page"),
        (lambda path: path.write_text("<!DOCTYPE html>", encoding="utf-16"), "web page"),
        (_truncated_zip, "truncated zip"),
        (_truncated_legacy, "truncated"),
        (_other_zip, "zip archive but not a whole PyTorch checkpoint"),
        (_damaged_zip, "zip archive but not a whole PyTorch checkpoint"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "not a PyTorch checkpoint"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "no checkpoint at"),
        (lambda path: torch.save(torch.ones(3), path), "holds a Tensor"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, damage: Any, said: str) -> None:
    path = tmp_path / "file.pt"
    damage(path)
    with pytest.raises(MissingError, match=said) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.what
    assert caught.value.next_step


@pytest.mark.parametrize(("value", "said"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_not_a_number_is_refused_by_name(tmp_path: Path, value: float, said: str) -> None:
    weight = torch.ones(10, 10)
    weight[3, 4] = value
    torch.save({"state_dict": {"good": torch.ones(2), "encoder.styles.0.weight": weight}}, tmp_path / "file.pt")
    with pytest.raises(MissingError, match=rf"'encoder.styles.0.weight' of file.pt holds {said}"):
        read_checkpoint(tmp_path / "file.pt")


def test_large_values_are_fine(tmp_path: Path) -> None:
    torch.save({"a": torch.full((4,), 3e38), "optimizer": {"b": torch.tensor(float("nan"))}}, tmp_path / "file.pt")
    assert len(read_checkpoint(tmp_path / "file.pt")["a"]) == 4


def test_our_files_keep_tensors_and_configuration(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    metadata = {"method": "e4e", "config": {"encoder": {"rows": 10, "widths": [32, 48]}}, "steps": 100}
    write_safetensors(path, {"a.b": torch.eye(3).T, "c": torch.ones((), dtype=torch.int64)}, metadata)
    read = read_checkpoint(path)
    assert read["metadata"] == metadata
    assert torch.equal(state_dict_of(read)["a.b"], torch.eye(3))
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(MissingError, match="truncated or damaged safetensors"):
        read_checkpoint(path)


def test_strict_loading_names_what_does_not_fit() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    tensors = dict(network.state_dict())
    without_counter = {name: value for name, value in tensors.items() if "tracked" not in name}
    load_strict(network, without_counter, "file")
    with pytest.raises(MissingError, match=r"missing 0\.weight"):
        load_strict(network, {k: v for k, v in tensors.items() if k != "0.weight"}, "file")
    with pytest.raises(MissingError, match="unexpected extra"):
        load_strict(network, {**tensors, "extra": torch.ones(1)}, "file")
    with pytest.raises(MissingError, match=r"0.weight has shape \(2, 2\), expected \(3, 2\)"):
        load_strict(network, {**tensors, "0.weight": torch.ones(2, 2)}, "file")


def test_messages_name_tensors_as_the_file_does() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    tensors = {f"encoder.{name}": value for name, value in network.state_dict().items()}
    load_part(network, tensors, "encoder.", "file")
    tensors["encoder.0.bias"] = torch.ones(5)
    tensors["encoder.more"] = tensors.pop("encoder.1.weight")
    with pytest.raises(MissingError) as caught:
        load_part(network, tensors, "encoder.", "file", str.upper)
    assert caught.value.what == (
        "file: encoder does not fit: missing ENCODER.1.WEIGHT; unexpected ENCODER.MORE; "
        "ENCODER.0.BIAS has shape (5,), expected (3,)"
    )


def test_strict_loading_copies_and_fills_networks_on_meta() -> None:
    tensors = dict(nn.Linear(2, 3).state_dict())
    with torch.device("meta"):
        network = nn.Linear(2, 3)
    load_strict(network, tensors, "file")
    tensors["weight"].zero_()
    assert network.weight.device.type == "cpu"
    assert bool(network.weight.any())


def test_strict_loading_keeps_the_parameters_an_optimizer_holds() -> None:
    network = nn.Linear(2, 3)
    held = network.weight
    tensors = {name: value + 1 for name, value in network.state_dict().items()}
    load_strict(network, tensors, "file")
    assert network.weight is held
    assert torch.equal(held.detach(), tensors["weight"])


def test_prefixes_and_digests(tmp_path: Path) -> None:
    assert take({"encoder.a": torch.ones(1), "encoder_b": torch.ones(1)}, "encoder.").keys() == {"a"}
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_digest(path)
    assert first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    path.write_bytes(b"two!")
    assert file_digest(path) != first


def test_a_full_disk_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("bench.core.checkpoint.save_file", full)
    with pytest.raises(MissingError, match="the disk is full"):
        write_safetensors(tmp_path / "ours.safetensors", {"a": torch.zeros(2)}, {})
    assert not list(tmp_path.iterdir())
