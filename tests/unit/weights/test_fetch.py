"""Fetching by name: licence once, pinning, Google Drive's stand-in, verification."""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import MissingError, UsageError
from bench.weights.fetch import fetch, verify
from bench.weights.registry import Entry, locate, read_pins
from bench.weights.transfer import Patience

from .conftest import Behaviour, Server

BODY = b"network " * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(2, 0.0, 5.0)


def yes(item: Entry) -> bool:
    return True


def network(url: str, **fields: Any) -> Entry:
    values: dict[str, Any] = {"licence": "terms", "urls": (url,), "source": "https://example.org"} | fields
    return Entry(
        fields.pop("name", "net"), "network", "net.bin", "released", **{k: values[k] for k in values if k != "name"}
    )


def test_a_file_is_fetched_once_and_pinned(server: Server, registered: Callable[..., None], home: Path) -> None:
    behaviour = Behaviour(BODY)
    registered(network(server.serve("/net", behaviour)))
    assert fetch("net", accept=yes, patience=QUICK) == [home / "weights" / "net" / "net.bin"]
    assert fetch("net", accept=yes, patience=QUICK) == [locate("net")]
    assert len(behaviour.requests) == 1
    assert read_pins()["net"] == {"sha256": DIGEST, "size": len(BODY)}
    assert [(item.name, item.state) for item in verify()] == [("net", "ok")]


def test_a_pinned_digest_refuses_another_file(server: Server, registered: Callable[..., None]) -> None:
    registered(network(server.serve("/net", Behaviour(BODY))))
    fetch("net", accept=yes, patience=QUICK)
    locate("net").unlink()
    registered(network(server.serve("/net", Behaviour(b"another network"))))
    with pytest.raises(MissingError, match=r"expected .*truncated, or another file"):
        fetch("net", accept=yes, patience=QUICK)


def test_the_licence_is_asked_once_for_all_files_under_it(server: Server, registered: Callable[..., None]) -> None:
    url = server.serve("/net", Behaviour(BODY))
    registered(network(url), network(url, name="other"), network(url, name="third", licence="other terms"))
    asked: list[str] = []

    def ask(item: Entry) -> bool:
        asked.append(item.name)
        return True

    for name in ("net", "other", "third"):
        fetch(name, accept=ask, patience=QUICK)
    assert asked == ["net", "third"]


def test_without_the_licence_nothing_is_fetched(server: Server, registered: Callable[..., None]) -> None:
    behaviour = Behaviour(BODY)
    registered(network(server.serve("/net", behaviour)))
    with pytest.raises(UsageError, match=r"licence was not accepted \(terms\)") as error:
        fetch("net", accept=lambda item: False, patience=QUICK)
    assert "--accept-licence" in error.value.next_step
    assert behaviour.requests == []


def test_what_a_method_needs_comes_along(server: Server, registered: Callable[..., None]) -> None:
    url = server.serve("/net", Behaviour(BODY))
    registered(network(url, needs=("part",)), network(url, name="part"))
    assert fetch("net", accept=yes, patience=QUICK) == [locate("net"), locate("part")]


def test_not_released_and_by_hand(registered: Callable[..., None]) -> None:
    registered(
        Entry("none", "checkpoint", "", "not released", method="m", note="the authors say no"),
        Entry("hand", "direction", "d.npy", "released", note="fetch it by hand", source="https://example.org/repo"),
    )
    with pytest.raises(MissingError, match="not released: the authors say no"):
        fetch("none", accept=yes)
    with pytest.raises(MissingError, match="by hand") as error:
        fetch("hand", accept=yes)
    assert "https://example.org/repo" in error.value.next_step


def test_damage_is_found(server: Server, registered: Callable[..., None]) -> None:
    registered(network(server.serve("/net", Behaviour(BODY))), network("x", name="gone"))
    fetch("net", accept=yes, patience=QUICK)
    path = locate("net")
    path.write_bytes(b"x" + BODY[1:])
    states = {item.name: item for item in verify()}
    assert states["net"].state == "damaged"
    assert DIGEST[:16] in states["net"].detail
    assert states["gone"].state == "missing"
    assert "weights fetch gone" in states["gone"].detail


def drive(monkeypatch: pytest.MonkeyPatch, deliver: Callable[[Path], None]) -> None:
    def download(id: str, output: str, quiet: bool, resume: bool, progress: Any) -> str:
        deliver(Path(output))
        return output

    monkeypatch.setitem(sys.modules, "gdown", types.SimpleNamespace(download=download))


def test_google_drive_through_gdown(monkeypatch: pytest.MonkeyPatch, registered: Callable[..., None]) -> None:
    registered(network("", drive="1abc", urls=()))
    drive(monkeypatch, lambda path: path.write_bytes(BODY) and None)
    fetch("net", accept=yes)
    assert locate("net").read_bytes() == BODY


def test_a_drive_page_saved_as_the_file_is_recognised(
    monkeypatch: pytest.MonkeyPatch, registered: Callable[..., None]
) -> None:
    registered(network("", drive="1abc", urls=()))
    page = b"<html><title>Google Drive</title>Sorry, too many users have viewed or downloaded this file</html>"
    drive(monkeypatch, lambda path: path.write_bytes(page) and None)
    with pytest.raises(MissingError, match="quota for this file is used up") as error:
        fetch("net", accept=yes)
    assert "https://drive.google.com/file/d/1abc/view" in error.value.next_step
    assert not list(Path(error.value.next_step).parent.glob("*.part"))


def test_drives_refusal_goes_on_to_the_mirror(
    monkeypatch: pytest.MonkeyPatch, registered: Callable[..., None], server: Server
) -> None:
    def refuse(path: Path) -> None:
        raise RuntimeError("Cannot retrieve the public link. Too many users have viewed or downloaded this file")

    registered(network(server.serve("/net", Behaviour(BODY)), drive="1abc"))
    drive(monkeypatch, refuse)
    fetch("net", accept=yes, patience=QUICK)
    assert locate("net").read_bytes() == BODY
    registered(network("", drive="1abc", urls=(), name="other"))
    with pytest.raises(MissingError, match="Google Drive: the server's download quota"):
        fetch("other", accept=yes)


def test_without_gdown_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, registered: Callable[..., None]) -> None:
    registered(network("", drive="1abc", urls=()))
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(MissingError, match=r'pip install "warpres-bench\[fetch\]"'):
        fetch("net", accept=yes)


def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: Callable[..., None]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "file" / "home"))
    registered(network("http://127.0.0.1:9/x"))
    with pytest.raises(MissingError, match="cannot be written") as error:
        fetch("net", accept=yes, patience=QUICK)
    assert "WARPRES_BENCH_HOME" in error.value.next_step


def test_processes_that_want_the_same_file_fetch_it_once(server: Server, registered: Callable[..., None]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    behaviour = Behaviour(BODY)
    registered(network(server.serve("/net", behaviour)))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch("net", accept=yes, patience=QUICK), range(4)))
    assert {str(path) for found in paths for path in found} == {str(locate("net"))}
    assert len(behaviour.requests) == 1
