"""Results files to boards: what may stand side by side, and the tables of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.contract import EditPass
from bench.core.errors import MissingError, UsageError
from metrics.summary import Cell
from reports.facts import titles_and_places
from reports.inputs import Facts
from reports.naming import in_reading_order
from reports.results_file.check import known_rules, problems, read_results
from reports.table import Table
from reports.tables import build_tables

_CELL = ("value", "low", "high", "n", "failed", "rule", "reference_n", "needs_n")


@dataclass(frozen=True)
class Entry:
    """One method of one file.

    Attributes:
        row: Its name on the board; unlike all others there.
        title: What the board prints.
        method: Its record in the file; `name` is its name there.
        file: The file; `record` is its content.
    """

    row: str
    title: str
    name: str
    method: Mapping[str, Any]
    file: Path
    record: Mapping[str, Any]

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """The runs that its numbers come from."""
        return [self.record["sources"][place] for place in self.method["sources"]]


@dataclass
class Board:
    """What may be compared: the same images, rules and networks, and passes that mean the same.

    Attributes:
        protocol, data, domain, networks: Of every number.
        smallest_marked: Fewest images from which the protocol calls a method better.
        passes: Pass -> its record.
        files: The files, in order of their names.
        entries: Its rows.
    """

    protocol: str
    domain: str
    data: Mapping[str, Any]
    networks: str
    smallest_marked: int
    passes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    files: list[tuple[Path, Mapping[str, Any]]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def title(self) -> str:
        """ "synthetic-2 on synthetic, test: 200 images"."""
        data = self.data
        split = f", {data['split']}" if data["split"] else ""
        return f"{self.protocol} on {data['name']}{split}: {data['images']:,} images"

    def takes(self, record: Mapping[str, Any], protocol: str) -> bool:
        """Whether a file's numbers of a protocol may stand here."""
        if (protocol, record["domain"], record["data"]["sha256"]) != (self.protocol, self.domain, self.data["sha256"]):
            return False
        if record["protocols"][protocol]["networks"] != self.networks:
            return False
        keys = ("inputs", "reals", "asked")
        known = ((self.passes[edit["name"]], edit) for edit in record["passes"] if edit["name"] in self.passes)
        return all(one[key] == two[key] for one, two in known for key in keys)

    def add(self, path: Path, record: Mapping[str, Any]) -> None:
        """Take a file that `takes` allows."""
        self.files.append((path, record))
        for edit in record["passes"]:
            self.passes.setdefault(edit["name"], edit)

    def tables(self) -> list[Table]:
        """Its scores and, where the truth is known, what was made of the edit asked for."""
        return build_tables(self._summaries(), self._passes(), self._facts())

    def _summaries(self) -> dict[tuple[str, str], dict[str, Cell]]:
        found: dict[tuple[str, str], dict[str, Cell]] = {}
        rows = {(entry.file, entry.name): entry.row for entry in self.entries}
        for path, record in self.files:
            for score in record["scores"]:
                if score["protocol"] == self.protocol:
                    row = rows.get((path, score["method"]), score["method"])
                    cells = found.setdefault((row, score["pass"]), {})
                    # Floors are the same in every file; the first one's are shown.
                    cells.setdefault(f"{score['metric']}@{self.protocol}", Cell(**{k: score.get(k) for k in _CELL}))
        return found

    def _passes(self) -> list[EditPass]:
        return [
            EditPass(name, None, edit["asked"] or 0.0, edit["inputs"], edit["reals"])
            for name, edit in self.passes.items()
        ]

    def _facts(self) -> Facts:
        references = {name: title for _, record in self.files for name, title in record["references"].items()}
        columns = {
            f"{metric}@{self.protocol}": about
            for _, record in reversed(self.files)
            for metric, about in record["protocols"][self.protocol]["metrics"].items()
        }
        return Facts(
            titles={entry.row: entry.title for entry in self.entries},
            places=titles_and_places(entry.row for entry in self.entries)[1],
            methods=tuple(entry.row for entry in self.entries),
            references=references,
            columns=columns,
            marked_from={self.protocol: self.smallest_marked},
            strengths={(e.row, name): value for e in self.entries for name, value in e.method["strengths"].items()},
        )


def read_folder(folder: Path, protocols: Sequence[str] = ()) -> list[Board]:
    """The boards of all results files below a folder, in order of their titles.

    Raises:
        MissingError: There is no such file.
        UsageError: A file that `leaderboard check` refuses.
    """
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise MissingError(f"{folder} has no results file", f"python run_bench.py leaderboard add RUN {folder}")
    boards: list[Board] = []
    for path in paths:
        record = read_results(path)
        if found := problems(record, protocols):
            raise UsageError(f"{path} cannot stand on a leaderboard: {found[0]}", f"leaderboard check {path}")
        for protocol in record["protocols"]:
            board = next((board for board in boards if board.takes(record, protocol)), None)
            if board is None:
                networks = record["protocols"][protocol]["networks"]
                rules = known_rules(protocol, protocols, record)
                assert rules is not None, "its file is sound, so its protocol is known"
                board = Board(protocol, record["domain"], record["data"], networks, rules.numbers.smallest_marked)
                boards.append(board)
            board.add(path, record)
    for board in boards:
        _refuse_doubles(board)
        board.entries = list(_entries(board, folder))
    return sorted(boards, key=lambda board: (-board.data["images"], board.title, board.networks))


def _refuse_doubles(board: Board) -> None:
    """Raise UsageError where two files hold the same method at the same strengths."""
    known: dict[tuple[str, str], Path] = {}
    for path, record in board.files:
        for method in record["methods"].values():
            what = (method["digest"], str(sorted(method["strengths"].items())))
            if what in known:
                raise UsageError(f"{path} and {known[what]} are of the same method: {method['title']}", "remove one")
            known[what] = path


def _entries(board: Board, folder: Path) -> Iterator[Entry]:
    """A row a method and file. Where a name stands twice, its file tells which."""
    names = [name for _, record in board.files for name in record["methods"]]
    found = {}
    for path, record in board.files:
        for name, method in record["methods"].items():
            alone = names.count(name) == 1
            where = path.relative_to(folder).with_suffix("").as_posix()
            row = name if alone else f"{name}@{where}"
            title = method["title"] if alone else f"{method['title']} ({where})"
            found[row] = Entry(row, title, name, method, path, record)
    return (found[row] for row in in_reading_order(found, titles_and_places(found)[1]))
