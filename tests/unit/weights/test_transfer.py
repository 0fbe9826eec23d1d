"""Downloads against a server that cuts, lies, changes its mind and serves pages."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path

import pytest

from bench.core.errors import MissingError
from bench.weights.transfer import Expected, Patience, download, explain_page

from .conftest import Behaviour, Server

BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()
KNOWN = Expected(DIGEST)


def get(urls: str | list[str], target: Path, expected: Expected = KNOWN, tries: int = 3) -> str:
    return download([urls] if isinstance(urls, str) else urls, target, expected, patience=Patience(tries, 0.0, 5.0))


def archive(size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("data.bin", bytes(size))
    return buffer.getvalue()


def test_a_plain_download_reports_its_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    url = server.serve("/file", Behaviour(BODY))
    target = tmp_path / "file.bin"
    found = download([url], target, KNOWN, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert found == DIGEST
    assert seen[-1] == (len(BODY), len(BODY))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["file.bin"]


def test_cut_connections_are_resumed_where_they_ended(server: Server, tmp_path: Path) -> None:
    behaviour = Behaviour(BODY, cut_after=[1000, 2000, 10])
    get(server.serve("/file", behaviour), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert behaviour.requests == ["", "bytes=1000-", "bytes=3000-", "bytes=3010-"]


def test_without_ranges_the_download_begins_again(server: Server, tmp_path: Path) -> None:
    behaviour = Behaviour(BODY, cut_after=[5000], ranges=False)
    get(server.serve("/file", behaviour), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_an_endless_cutter_is_given_up_and_its_bytes_are_kept(server: Server, tmp_path: Path) -> None:
    behaviour = Behaviour(BODY, cut_after=[4000] + [0] * 50)
    with pytest.raises(MissingError, match=r"promised .* and sent 4000.*4000 bytes are kept"):
        get(server.serve("/file", behaviour), tmp_path / "f")
    assert not (tmp_path / "f").exists()
    behaviour.cut_after.clear()
    get(server.serve("/file", behaviour), tmp_path / "f")
    assert behaviour.requests[-1] == "bytes=4000-"
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_changed_file_is_not_spliced(server: Server, tmp_path: Path) -> None:
    first = bytes(len(BODY))
    behaviour = Behaviour(first, cut_after=[4000] + [0] * 20)
    url = server.serve("/file", behaviour)
    with pytest.raises(MissingError):
        get(url, tmp_path / "f", Expected())
    server.serve("/file", Behaviour(BODY, etag='"two"'))
    get(url, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize("known", [KNOWN, Expected()])
def test_a_length_too_long_does_not_hide_a_whole_file(server: Server, tmp_path: Path, known: Expected) -> None:
    get(server.serve("/file", Behaviour(BODY, promise=len(BODY) + 999)), tmp_path / "f", known)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_length_too_short_is_noticed_by_the_digest(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"5000 bytes came with SHA-256 .* truncated, or another file"):
        get(server.serve("/file", Behaviour(BODY, promise=5000)), tmp_path / "f")
    assert not list(tmp_path.glob("f*"))


def test_a_length_too_short_is_noticed_by_a_zip_without_end(server: Server, tmp_path: Path) -> None:
    body = archive(20_000)
    with pytest.raises(MissingError, match="only a piece of the file came"):
        get(server.serve("/file", Behaviour(body, promise=9000)), tmp_path / "f.pt", Expected())
    get(server.serve("/file", Behaviour(body)), tmp_path / "f.pt", Expected())
    assert (tmp_path / "f.pt").read_bytes() == body


def test_a_web_page_is_recognised_by_its_type_and_by_its_bytes(server: Server, tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>Too many users have viewed this</html>"
    for kind in ("text/html; charset=utf-8", "application/octet-stream"):
        with pytest.raises(MissingError, match="quota for this file is used up"):
            get(server.serve("/file", Behaviour(page, content_type=kind)), tmp_path / "f", Expected())
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("<html>Google Drive can't scan this file for viruses</html>", "virus-scan page"),
        ("<html><p>You need access. Request access</p></html>", "wants a sign-in"),
        ("<html><title>Welcome to\n the gate</title></html>", r"a web page \(Welcome to the gate\)"),
        ("Sorry, the download quota of this file ...", "quota"),
    ],
)
def test_pages_are_explained(text: str, meaning: str) -> None:
    assert re.search(meaning, explain_page(text))


def test_not_found_goes_to_the_next_mirror_at_once(server: Server, tmp_path: Path) -> None:
    good = Behaviour(BODY)
    bad = server.address + "/nowhere"
    get([bad, server.serve("/file", good)], tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    with pytest.raises(MissingError, match=r"has no such file \(404\)"):
        get(bad, tmp_path / "g")


def test_every_mirror_is_named_when_none_serves(server: Server, tmp_path: Path) -> None:
    wrong = server.serve("/wrong", Behaviour(b"something else"))
    closed = server.serve("/closed", Behaviour(b"", status=403))
    with pytest.raises(MissingError) as error:
        get([wrong, closed], tmp_path / "f")
    assert "/wrong: 14 bytes came" in error.value.what
    assert "/closed: the server refuses (403)" in error.value.what


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    behaviour = Behaviour(BODY, status=503)
    with pytest.raises(MissingError, match="answered 503"):
        get(server.serve("/file", behaviour), tmp_path / "f")
    assert len(behaviour.requests) == 3


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="the connection failed"):
        get("http://127.0.0.1:9/file", tmp_path / "f", tries=1)


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(MissingError, match="cannot be written") as error:
        get(server.serve("/file", Behaviour(BODY)), tmp_path / "occupied" / "f")
    assert "WARPRES_BENCH_HOME" in error.value.next_step


def test_a_full_disk_is_named(server: Server, tmp_path: Path) -> None:
    def full(done: int, total: int | None) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(MissingError, match="No space left"):
        url = server.serve("/file", Behaviour(BODY))
        download([url], tmp_path / "f", KNOWN, progress=full, patience=Patience(1, 0.0))
