"""Command lines and configuration files that nobody would write on purpose, made of the parsers' own options."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from random import Random

from bench.cli import COMMANDS, command_parser

NUMBERS = (
    "0", "1", "-1", "3", "16", "2.5", "-0.5", "nan", "inf", "-inf", "1e30", "1e308", "1e-320", "1e400", "0x10", "1_000",
    "99999999999999999999", "-99999999999999999999", "9" * 5000, "٣", "½", "1,2", "1,1", "--1", "+2",
)  # fmt: skip
NAMES = (
    "e4e", "styleres", "warpres", "pti", "all", "ready", "none", "*", "[", "[!a]", "?", "e4e,e4e", "e4e,,styleres", ",",
    "smile", "pose", "smile+", "pose-", "smile,pose", "synthetic-2", "paper-1", "cpu", "cuda:99", "cuda:-1", "fixed",
    "sweep", "matched", "local", "dask", "slurm", "test", "val", "folder", "celebahq", "cars", "faces", "real", "truth",
    "con", "a:b", "ü", "漢", "a b", " ", "x" * 300, "y" * 5000, "%s%n", "$HOME", "{}", "'", '"', "-", "--", "=",
    "a=b=c",
)  # fmt: skip
PATHS = (
    ".", "..", "/", "~", "/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/nonexistent/x", "../../../../x",
    "C:\\w\\x.pt", "\\\\host\\share", "faces", "faces/0.png", "file.txt", "bad.toml", "pipe", "empty", "deep.toml",
    "bytes.pt", "bom.toml", "card.toml", "plugin.py", "broken.py", "exit.py", "loop", "directions.safetensors", "runs",
)  # fmt: skip
RUNS = ("runs/one", "runs/one", "runs/one", "runs/cut", "runs/bare", "runs/nan", "runs/other", "runs")
PAIRS = ("e4e", "styleres", "smile", "pose", "age", "nope", "", "ü")
# What fetches from the network, or lets a command go on to what takes long.
_NEVER = {"--accept-licence", "-h", "--help"}
_ALWAYS = {"run": ["--dry-run"], "synthetic": ["--limit", "1"]}
_COMMANDS = ("run",) * 10 + tuple(name for name in COMMANDS if name not in ("run", "env")) * 2


def make_folder(folder: Path) -> None:
    """Things for paths to lead to, the odd ones too."""
    import os

    from PIL import Image

    (folder / "faces").mkdir()
    for index in range(2):
        Image.new("RGB", (64, 64), (40 * index, 90, 120)).save(folder / "faces" / f"{index}.png")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "empty").mkdir()
    (folder / "runs").mkdir()
    (folder / "file.txt").write_text("words\n")
    (folder / "bad.toml").write_bytes(b"\xff\xfe[data\n")
    (folder / "deep.toml").write_text("a = " + "[" * 5000)
    (folder / "bom.toml").write_bytes(b"\xef\xbb\xbfmethods = ['styleres']\n")
    (folder / "bytes.pt").write_bytes(bytes(range(256)) * 4)
    (folder / "plugin.py").write_text("METHODS = 5\n")
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "exit.py").write_text("import sys\nsys.exit(7)\n")
    (folder / "card.toml").write_text("name = 'mine'\nstrength = 'far'\n")


def make_runs(folder: Path) -> None:
    """Runs for commands to read: a whole one, two of which rows or features lack, and some with other manifests."""
    import shutil

    from bench.core.sealed import write_sealed
    from bench.results.manifest import write_manifest
    from tests.unit.doubles import FewImages, PoolingMethod, make_work, run_work
    from tests.unit.results.test_floors import _manifest

    work = make_work(FewImages(4), [PoolingMethod("e4e"), PoolingMethod("styleres", 0.5)])
    run_work(work, folder / "one")
    about = {
        "format": 1, "run": "one", "title": "One", "command": ["run_bench.py"], "preset": "synthetic", "seed": 0,
        "paper_table": None, "paper_figure": None, "device": "cpu", "group": 1, "machine": {}, "versions": {},
        "data": {"name": "few", "split": "test", "pictures": 4, "split_crc32": 0}, "filled_weights": False,
        "references": [], "plugins": [], "missing": {"methods": {}, "columns": {}},
    }  # fmt: skip
    write_manifest(folder / "one", manifest := about | _manifest(folder / "one", work))
    for name in ("cut", "bare", "nan", "other"):
        shutil.copytree(folder / "one", folder / name)
    rows = next((folder / "cut" / "rows").glob("*.jsonl"))
    rows.write_bytes(rows.read_bytes()[:-200])
    shutil.rmtree(folder / "bare" / "rows")
    for path in (folder / "nan" / "rows").glob("*.f32"):
        path.write_bytes(b"\xff" * path.stat().st_size)
    write_sealed(folder / "other" / "manifest.json", {name: 5 for name in manifest})


# What an option is given when it is given something sensible: other options then have their turn.
_USUAL = {
    "methods": ("e4e", "styleres,warpres", "pti", "all", "*+warpres"), "method": ("e4e", "styleres"),
    "edits": ("smile", "pose,smile", "none", "all", "smile+"), "preset": ("synthetic", "own", "paper-faces"),
    "protocols": ("synthetic-2", "paper-1"), "data": ("faces", "folder", "synthetic"), "split": ("test", "all"),
    "limit": ("1", "4"), "seed": ("0", "7"), "device": ("cpu", "auto"), "batch": ("8",), "steps": ("2",),
    "strength": ("smile=2", "pose=1,2"), "mode": ("fixed", "sweep"), "backend": ("local", "dask"), "parts": ("2",),
    "output": ("runs",), "name": ("mine",), "config": ("bom.toml",), "root": ("faces", "."),
    "domain": ("faces", "cars"),
    "photographs": ("faces/0.png",), "edit": ("smile=3",), "sweep": ("smile=-3:3:7",), "checkpoint": ("e4e=bytes.pt",),
    "run": RUNS, "runs": RUNS, "first": (*RUNS, "e4e"), "second": (*RUNS, "styleres"), "into": RUNS, "paths": RUNS,
    "figure": ("1", "4", "7"), "across": ("machine", "code"),
    "samples": ("8",), "generator": ("bytes.pt",), "labels": ("file.txt", "plugin.py:f"), "plugin": ("os",),
}  # fmt: skip


def lines(seed: int, count: int) -> Iterator[list[str]]:
    """Command lines; none of them computes or fetches anything, wherever it gets to."""
    random = Random(seed)
    for _ in range(count):
        command = random.choice(_COMMANDS)
        words = _words(random, command_parser(command))
        if random.random() < 0.1:
            words.insert(
                random.randrange(len(words) + 1), random.choice((*NAMES, *PATHS, "--nope", "-x", "", "\udcff"))
            )
        yield [command, *words, *_ALWAYS.get(command, [])]


def _words(random: Random, parser: argparse.ArgumentParser) -> list[str]:
    words: list[str] = []
    actions = [action for action in parser._actions if not _NEVER & set(action.option_strings)]
    for action in actions:
        if not action.option_strings:
            several = random.randrange(3) if action.nargs in ("*", "+") else 1
            words += [_value(random, action) for _ in range(several)]
    options = [action for action in actions if action.option_strings]
    for action in random.sample(options, min(len(options), random.randrange(5))):
        word = random.choice(action.option_strings)
        if action.nargs == 0:
            words.append(word)
        elif random.random() < 0.2:
            words.append(f"{word}={_value(random, action)}")
        else:
            words += [word, _value(random, action)]
    return words


def _value(random: Random, action: argparse.Action) -> str:
    """Mostly of the kind that the option takes, often a strange one of it."""
    if action.choices and random.random() < 0.8:
        return str(random.choice(list(action.choices)))
    kind = random.random()
    shown = str(action.metavar or "")
    if action.dest in _USUAL and kind < 0.6:
        return random.choice(_USUAL[action.dest])
    if "=" in shown and kind < 0.8:
        return f"{random.choice(PAIRS)}={random.choice((*NUMBERS, *PATHS, *NAMES))}"
    if action.type is not None and action.type is not Path and kind < 0.8:
        return random.choice(NUMBERS)
    if (action.type is Path or shown in ("FILE", "DIR", "DIR|NAME", "MODULE")) and kind < 0.7:
        return random.choice(PATHS)
    return random.choice((*NAMES, *PATHS, *NUMBERS))


# A whole configuration; each file has some of its lines, one or two of them with another value.
_GOOD = {
    "": {
        "preset": ("synthetic", "own", "paper-cars"), "title": ("a title",), "weights": ("synthetic", "released"),
        "methods": (["e4e"], ["styleres", "warpres"], ["warpres-x", "e4e"]), "protocols": (["synthetic-2"], "paper-1"),
        "paper_table": (1, 3), "paper_figure": (4,), "plugins": ([],), "filled_weights": (False,),
    },
    "data": {
        "name": ("synthetic", "folder", "cars"), "root": ("faces", ""), "split": ("test", "all", "val"), "limit": (4, 1)
    },
    "edits": {
        "names": (["smile"], ["pose-"], [], ["*"]), "mode": ("fixed", "sweep"), "files": ("empty",), "cards": ([],)
    },
    "edits.strengths": {"smile": (3, 2.5), "pose": ([1.0, 2.0],), "age": (1,)},
    "checkpoints": {"styleres": (["bytes.pt"],)},
    "variants.warpres-x": {"method": ("warpres",), "title": ("X",), "checkpoint": ([], ["bytes.pt"])},
    "run": {
        "name": ("mine",), "output": ("runs",), "seed": (0, 7), "device": ("cpu", "auto"), "group": (1, 8),
        "batch": (8,), "loaded_methods": (0, 2), "grid_pictures": (0, 6), "threads": (0, 1), "workers": (0, 1),
        "steps": (0, 5), "backend": ("local", "dask"), "parts": (0, 2), "scheduler": ("",), "cluster": ("", "local"),
    },
    "run.slurm": {"partition": ("gpu",), "timeout_min": (60,)},
}  # fmt: skip


def tables(seed: int, count: int) -> Iterator[str]:
    """Texts of configuration files: the tree's own keys, a few with values of another type or size."""
    random = Random(seed)
    for _ in range(count):
        places = [(head, key) for head, keys in _GOOD.items() for key in keys]
        chosen = random.sample(places, random.randrange(1, 8))
        if any(head.startswith("variants") for head, _ in chosen):
            chosen = list(dict.fromkeys([*chosen, ("variants.warpres-x", "method")]))
        odd = set(random.sample(chosen, min(len(chosen), random.choice((0, 1, 1, 1, 2)))))
        text = "".join(_lines_of(random, head, chosen, odd) for head in _GOOD)
        if random.random() < 0.1:
            at = random.randrange(len(text) + 1)
            text = text[:at] + random.choice(("\0", "[", '"""', "\r", "=", "\ufeff", "\u26a0")) + text[at:]
        yield text


