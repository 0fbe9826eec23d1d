"""What a run is given is looked at before anything is loaded, in the dry run as well."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.core.checkpoint import read_checkpoint, write_safetensors
from methods.fitting import fit_of
from methods.registry import find

WORLD = Path(__file__).parents[3] / "bench" / "world" / "weights"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def dry(*words: str) -> int:
    try:
        return main(["run", "--limit", "2", *words, "--dry-run"])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--strength", "foo=3"], "edit of --strength 'foo'"),
        (["--strength", "age=3"], "known: pose, smile"),
        (["--strength", "pose=nan"], "finite number"),
        (["--strength", "pose=inf"], "finite number"),
        (["--strength", "pose=1e30"], "strength of pose is 1e+30"),
        (["--strength", "pose=1e-30"], "strength of pose is 1e-30"),
        (["--mode", "sweep", "--strength", "pose=2,2"], "twice"),
        (["--mode", "sweep", "--strength", "pose=-3", "--strength", "pose=3"], "--strength pose=-3,3"),
        (["--seed", "99999999999999999999"], "--seed must be at most"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--limit", "99999999999999999999"], "--limit must be at most"),
        (["--batch", "99999999999999999999"], "--batch must be at most"),
        (["--steps", "99999999999999999999"], "--steps must be at most"),
        (["--parts", "-1"], "--parts must be at least 0"),
        (["--parts", "2"], "--parts is of a backend"),
        (["--scheduler", "tcp://h:1"], "--scheduler is of dask, the backend is local"),
        (["--backend", "nope"], "backend"),
        (["--part", "0/3"], "there is no part '0/3'"),
        (["--part", "4/3"], "there is no part '4/3'"),
        (["--part", "1/3", "--backend", "dask"], "this is part 1 of 3 (--part), and --backend dask makes parts itself"),
        (["--backend", "slurm", "--scheduler", "tcp://h:1"], "--scheduler is of dask, the backend is slurm"),
        (["--name", "plain.py", "--output", "."], "plain.py is no folder"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--directions", "/nonexistent/y"], "does not exist"),
        (["--name", "con"], "device's name"),
        (["--name", "a\\b"], "no folder's name may"),
        (["--name", ""], "--name is given nothing"),
        (["--data="], "--data is given nothing"),
        (["--name", "\udcff"], "no UTF-8"),
        (["--plugin", ".."], "no module's name"),
        (["--plugin", "plain.py"], "no tuple of MethodEntry"),
        (["--config", "/dev/zero"], "no regular file"),
        (["--card", "/dev/zero"], "no regular file"),
        (["--card", "none.toml"], "no columns"),
        (["--card", "far.toml"], "the strength of mine is 1e+300"),
        (["--card", "still.toml"], "the strength of mine is 0"),
        (["--output", "plain.py"], "is no folder"),
    ],
)
def test_values_are_refused(place: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "plain.py").write_text("METHODS = 5\n")
    card = (
        "name = 'mine'\ndomain = 'faces'\ngenerator = 'synthetic-64'\nrule = 'add'\norigin = 'x'\nlicence = 'x'\n"
        "sign = 'x'\nstrength_source = 'x'\nfile = 'x.pt'\n"
    )
    (place / "far.toml").write_text(card + "strength = 1e300\n")
    (place / "still.toml").write_text(card + "strength = 0\n")
    (place / "none.toml").write_text(card + "columns = []\n")
    assert dry(*words) in (2, 3)
    assert says in capsys.readouterr().err


SLURM = "[run]\ncluster = '{}'\n[run.slurm]\n{}\n"


@pytest.mark.parametrize(
    ("words", "config", "code", "says"),
    [
        (["dask", "--scheduler", "nope"], "", 2, "'nope' is no address of dask's"),
        (["dask", "--scheduler", "tcp://h"], "", 2, "is no address of dask's"),
        (["dask", "--scheduler", "tcp://h:99999"], "", 2, "is no address of dask's"),
        (["dask", "--scheduler", "gopher://h:1"], "", 2, "is no address of dask's"),
        (["dask", "--scheduler", "tcp://127.0.0.1:1"], "", 3, "nothing answers at --scheduler tcp://127.0.0.1:1"),
        (["slurm"], SLURM.format("local", "nope = 3"), 2, "[run.slurm] or run.cluster"),
        (["slurm"], SLURM.format("local", "timeout_min = 'long'"), 2, "[run.slurm] or run.cluster"),
        (["slurm"], SLURM.format("nope", "timeout_min = 60"), 2, "any executor named nope"),
        (["slurm"], SLURM.format("local", "timeout_min = 60"), 0, ""),
    ],
)
def test_what_a_backend_is_told_is_looked_at(
    place: Path, words: list[str], config: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip({"dask": "distributed", "slurm": "submitit"}[words[0]])
    (place / "own.toml").write_text(config)
    assert dry("--config", "own.toml", "--backend", *words) == code
    assert says in capsys.readouterr().err
    assert not (place / "jobs").exists()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"RANK": "3", "WORLD_SIZE": "3"}, "part 3 of 3"),
        ({"RANK": "one", "WORLD_SIZE": "3"}, "RANK is 'one'"),
        ({"WORLD_SIZE": "2"}, "RANK is ''"),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "x"}, "SLURM_ARRAY_TASK_COUNT is 'x'"),
        ({"WARPRES_BENCH_PART": "5/2"}, "no part '5/2'"),
    ],
)
def test_the_environment_of_a_part_is_looked_at(
    environment: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert dry() == 2
    assert says in capsys.readouterr().err


def test_a_full_disk_is_told_by_the_plan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5000))
    assert dry("--methods", "e4e", "--edits", "none") == 3
    captured = capsys.readouterr()
    assert "MB are free" in captured.err and "results" in captured.out
    assert not Path("runs").exists()


WIDE = """
import torch
from bench.core.contract import Inversion
from methods.registry import MethodEntry

