"""What a run is told: one frozen tree, filled from defaults < preset < `--config FILE` < command line.

Every layer is the same TOML shape (see `presets/`); a key that is not in the tree is refused with close names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.core.names import known_name
from bench.core.schema import overlay, read_toml
from bench.plan.limits import check

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "synthetic"
# What a run is called does not depend on where it lies, what it prints, or how many images are read at a time.
_NOT_IN_NAME = (
    "name",
    "output",
    "batch",
    "grid_pictures",
    "loaded_methods",
    "workers",
    "backend",
    "parts",
    "scheduler",
    "cluster",
    "slurm",
)


@dataclass(frozen=True)
class DataConfig:
    """Which images.

    Attributes:
        name: Kind of data set.
        root: Its folder; none for the synthetic world.
        split: Which part of it.
        limit: How many of the first; None for all.
        align: Cut photographs of faces as FFHQ does.
        face: Which face of a photograph is cut, the largest first; 0 the only one.
    """

    name: str = "synthetic"
    root: str = ""
    split: str = "test"
    limit: int | None = None
    align: bool = False
    face: int = 0


@dataclass(frozen=True)
class EditsConfig:
    """Which edits and how far.

    Attributes:
        names: Cards of `bench/edits/cards`.
        strengths: Card name -> strength that replaces the card's; several for a sweep.
        files: Folder with the authors' direction files, where cards need them.
        mode: "fixed", "sweep" or "matched" (equal achieved change).
        cards: Further card files.
    """

    names: tuple[str, ...] = ()
    strengths: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    files: str = ""
    mode: Literal["fixed", "sweep", "matched"] = "fixed"
    cards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A further name for a method with another checkpoint or title (rows of an ablation)."""

    method: str
    title: str = ""
    checkpoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunConfig:
    """How it is run. Only `device`, `group`, `threads` and `seed` can move a number, and only its last digits.

    Attributes:
        group: Images a network sees at once. Fixed by the preset, so that tables do not depend on `batch`.
        batch: Images read and held at a time (rounded up to whole groups).
        loaded_methods: Methods kept in memory at a time; 0 keeps all.
        grid_pictures: Images whose inputs and outputs are kept as PNG.
        threads: Threads of a network on the CPU; 0 leaves it to torch, or is one in each part of a backend.
        workers: Processes that share the run on one machine's CPU; 0 is one a core.
        steps: Optimisation steps an image of methods that have some (pti); 0 is their own number.
        backend: Which engine runs the parts: "local" (those processes), "dask" or "slurm".
        parts: Parts for dask or slurm; 0 leaves it to the backend.
        scheduler: Address of dask's; "" starts a cluster on this machine.
        cluster: submitit's: "" finds out, "slurm", or "local" for processes here.
        slurm: submitit's parameters (partition, timeout_min, gpus_per_node, ...), by its names.
    """

    name: str = ""
    output: str = "runs"
    seed: int = 0
    device: str = "auto"
    group: int = 1
    batch: int = 32
    loaded_methods: int = 0
    grid_pictures: int = 6
    threads: int = 0
    workers: int = 1
    steps: int = 0
    backend: Literal["local", "dask", "slurm"] = "local"
    parts: int = 0
    scheduler: str = ""
    cluster: str = ""
    slurm: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """The whole of it.

    Attributes:
        preset: What it started from.
        title: Heading of the report.
        paper_table: Table of the paper that the run follows (1, 2, 3); None leaves it to its methods, 0 is none.
        paper_figure: Figure of the paper that its report draws (1, 3, 4, 5, 6 or 7), or None; 0 is none.
        weights: Which family of checkpoints methods take by default: "released", or a kind of data set that comes with
            its own ("synthetic").
        checkpoints: Method -> files, instead of the default ones.
        variants: Further method names (see `Variant`).
        plugins: Modules or files that add methods.
        order: Of the methods in tables: "reading" is the paper's, "asked" that of `methods`.
        filled_weights: The checkpoints are a test pattern; every report says that its numbers mean nothing.
    """

    preset: str = DEFAULT_PRESET
    title: str = ""
    paper_table: int | None = None
    paper_figure: int | None = None
    weights: str = "released"
    methods: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    checkpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    order: Literal["reading", "asked"] = "reading"
    filled_weights: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    edits: EditsConfig = field(default_factory=EditsConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def run_name(self) -> str:
        """The name given, or "<preset>-<8 hex digits of what was asked>": the same command finds its run again."""
        if self.run.name:
            return self.run.name
        asked = asdict(_in_one_form(self))
        del asked["order"]
        asked["run"] = {key: value for key, value in asked["run"].items() if key not in _NOT_IN_NAME}
        # Runs from before there was alignment keep their names.
        asked["data"] = {key: value for key, value in asked["data"].items() if value or key not in ("align", "face")}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        return f"{self.preset}-{digest[:8]}"

    def run_folder(self) -> Path:
        """Where the run lies."""
        return Path(self.run.output) / self.run_name()


def _in_one_form(config: Config) -> Config:
    """The same work asked for in one way: names in alphabetical order, whole paths."""

    def files(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(str(Path(name).resolve()) if _is_path(name) else name for name in names))

    data, edits = config.data, config.edits
    return replace(
        config,
        methods=tuple(sorted(config.methods)),
        protocols=files(config.protocols),
        plugins=files(config.plugins),
        checkpoints={name: files(given) for name, given in config.checkpoints.items()},
        variants={name: replace(own, checkpoint=files(own.checkpoint)) for name, own in config.variants.items()},
        data=replace(data, root=str(Path(data.root).resolve()) if data.root else ""),
        edits=replace(
            edits,
            names=tuple(sorted(edits.names)),
            strengths={name: tuple(sorted(own)) for name, own in edits.strengths.items()},
            files=str(Path(edits.files).resolve()) if edits.files else "",
            cards=files(edits.cards),
        ),
    )


def _is_path(name: str) -> bool:
    return os.sep in name or Path(name).suffix in (".py", ".toml", ".pt", ".pth", ".safetensors")


def preset_names() -> list[str]:
    """Names of the presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(
    preset: str | None = None, file: Path | None = None, command_line: Mapping[str, Any] | None = None
) -> Config:
    """Build the configuration from its four layers.

    Args:
        preset: Preset name; None takes the file's `preset`, else "synthetic".
        file: TOML file of the same shape.
        command_line: Nested mapping of what was typed, e.g. {"data": {"limit": 8}}.

    Raises:
        UsageError: An unknown preset or key, a value of the wrong type, or a file that is no TOML.
        MissingError: The file is not there.
    """
    layer = read_toml(file, "configuration") if file is not None else {}
    own = layer.pop("preset", None)
    name = known_name("preset", str(preset or own or DEFAULT_PRESET), preset_names())
    config = overlay(Config(preset=name), read_toml(PRESETS / f"{name}.toml"), f"preset {name}")
    config = overlay(config, layer, str(file))
    config = overlay(config, dict(command_line or {}), "command line")
    check(config)
    return config