def _lines_of(random: Random, head: str, chosen: Sequence[tuple[str, str]], odd: Collection[tuple[str, str]]) -> str:
    keys = [key for place, key in chosen if place == head]
    if not keys:
        return ""
    found = [f"[{head}]"] if head else []
    for key in keys:
        good = random.choice(_GOOD[head][key])
        found.append(f"{key} = {_like(random, good) if (head, key) in odd else json.dumps(good)}")
        if random.random() < 0.03:
            found.append(f"{random.choice(('nope', 'Limit', key, '_x', '1'))} = {_literal(random)}")
    return "\n".join(found) + "\n"


def _like(random: Random, good: object) -> str:
    """An odd value, mostly of the type that is wanted."""
    if random.random() < 0.3:
        return _literal(random)
    if isinstance(good, str):
        return _quoted(random.choice((*NAMES, *PATHS)))
    if isinstance(good, list):
        return f"[{_quoted(random.choice((*NAMES, *PATHS)))}]"
    return random.choice(_NUMBERS)


_NUMBERS = ("0", "1", "-1", "3", "9" * 400, "99999999999999999999", "2.5", "nan", "inf", "1e300", "-0.0", "1000000")


def _literal(random: Random, depth: int = 0) -> str:
    kind = random.random()
    if kind < 0.35:
        return random.choice(_NUMBERS)
    if kind < 0.75:
        return _quoted(random.choice((*NAMES, *PATHS)))
    if kind < 0.9 and depth < 3:
        return "[" + ", ".join(_literal(random, depth + 1) for _ in range(random.randrange(4))) + "]"
    if kind < 0.95 and depth < 3:
        return "{ a = " + _literal(random, depth + 1) + ", smile = " + _literal(random, depth + 1) + " }"
    return random.choice(("true", "false", "1979-05-27T07:32:00Z", '"\\u0000"', "07:32:00", "[]", "{}", '""'))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def shown(words: Sequence[str]) -> str:
    """A command line for a message, long words cut."""
    return " ".join(ascii(word[:60]) for word in words)