class Narrow:
    name, domain, stages, latent_rows = "narrow", "faces", (), 10
    input_size = output_size = (64, 64)
    {declared}

    def invert(self, images):
        {first}
        return Inversion(images.mean((2, 3))[:, None].repeat(1, 10, 1))

    def edit(self, inversion, delta=None):
        raise SystemExit("an image was made")

METHODS = (MethodEntry("narrow", lambda entry, domain, files: Narrow(), files=()),)
"""


@pytest.mark.parametrize(
    ("declared", "first", "early"),
    [
        ("latent_width = 3", "raise SystemExit('an image was inverted')", True),
        ("", "", True),
        ("", "assert len(images) > 0", True),
        ("", "assert bool(images.abs().max() <= 1) and len(images)", False),
    ],
)
def test_a_plug_ins_width_is_known_before_the_first_image(
    place: Path, declared: str, first: str, early: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "narrow.py").write_text(WIDE.format(declared=declared, first=first))
    words = ["--plugin", "narrow.py", "--methods", "narrow", "--edits", "smile"]
    assert dry(*words) == (3 if early else 0)
    if early:
        assert "for codes of width 3" in capsys.readouterr().err
    assert main(["run", "--limit", "2", *words]) == (3 if early else 2)
    said = capsys.readouterr().err
    assert ("for codes of width 3" if early else "is for codes 64 wide; those of narrow are 3 wide") in said


@pytest.mark.parametrize("name", ["../x", "/x", "", "real", "truth", "a/b", "CON", ".hidden", "x" * 300, "all"])
def test_a_variant_stays_in_the_runs_folder(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.toml").write_text(f'methods = ["{name}"]\n[variants."{name}"]\nmethod = "warpres"\n')
    assert dry("--config", "c.toml") == 2
    assert "variant" in capsys.readouterr().err


@pytest.mark.parametrize("run", ["", "--dry-run"])
def test_a_wrong_checkpoint_is_found_before_the_first_method(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*([run] if run else []), "--limit", "2", "--checkpoint", f"styleres={WORLD / 'warpres.safetensors'}"]
    assert main(["run", *words]) == 3
    captured = capsys.readouterr()
    assert "styleres for faces needs the styleres parts" in captured.err
    assert "ready" not in [line.split()[1] for line in captured.out.splitlines() if line.startswith("styleres ")]
    assert not Path("runs").exists()


def test_an_absent_checkpoint_ends_the_dry_run_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert dry("--checkpoint", "styleres=/nonexistent/x.pt") == 3
    assert "there is no file /nonexistent/x.pt" in capsys.readouterr().err


def test_a_file_that_says_less_of_itself_than_it_should_is_named(place: Path) -> None:
    content = read_checkpoint(WORLD / "e4e.safetensors")
    for number, metadata in enumerate([{"method": "e4e", "domain": "faces"}, {**content["metadata"], "config": {}}]):
        file = place / f"{number}.safetensors"
        write_safetensors(file, content["state_dict"], metadata)
        shutil.copy(WORLD / "generator.safetensors", place)
        assert dry("--methods", "e4e", "--checkpoint", f"e4e={file}") == 3


@pytest.mark.parametrize("method", ["e4e", "styleres", "warpres", "hyperstyle", "featurestyle", "psp"])
def test_headers_tell_rows_and_width(method: str) -> None:
    from methods.checkpoint_files import family_files

    entry = find(method)
    fit = fit_of(entry, "faces", family_files("synthetic", method, "faces", entry))
    assert (fit.latent_rows, fit.width) == (10, 64)


def test_headers_are_read_without_values(place: Path) -> None:
    torch.save({"state_dict": {"a": torch.full((3,), float("nan"))}}, place / "x.pt")
    content = read_checkpoint(place / "x.pt", values=False)
    assert content["state_dict"]["a"].is_meta and tuple(content["state_dict"]["a"].shape) == (3,)


@pytest.mark.parametrize("dim", [0, 512])
def test_a_direction_of_another_width_is_refused(place: Path, dim: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.ones(512), place / "wide.pt")
    (place / "wide.toml").write_text(
        "name = 'wide'\ndomain = 'faces'\ngenerator = 'synthetic-64'\nrule = 'add'\norigin = 'x'\nlicence = 'x'\n"
        f"sign = 'x'\nstrength_source = 'x'\nfile = 'wide.pt'\ndim = {dim}\nstrength = 3\n"
    )
    assert dry("--card", "wide.toml", "--edits", "wide") == 3
    assert "64 wide" in capsys.readouterr().err


def test_a_path_with_a_comma_is_one_path(place: Path) -> None:
    folder = place / "a,b"
    folder.mkdir()
    for name in ("e4e", "generator"):
        shutil.copy(WORLD / f"{name}.safetensors", folder)
    assert dry("--methods", "e4e", "--checkpoint", f"e4e={folder / 'e4e.safetensors'}") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["time", "--samples", "0"],
        ["time", "--threads", "-1"],
        ["time", "--warm-up", "-1"],
        ["time", "--methods", "e4e", "--checkpoint", "nope=/x"],
        ["time", "--methods", "e4e", "--into", "/nonexistent"],
        ["gate", ".", ".", "--tolerance", "nan"],
        ["synthetic", "export", "x", "--limit", "-1"],
        ["edits", "fit", "--method", "e4e", "--output", "x.safetensors", "--seed", "99999999999999999999"],
        ["edits", "fit", "--method", "e4e", "--output", "x.safetensors", "--components", "0"],
        ["edit", "c.png", "--method", "e4e", "--sweep", "smile=1:2:99999999999"],
        ["edit", "c.png", "--method", "e4e", "--edit", "smile=1e30"],
        ["edit", "c.png", "--method", "e4e", "--weights", "synthetic", "-o", "c.png"],
    ],
)
def test_other_commands_look_first_too(place: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "c.png").write_bytes(b"x")
    monkeypatch.setattr("methods.load_method", lambda *_, **__: pytest.fail("a network was loaded"))
    try:
        code = main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    assert code in (2, 3)
