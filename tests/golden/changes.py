"""The changes that sources make to their files, made to a golden file: columns added, renamed, moved and left out."""

import csv
import io
import json
import random
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

Table = list[list[str]]


class CsvFile:
    """A CSV taken apart: the lines above the header, the names, the rows."""

    def __init__(self, content: bytes, about: Mapping[str, Any]) -> None:
        self._encoding, self._delimiter = about["encoding"], about["delimiter"]
        text = content.decode(self._encoding).removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        above = about["header_line"] - 1
        self._above = text[:above]
        table = list(csv.reader(text[above:], delimiter=self._delimiter))
        self.names, self.rows = table[0], [row for row in table[1:] if row]

    @property
    def head(self) -> bytes:
        """Everything above the rows."""
        return self._bytes([])

    @property
    def lines(self) -> list[bytes]:
        """The rows as lines, without line ends."""
        return self._written(self.rows).removesuffix("\n").encode(self._encoding).split(b"\n")

    def whole(self) -> bytes:
        """The same file, written again by Python's csv module."""
        return self._bytes(self.rows)

    def added(self) -> bytes:
        """With an unknown column before the last one: some files end each line with a delimiter."""
        return self._changed(lambda row, is_header: [*row[:-1], "Coluna Nova" if is_header else "x", row[-1]])

    def renamed(self, name: str) -> bytes:
        """With another name for one column."""
        place = self.names.index(name)
        return self._changed(
            lambda row, is_header: [*row[:place], "Outro Nome", *row[place + 1 :]] if is_header else row
        )

    def missing(self, name: str) -> bytes:
        """Without one column."""
        place = self.names.index(name)
        return self._changed(lambda row, _: row[:place] + row[place + 1 :])

    def reordered(self) -> bytes:
        """With the first two columns in the place of each other."""
        return self._changed(lambda row, _: [row[1], row[0], *row[2:]])

    def shuffled(self, seed: int) -> bytes:
        """With all columns in an order of chance."""
        order = random.Random(seed).sample(range(len(self.names)), len(self.names))
        return self._changed(lambda row, _: [row[place] for place in order])

    def doubled(self, name: str) -> bytes:
        """With one column a second time, at the end."""
        place = self.names.index(name)
        return self._changed(lambda row, _: [*row, row[place]])

    def with_texts(self, name: str, change: Callable[[str], str]) -> bytes:
        """With other texts in one column."""
        place = self.names.index(name)
        return self._changed(
            lambda row, is_header: row if is_header else [*row[:place], change(row[place]), *row[place + 1 :]]
        )

    def _changed(self, change: Callable[[list[str], bool], list[str]]) -> bytes:
        table = [change(self.names, True), *(change(row, False) for row in self.rows)]
        return self._encoded(table)

    def _bytes(self, rows: Table) -> bytes:
        return self._encoded([self.names, *rows])

    def _encoded(self, table: Table) -> bytes:
        return ("".join(line + "\n" for line in self._above) + self._written(table)).encode(self._encoding)

    def _written(self, table: Table) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=self._delimiter, lineterminator="\n").writerows(table)
        return buffer.getvalue()


class JsonFile:
    """A JSON body; a column is a key, wherever in it that stands, or the text that a first item gives a key."""

    def __init__(self, content: bytes, about: Mapping[str, Any]) -> None:
        self._body = json.loads(content)
        self._items, self._required = about["items"], about["required"]

    def whole(self) -> bytes:
        """The same body, written again."""
        return self._encoded(self._body)

    def added(self) -> bytes:
        """With an unknown key in every object that has a known one; a list where the next key is one."""

        def add(found: dict[str, Any]) -> dict[str, Any]:
            known = next((name for name in self._required if name in found), None)
            return found if known is None else {**found, "campo_novo": found[known]}

        return self._encoded(self._mapped(add))

    def renamed(self, name: str) -> bytes:
        """With another name for one key, or another text in the header item."""

        def rename(found: dict[str, Any]) -> dict[str, Any]:
            return {"outro" if key == name else key: value for key, value in found.items()}

        body = self._mapped(rename)
        if self._items == "" and name in (header := body[0]).values():
            body[0] = {key: "Outro Nome" if value == name else value for key, value in header.items()}
        return self._encoded(body)

    def missing(self, name: str) -> bytes:
        """Without one key, or without the key that the header item gives this text."""
        names = {name}
        if self._items == "" and isinstance(self._body[0], dict):
            names |= {key for key, value in self._body[0].items() if value == name}
        return self._encoded(
            self._mapped(lambda found: {key: value for key, value in found.items() if key not in names})
        )

    def reordered(self) -> bytes:
        """With the keys of every object in reverse."""
        return self._encoded(self._mapped(lambda found: dict(reversed(found.items()))))

    def shuffled(self, seed: int) -> bytes:
        """With the keys of every object in an order of chance."""
        chance = random.Random(seed)
        return self._encoded(self._mapped(lambda found: dict(chance.sample(list(found.items()), len(found)))))

    def doubled(self, name: str) -> bytes:
        """With one key twice in the first object that has it."""
        key = json.dumps(name, ensure_ascii=False)
        return self.whole().replace(f"{key}:".encode(), f"{key}: null, {key}:".encode(), 1)

    def with_texts(self, name: str, change: Callable[[str], str]) -> bytes:
        """With other texts, or texts for numbers, under one key."""
        return self._encoded(
            self._mapped(lambda found: found if name not in found else {**found, name: change(str(found[name]))})
        )

    def giant(self, name: str, size: int) -> bytes:
        """With the last item once more, and in it a text of so many characters under one key."""
        items = self._body if self._items == "" else self._body[self._items]
        return self.with_items([{**items[-1], name: "9" * size}])

    def with_items(self, more: list[Any]) -> bytes:
        """With more items at the end."""
        if self._items == "":
            return self._encoded(self._body + more)
        body = self._body.copy()
        body[self._items] = body[self._items] + more
        return self._encoded(body)

    def _mapped(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        def walk(value: Any) -> Any:
            if isinstance(value, dict):
                return change({key: walk(inner) for key, inner in value.items()})
            return [walk(inner) for inner in value] if isinstance(value, list) else value

        return walk(self._body)

    def _encoded(self, body: Any) -> bytes:
        return json.dumps(body, ensure_ascii=False).encode()


def only_first(content: bytes) -> bytes:
    """A body that is a list, with nothing but its first item."""
    return json.dumps(json.loads(content)[:1], ensure_ascii=False).encode()


def plain(text: str) -> str:
    """Without accents and capitals, as messages and headers spell names differently."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower()


def opened(content: bytes, about: Mapping[str, Any]) -> CsvFile | JsonFile:
    """A golden file, ready to be changed."""
    return CsvFile(content, about) if about["kind"] == "csv" else JsonFile(content, about)
