"""The registry file itself, and finding files by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import MissingError, UsageError
from bench.weights import registry
from bench.weights.registry import Entry, checkpoint_entries, entries, entry, home, locate, rows

AUXILIARY = [
    "inception-imagenet",
    "inception-fid",
    "alexnet-imagenet",
    "vgg16-imagenet",
    "curricularface",
    "arcface-irse50",
    "mtcnn",
    "insightface-buffalo_l",
    "warpc-glunet",
    "warpc-semantic-glunet",
]
TABLES = {
    "faces": ["psp", "e4e", "restyle", "hyperstyle", "hfgi", "styletransformer", "featurestyle", "styleres", "warpres"],
    "cars": ["e4e", "restyle", "hyperstyle", "hfgi", "styletransformer", "styleres", "warpres"],
}


def test_every_row_of_the_papers_tables_has_a_checkpoint_or_a_reason() -> None:
    for domain, methods in TABLES.items():
        for method in methods:
            items = checkpoint_entries(method, domain)
            assert items, (method, domain)
            assert all(item.note for item in items if item.status == "not released")


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_networks_are_there(name: str) -> None:
    item = entry(name)
    assert item.kind == "network"
    assert item.fetchable
    assert item.tensors or item.members


def test_released_entries_say_what_people_need() -> None:
    for item in entries().values():
        if item.status == "released":
            assert item.file and item.licence and item.source.startswith("https://") and item.container, item.name
            assert item.fetchable or item.note, item.name
        if item.status == "not released":
            assert not item.fetchable and not item.file, item.name
        for needed in item.needs:
            assert needed in entries()


def test_file_names_that_carry_a_digest_agree_with_the_registry() -> None:
    for name in ("inception-imagenet", "inception-fid", "alexnet-imagenet", "vgg16-imagenet"):
        item = entry(name)
        assert Path(item.file).stem.endswith(item.sha256_start)


def test_methods_of_two_files_and_combinations() -> None:
    assert [item.name for item in checkpoint_entries("hyperstyle", "cars")] == [
        "hyperstyle-cars",
        "hyperstyle-w-encoder-cars",
    ]
    assert [item.name for item in checkpoint_entries("featurestyle", "faces")] == ["featurestyle-faces", "psp-faces"]
    assert [item.name for item in checkpoint_entries("psp+warpres", "faces")] == ["psp+warpres-faces", "psp-faces"]
    # By its long name, a method on e4e is the same files; what nobody trained is not there with its base alone.
    assert checkpoint_entries("e4e+warpres", "faces") == checkpoint_entries("warpres", "faces")
    assert checkpoint_entries("styletransformer+warpres", "cars") == []
    assert checkpoint_entries("a-plug-in", "faces") == []


def test_a_missing_file_names_the_command() -> None:
    with pytest.raises(MissingError, match=r"e4e-faces is not here .*1\.2 GB") as error:
        locate("e4e-faces")
    assert error.value.next_step == "python run_bench.py weights fetch e4e-faces"


def test_what_nobody_released_is_explained() -> None:
    with pytest.raises(MissingError, match="hfgi-cars is not released") as error:
        locate("hfgi-cars")
    assert "--checkpoint hfgi=FILE" in error.value.next_step


def test_an_unknown_name_offers_close_ones() -> None:
    with pytest.raises(UsageError, match="unknown weights") as error:
        locate("e4e-face")
    assert "e4e-faces" in error.value.next_step


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", "~/somewhere")
    assert home() == Path("~/somewhere").expanduser()
    monkeypatch.delenv("WARPRES_BENCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert home() == tmp_path / "warpres-bench"


def test_files_and_folders_of_members_are_found(home: Path, registered: Callable[..., None]) -> None:
    item = Entry("pack", "network", "pack.zip", "released", urls=("x",), members={"a.npy": "", "b.npy": ""})
    registered(item)
    folder = home / "weights" / "pack"
    folder.mkdir(parents=True)
    (folder / "a.npy").touch()
    with pytest.raises(MissingError):
        locate("pack")
    (folder / "b.npy").touch()
    assert locate("pack") == folder
    (folder / "pack.zip").touch()
    assert locate("pack") == folder / "pack.zip"


def test_a_file_that_changed_size_is_refused(home: Path, registered: Callable[..., None]) -> None:
    registered(Entry("net", "network", "net.pt", "released", urls=("x",)))
    path = home / "weights" / "net" / "net.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    (home / "pins.json").write_text('{"net": {"sha256": "00", "size": 9}}')
    with pytest.raises(MissingError, match="has 5 bytes, it had 9"):
        locate("net")


def test_our_own_weights_come_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.core.checkpoint import write_safetensors

    ours: Any = {"w": __import__("torch").zeros(2)}
    write_safetensors(tmp_path / "warpres.safetensors", ours, {"method": "warpres", "domain": "faces"})
    write_safetensors(tmp_path / "judge.safetensors", ours, {})
    monkeypatch.setattr(registry, "OURS", tmp_path)
    assert locate("synthetic/warpres") == tmp_path / "warpres.safetensors"
    found = entry("synthetic/warpres")
    assert (found.status, found.kind, found.method, found.domain) == ("ours", "checkpoint", "warpres", "faces")
    assert entry("synthetic/judge").kind == "network"
    assert {row["status"] for row in rows()} == {"ours", "released", "not released"}
