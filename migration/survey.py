"""What the texts of one column could be: counts of the forms that they have, in bounded memory."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

NULL_WORDS = ("", "NULL", "null", "None", "NaN", "nan", "N/A", "NA", r"\N")
"""Texts that usually mean that there is no value."""

MOST_EXAMPLES = 3
FITS = 0.95
"""A type is proposed that at least so many of a column's values have; the others would be rejects, and are named."""

_INTEGER = re.compile(r"[-+]?[0-9]+(?:\.0)?")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BRAZILIAN = re.compile(r"[-+]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),[0-9]+")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<time>[ T][0-9]{2}:[0-9]{2}\S*)?")
_BRAZILIAN_DAY = re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}(?P<time> [0-9]{2}:[0-9]{2}\S*)?")
_SECONDS, _MILLISECONDS = re.compile(r"[0-9]{9,10}(?:\.0)?"), re.compile(r"[0-9]{12,13}")
_ZEROS_FIRST = re.compile(r"0[0-9]+")
_BLOB = re.compile(r"x'(?:[0-9a-f]{2})*'")
_MIDNIGHT = re.compile(r"[ T]00:00(?::00(?:\.0+)?)?Z?")
_LARGEST = 1 << 63


@dataclass
class Survey:
    """What was seen of one column.

    Attributes:
        declared: type in the SQLite schema; empty of a CSV file.
        rows: values, nulls too. forms: form → values that have it. nulls: text that means null → times.
        whole_digits, decimals: most digits before and after the point.
        examples: form → the first few texts; the form `other` has those that are nothing but text.
    """

    name: str
    declared: str = ""
    rows: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    absent: int = 0
    whole_digits: int = 0
    decimals: int = 0
    longest: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def see(self, texts: Iterable[tuple[str | None, int]]) -> None:
        """Texts with how often each stands; None is a null of SQLite."""
        for text, times in texts:
            self.rows += times
            if text is None:
                self.absent += times
            elif text.strip() in NULL_WORDS:
                self.nulls[text.strip()] += times
            else:
                self._look(text, times)

    def _look(self, text: str, times: int) -> None:
        bare = text.strip()
        self.longest = max(self.longest, len(text))
        found = self._number(bare) or _day(bare) or _word(bare)
        for form in found:
            self.forms[form] += times
            kept = self.examples.setdefault(form, [])
            if len(kept) < MOST_EXAMPLES and text[:60] not in kept:
                kept.append(text[:60])
        if bare != text:
            self.forms["blanks around"] += times

    def _number(self, bare: str) -> list[str]:
        is_brazilian = _BRAZILIAN.fullmatch(bare) is not None
        plain = bare.replace(".", "").replace(",", ".") if is_brazilian else bare
        if not _NUMBER.fullmatch(plain):
            return []
        found = ["brazilian number"] if is_brazilian else ["plain number"]
        if _ZEROS_FIRST.fullmatch(bare):
            found.append("zeros first")
        if _INTEGER.fullmatch(plain) and not is_brazilian:
            found.append("whole" if abs(int(plain.removesuffix(".0"))) < _LARGEST else "beyond 64 bits")
        if "e" in plain.lower():
            found.append("exponent")
        else:
            whole, _, decimals = plain.lstrip("+-").partition(".")
            self.whole_digits = max(self.whole_digits, len(whole.lstrip("0")))
            self.decimals = max(self.decimals, len(decimals.rstrip("0")))
        if _is_a_double(plain):
            found.append("double")
        found += ["epoch_seconds"] if _SECONDS.fullmatch(bare) else []
        found += ["epoch_milliseconds"] if _MILLISECONDS.fullmatch(bare) else []
        return found

    @property
    def values(self) -> int:
        """Values that are not null."""
        return self.rows - self.absent - sum(self.nulls.values())


def _is_a_double(plain: str) -> bool:
    """Whether a double holds every digit."""
    value = float(plain)
    return repr(value) == plain or Decimal(repr(value)) == Decimal(plain)


