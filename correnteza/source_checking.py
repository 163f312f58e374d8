"""`correnteza sources check`: the words for what a source answered."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from correnteza.printing import aligned, terminal_width
from correnteza.rows import Form
from foundation import clock
from foundation.errors import CorrentezaError, UsageError
from producers.ask_once import Finding, ask_once
from producers.fetch.http import Client
from producers.model import Source, Span

FORMAT = 1
"""Version of the `--json` output."""

MOST_TRIED = 3
"""Resources that are asked until one has something: the running year may have no file yet."""

MOST_SHOWN = 5
"""Kinds of rejects and notes that are printed per answer; their numbers are always complete."""


def asked(source: Source, client: Client, names: Sequence[str], *, every: bool) -> list[Finding]:
    """The findings of the named resources; without names of every one, or of the first that has something: of the
    first MOST_TRIED at most.

    Raises: UsageError for a name that the source does not poll.
    """
    now = clock.now()
    resources = {each.name: each for each in source.resources(now.date(), Span(source.history_start))}
    if unknown := [name for name in names if name not in resources]:
        raise UsageError(
            f"{source.name} polls no {', '.join(map(repr, unknown))}",
            hint=f"one of: {', '.join(list(resources)[:30])}; others by the setting polled",
        )
    if not resources:
        raise UsageError(f"the settings poll nothing of {source.name}", hint="correnteza config show")
    if names or every:
        return [ask_once(source, resources[name], client, now) for name in names or resources]
    findings: list[Finding] = []
    for resource in list(resources.values())[:MOST_TRIED]:
        findings.append(ask_once(source, resource, client, now))
        if not findings[-1].is_empty:
            break
    return findings


def verdict(finding: Finding) -> str:
    """One word, or two."""
    if finding.problem is not None:
        return "refused" if finding.problem.exit_code == 1 else "away"
    return "no news" if finding.is_empty else "as expected"


def worst(findings: Sequence[Finding]) -> CorrentezaError | None:
    """The error to end with: that of an answer that is not what the parser expects before one of a source that is
    away."""
    errors = [each.problem for each in findings if each.problem is not None]
    return min(errors, key=lambda error: (error.exit_code != 1, error.exit_code), default=None)


def give(form: Form, source: Source, findings: Sequence[Finding]) -> None:
    """Print the findings."""
    document = {"format": FORMAT, "source": source.name, "answers": [_plain(each) for each in findings]}
    header = ("resource", "verdict", "bytes", "rows", "rejects", "days")
    rows = [_row(each) for each in findings]
    told = [line for each in findings for line in _lines(each)]
    form.give(
        pa.table({name: [row[number] for row in rows] for number, name in enumerate(header)}),
        people="\n".join(
            [aligned([header, *(tuple(map(str, row)) for row in rows)], (2, 3, 4), terminal_width()), *told]
        ),
        document=json.dumps(document, indent=1, ensure_ascii=False),
    )


def _row(finding: Finding) -> tuple[str, str, int, int, int, str]:
    days = [f"{first}..{last}" for first, last in finding.days.values()]
    rejects = sum(finding.rejects.values())
    return finding.resource, verdict(finding), finding.size, finding.rows.total(), rejects, ", ".join(days[:1]) or "-"


def _lines(finding: Finding) -> list[str]:
    """What a person reads below the table."""
    found = [f"{finding.resource}: {finding.problem}"] if finding.problem else []
    found += [f"{finding.resource}: rejected {times}: {why}" for why, times in finding.rejects.most_common(MOST_SHOWN)]
    found += [f"{finding.resource}: noted: {note}" for note in finding.notes[:MOST_SHOWN]]
    if finding.is_empty:
        found.append(f"{finding.resource}: nothing for these days; the structure of a full answer was not seen")
    return found


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "resource": finding.resource,
        "verdict": verdict(finding),
        "url": finding.url,
        "bytes": finding.size,
        "would_publish": dict(finding.rows),
        "days": {dataset: [str(first), str(last)] for dataset, (first, last) in finding.days.items()},
        "rejects": dict(finding.rejects.most_common(MOST_SHOWN)),
        "rejected": sum(finding.rejects.values()),
        "notes": finding.notes,
        "problem": str(finding.problem) if finding.problem else None,
    }
