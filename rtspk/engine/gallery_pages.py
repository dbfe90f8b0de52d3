"""The rows of an SQLite file, found page by page: also where SQLite itself cannot find the way to them.

Every page of a table says by itself which rows are on it. So what lies on sound pages is read whatever became
of the file's head, of the pages that lead to them, or of its end (https://www.sqlite.org/fileformat2.html).
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtspk.engine.gallery_tables import MAGIC, PAGE

__all__ = ["Pages"]

HEAD = 100  # bytes of the first page that are the file's own
ROWS, KEYS = 13, 10  # kinds of pages that hold rows: of tables, and of those without row ids
WIDTHS = (0, 1, 2, 3, 4, 6, 8)  # bytes of whole numbers
LOG_HEAD, FRAME_HEAD = 32, 24  # bytes, in the write-ahead log

Cell = str | int | float | bytes | None


class Pages:
    """The pages of a file and of its write-ahead log, as they were last committed.

    Args:
        path: the file; what lies beside it is its log
    """

    def __init__(self, path: Path) -> None:
        # The log first: what is moved from it into the file meanwhile is then read twice and not missed.
        beside = path.with_name(path.name + "-wal")
        log = beside.read_bytes() if beside.is_file() else b""
        data = path.read_bytes()
        self.begins_well = data.startswith(MAGIC)
        (size,) = struct.unpack(">H", data[16:18].ljust(2, b"\0"))
        size = 65_536 if size == 1 else size
        self._size = size if size >= 512 and size & (size - 1) == 0 else PAGE
        self._pages = [data[start : start + self._size] for start in range(0, len(data), self._size)]
        newer = _committed(log, self._size)
        self._pages += [b""] * (max(newer, default=0) - len(self._pages))
        for number, page in newer.items():
            self._pages[number - 1] = page

    def number(self, place: int) -> int:
        """A number of four bytes in the file's head."""
        return int.from_bytes(self._pages[0][place : place + 4], "big") if self._pages else 0

    def rows(self, columns: int) -> Iterator[tuple[Cell, ...]]:
        """Rows of tables of so many columns, the first of which is the row id."""
        for page, place in self._cells(ROWS):
            try:
                size, place = _varint(page, place)  # noqa: PLW2901 - the row id is behind it
                number, place = _varint(page, place)  # noqa: PLW2901 - and the row behind that
                values = _values(self._payload(page, place, size))
            except (IndexError, ValueError, struct.error):
                continue
            if len(values) == columns:
                yield number, *values[1:]

    def pairs(self) -> Iterator[tuple[str, Cell]]:
        """Rows of two values of tables without row ids and of indices, where the first is a text."""
        for page, place in self._cells(KEYS):
            try:
                size, start = _varint(page, place)
                key, value = _values(page[start : start + size])
            except (IndexError, ValueError, struct.error):
                continue
            if isinstance(key, str):
                yield key, value

    def _cells(self, kind: int) -> Iterator[tuple[bytes, int]]:
        """Where rows begin: their page, and the place in it."""
        for number, page in enumerate(self._pages):
            head = HEAD if number == 0 else 0
            if len(page) < head + 8 or page[head] != kind:
                continue
            count = int.from_bytes(page[head + 3 : head + 5], "big")
            places = page[head + 8 : head + 8 + 2 * count]
            for start in range(0, len(places) - 1, 2):
                yield page, int.from_bytes(places[start : start + 2], "big")

    def _payload(self, page: bytes, start: int, size: int) -> bytes:
        """A row's bytes; those that its page has no room for are on pages that lead from one to the next."""
        here = size
        if size > self._size * len(self._pages):
            raise ValueError(f"wanted a row that the file has room for, got one of {size} bytes")
        if size > self._size - 35:
            least = (self._size - 12) * 32 // 255 - 23
            here = least + (size - least) % (self._size - 4)
            here = here if here <= self._size - 35 else least
        parts, missing = [page[start : start + here]], size - here
        follows = page[start + here : start + here + 4]
        while missing > 0:
            number = int.from_bytes(follows, "big")
            page = self._pages[number - 1] if 0 < number <= len(self._pages) else b""
            follows, part = page[:4], page[4 : 4 + missing]
            if not part:
                raise ValueError("a page is gone")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _committed(log: bytes, size: int) -> dict[int, bytes]:
    """The pages in a write-ahead log, but for those behind its last whole commit."""
    committed: dict[int, bytes] = {}
    open_: dict[int, bytes] = {}
    order = ">" if log[3:4] == b"\x83" else "<"
    sums = _summed(log[:24], order, (0, 0))
    step = FRAME_HEAD + size
    for start in range(LOG_HEAD, len(log) - step + 1, step):
        frame = log[start : start + step]
        number, pages, *salts_and_sums = struct.unpack(">6I", frame[:FRAME_HEAD])
        sums = _summed(frame[:8] + frame[FRAME_HEAD:], order, sums)
        if salts_and_sums != [*struct.unpack(">2I", log[16:24]), *sums] or not number:
            break
        open_[number] = frame[FRAME_HEAD:]
        if pages:  # a commit, and how many pages the file then has
            committed.update(open_)
            open_.clear()
    return committed


def _summed(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    one, other = sums
    words: Sequence[int] = struct.unpack(f"{order}{len(data) // 4}I", data[: len(data) // 4 * 4])
    for first, second in zip(words[::2], words[1::2], strict=False):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A whole number of one to nine bytes, and the place behind it."""
    value = 0
    for byte in data[place : place + 8]:
        place += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place
    return value << 8 | data[place], place + 1


def _values(row: bytes) -> list[Cell]:
    """The values of a row; ValueError where its head and its length do not fit."""
    head, place = _varint(row, 0)
    kinds = []
    while place < head:
        kind, place = _varint(row, place)
        kinds.append(kind)
    values: list[Cell] = []
    for kind in kinds:
        value, place = _value(row, place, kind)
        values.append(value)
    if place != len(row):
        raise ValueError(f"wanted a row of {place} bytes, got {len(row)}")
    return values


def _value(row: bytes, place: int, kind: int) -> tuple[Cell, int]:
    """One value, and the place behind it."""
    if kind == 0:
        return None, place
    if kind < len(WIDTHS):
        end = place + WIDTHS[kind]
        return int.from_bytes(row[place:end], "big", signed=True), end
    if kind == 7:
        return float(struct.unpack(">d", row[place : place + 8])[0]), place + 8
    if kind in {8, 9}:
        return kind - 8, place
    end = place + (kind - 12) // 2
    data = row[place:end]
    return (data.decode() if kind % 2 else data), end