def _day(bare: str) -> list[str]:
    for form, pattern in (("iso", _ISO), ("brazilian", _BRAZILIAN_DAY)):
        if match := pattern.fullmatch(bare):
            has_time = match["time"] is not None and not _MIDNIGHT.fullmatch(match["time"])
            return [f"{form} day", *(["time of day"] if has_time else [])]
    return []


def _word(bare: str) -> list[str]:
    if bare.lower() in {"true", "false"}:
        return ["boolean"]
    return ["blob", "other"] if _BLOB.fullmatch(bare) else ["other"]


@dataclass(frozen=True)
class Proposal:
    """A column's type as a mapping has it, and what a person should look at before believing it.

    Attributes:
        misfits: values that would be rejects.
    """

    type: str
    forms: tuple[str, ...]
    misfits: int
    suspicious: tuple[str, ...]


def propose(survey: Survey) -> Proposal:
    """The narrowest type that nearly all values have and that loses none of their digits; else text."""
    forms, values = survey.forms, survey.values
    enough = FITS * values
    kind, fitting = "text", values
    ways: tuple[str, ...] = ()
    days = forms["iso day"] + forms["brazilian day"]
    numbers = forms["plain number"] + forms["brazilian number"]
    epochs = forms["epoch_seconds"] + forms["epoch_milliseconds"]
    if values and forms["boolean"] >= enough:
        kind, fitting = "boolean", forms["boolean"]
    elif days and days + epochs >= enough:
        kind, fitting = ("instant" if forms["time of day"] else "day"), days + epochs
        ways = _named(forms, {"iso day": "iso", "brazilian day": "brazilian", "epoch_seconds": "epoch_seconds"})
        ways += _named(forms, {"epoch_milliseconds": "epoch_milliseconds"})
    elif numbers and numbers >= enough and not forms["zeros first"]:
        ways = _named(forms, {"plain number": "plain", "brazilian number": "brazilian"})
        kind, fitting = _number_type(survey, numbers)
    return Proposal(kind, ways, values - fitting, tuple(_suspicions(survey, kind, values - fitting)))


def _named(forms: Counter[str], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for form, name in names.items() if forms[form])


def _number_type(survey: Survey, numbers: int) -> tuple[str, int]:
    forms = survey.forms
    if forms["whole"] == numbers:
        return "int", numbers
    declared = survey.declared.upper()
    is_short = survey.decimals <= 8 and survey.whole_digits <= 16
    if forms["double"] == numbers and (forms["exponent"] or declared in {"REAL", "FLOAT", "DOUBLE"} or not is_short):
        return "real", numbers
    digits = max(survey.whole_digits, 1) + survey.decimals
    if not forms["exponent"] and digits <= 38:
        return f"decimal({min(38, max(digits + 4, 18))},{survey.decimals})", numbers
    return ("real", forms["double"]) if forms["double"] >= FITS * survey.values else ("text", survey.values)


def _suspicions(survey: Survey, kind: str, misfits: int) -> Iterable[str]:
    forms = survey.forms
    if survey.rows and survey.values == 0:
        yield "every value is null"
    if misfits:
        odd = survey.examples.get("other") or survey.examples.get("plain number") or []
        yield f"{misfits} values are not {kind}, such as {', '.join(map(repr, odd))}: they become rejects"
    if forms["zeros first"]:
        yield f"{forms['zeros first']} values begin with zeros: kept as text"
    if forms["blob"]:
        yield f"{forms['blob']} values are blobs, or text that is no UTF-8: kept as x'…'"
    if forms["beyond 64 bits"]:
        yield f"{forms['beyond 64 bits']} whole numbers do not fit into 64 bits"
    if kind == "text" and forms["plain number"] and forms["other"]:
        yield f"numbers ({forms['plain number']}) and words ({forms['other']}) are mixed"
    if forms["iso day"] and forms["brazilian day"]:
        yield "days are written in two ways"
    if kind in {"day", "instant"} and forms["epoch_seconds"] + forms["epoch_milliseconds"]:
        yield "some days are seconds or milliseconds since 1970"
    if forms["blanks around"]:
        yield f"{forms['blanks around']} values have blanks around them"
    if words := sorted(word for word in survey.nulls if word):
        yield f"words for null: {', '.join(words)}"
