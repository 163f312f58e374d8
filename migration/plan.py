"""`migrate plan`: every row of a file by its mapping, as it would be published; nothing is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from producers import encode
from producers.editions import BAD_SHARE
from producers.legacy import declared
from producers.legacy.mapping import Mapping
from producers.legacy.publish import RESOURCE
from producers.model import Part, Reject
from producers.withdrawals import Keys
from schemas.contracts import parse

MOST_SHOWN = 3
"""Rejects of each reason that are shown."""


@dataclass
class Plan:
    """What would come of one file.

    Attributes:
        is_unreadable: more of the first chunk is rejected than a part may have: nothing of it would be published.
        reasons: reason of rejects → how many. shown: the first rejects of each reason.
        doubled: accepted rows whose key another one has too: silver would hold one of them.
    """

    file: str
    accepted: int = 0
    rejected: int = 0
    chunks: int = 0
    doubled: int = 0
    is_unreadable: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    shown: list[Reject] = field(default_factory=list)
    notes: Sequence[str] = ()


def plan(mapping: Mapping, file: str, blocks: Iterable[bytes], at: datetime) -> Plan:
    """Read a file as it would be published. Raises: InvalidContent when its header is not the mapping's.

    Args: file: its name. blocks: what would be archived of it.
    """
    found, keys = Plan(file), Keys()
    contract = parse(mapping.dataset, declared.contract_text(mapping))
    for parsed in declared.source_of(contract).parse(blocks, Part(RESOURCE, file, file, at)):
        records = parsed.records[mapping.dataset]
        found.accepted += records.num_rows
        found.rejected += len(parsed.rejects)
        if not found.chunks:
            found.is_unreadable = found.rejected > BAD_SHARE * (found.accepted + found.rejected)
        found.chunks += 1
        found.notes = parsed.notes
        for reject in parsed.rejects:
            found.reasons[reject.reason.value] += 1
            if found.reasons[reject.reason.value] <= MOST_SHOWN:
                found.shown.append(reject)
        if records.num_rows:
            columns = dict(zip(records.schema.names, records.columns, strict=True))
            keys.add(mapping.dataset, encode.keys(contract, columns, records.num_rows))
    found.doubled = found.accepted - keys.distinct()
    return found
