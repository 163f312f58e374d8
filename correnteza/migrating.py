"""Bring a legacy file, and take it back: the steps of `migrate run` and `migrate rollback`, in an order that a kill
anywhere leaves safe to repeat.

run: topic, contract, record (`publishing`), rows, record (`visible`).  rollback: record, then an edition without rows.
"""

from collections.abc import Callable
from pathlib import Path

from correnteza import polling, topics
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import UnsafeState, UsageError
from foundation.failpoints import failpoint
from foundation.files import replace_file
from migration import checks, measured, record, report
from migration import plan as planning
from migration.record import FileRecord
from migration.report import Findings
from monitoring.lake import Lake
from producers.legacy import declared, sqlite_file
from producers.legacy.mapping import Mapping
from producers.legacy.publish import payload_blocks, publish, without_rows
from producers.session import Tally
from schemas import contracts
from schemas.compatibility import findings
from schemas.contracts import Contract, load, load_all, parse
from schemas.registry import prove_compatibility


def records_folder(settings: Settings) -> Path:
    """Where it stands what was migrated."""
    return settings.home / "migrations"


def mapping_of(dataset: str) -> Mapping:
    """The mapping of a dataset that was migrated. Raises: UsageError, listing those that were."""
    known = {name: contract for name, contract in load_all().items() if contract.legacy is not None}
    if dataset not in known:
        raise UsageError(f"{dataset!r} was not migrated", hint=f"one of: {', '.join(known) or 'none was yet'}")
    return declared.mapping_of(known[dataset])


def plan(mapping: Mapping, file: Path) -> planning.Plan:
    """What would come of a file.

    Raises: UnsafeState when rows share a key, or most of the first rows are bad; UsageError, InvalidContent.
    """
    _require(file)
    found = planning.plan(mapping, file.name, payload_blocks(mapping, file), clock.now())
    if found.doubled:
        raise UnsafeState(
            f"{found.doubled} rows of {file.name} have a key ({', '.join(mapping.key)}) that another row has too",
            hint='set key = ["legacy_row"] in the mapping, or name more fields',
        )
    if found.is_unreadable:
        ((reason, times),) = found.reasons.most_common(1)
        shown = next(each.detail for each in found.shown if each.reason.value == reason)
        raise UnsafeState(
            f"most of the first rows of {file.name} are bad, {times} with {reason}: {shown}",
            hint="correct the mapping: nothing was published",
        )
    return found


def run(settings: Settings, mapping: Mapping, file: Path, *, on_chunk: Callable[[Tally], None]) -> Tally:
    """Publish a file's rows; again it publishes nothing, and after a kill it goes on where it stood.

    Raises: UnsafeState when the contract cannot become this one, rows share a key, or the file changes meanwhile;
    what the publisher raises.
    """
    _require(file)
    contract = parse(mapping.dataset, declared.contract_text(mapping))
    _refuse_other(settings, contract)
    _refuse_namesake(settings, mapping, file)
    # Before anything is declared: a contract that has been registered allows no other type.
    plan(mapping, file)
    before = sqlite_file.digest(file)
    _declare(settings, mapping, contract)
    if file.name not in record.read(records_folder(settings), mapping.dataset).visible:
        _note(settings, mapping, file, before, "publishing")
    failpoint("after_declare_legacy")

    def confirm() -> None:
        if sqlite_file.digest(file) != before:
            raise UnsafeState(f"{file} was written to while it was read", hint="stop the program that writes to it")

    tally = publish(
        declared.source_of(contract),
        mapping,
        polling.services(settings),
        part_key=file.name,
        blocks=payload_blocks(mapping, file),
        at=clock.now(),
        chunk_rows=settings.chunk_rows,
        confirm=confirm,
        on_chunk=on_chunk,
    )
    failpoint("after_publish_legacy")
    _note(settings, mapping, file, before, "visible")
    return tally


def rollback(settings: Settings, dataset: str, part_key: str, *, on_chunk: Callable[[Tally], None]) -> Tally:
    """Withdraw all rows of a file: views hide them at once, silver once it has read the withdrawals. Bronze keeps all.

    Raises: UsageError when there is no such file; what the publisher raises.
    """
    mapping = mapping_of(dataset)
    stands = record.read(records_folder(settings), dataset)
    if part_key not in stands.files:
        known = ", ".join(stands.files) or "none"
        raise UsageError(f"no file {part_key!r} of {dataset} was migrated", hint=f"one of: {known}")
    former = stands.files[part_key]
    _note(settings, mapping, Path(former.path), former.sha256, "rolled back", part_key=part_key)
    failpoint("after_hide_legacy")
    tally = publish(
        declared.source_of(load(dataset)),
        mapping,
        polling.services(settings),
        part_key=part_key,
        blocks=[without_rows(mapping)],
        at=clock.now(),
        chunk_rows=settings.chunk_rows,
        may_withdraw_all=True,
        on_chunk=on_chunk,
    )
    failpoint("after_withdraw_legacy")
    return tally


def findings_of(settings: Settings, dataset: str, folder: Path | None) -> Findings:
    """Every visible file of a dataset against Delta, its rejects, its size, and what was measured on the same days.

    Args: folder: where the files are now, if they were moved.

    Raises: UsageError when no file is visible, or one is gone or holds other bytes.
    """
    mapping, stands = mapping_of(dataset), record.read(records_folder(settings), dataset)
    if not stands.visible:
        raise UsageError(f"no file of {dataset} is visible", hint="correnteza migrate run MAPPING FILE")
    lake = Lake(settings.lake_root)
    visible = {name: stands.files[name] for name in stands.visible}
    files = {name: same_file(Path(file.path), file.sha256, folder) for name, file in visible.items()}
    return Findings(
        mapping=mapping,
        record=stands,
        files=[checks.check(lake, mapping, file, name) for name, file in files.items()],
        rejects=report.rejects(lake, dataset),
        size=report.size(lake, dataset, list(files.values())),
        beside=list(measured.beside(lake, mapping)),
        at=clock.now().isoformat(timespec="seconds"),
    )


def visible_mappings(settings: Settings) -> list[tuple[Mapping, list[str]]]:
    """Mapping of each dataset with rows to be seen, and the names of their files: what views are made of."""
    records = record.read_all(records_folder(settings))
    return [(mapping_of(each.dataset), visible) for each in records if (visible := each.visible)]


def same_file(file: Path, sha256: str, folder: Path | None) -> Path:
    """A file that was migrated, where it stands now. Raises: UsageError when it is gone or holds other bytes."""
    found = folder / file.name if folder else file
    if not found.is_file():
        raise UsageError(f"{found} is gone", hint="name its folder: --from FOLDER")
    if sqlite_file.digest(found) != sha256:
        raise UsageError(f"{found} holds other bytes than when it was migrated", hint="name the old one: --from FOLDER")
    return found


def _require(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"there is no file {file}")


def _refuse_other(settings: Settings, contract: Contract) -> None:
    """Raises: UnsafeState when a mapping of the same name declared what this one cannot follow."""
    if (settings.contracts / f"{contract.name}.avsc").exists() and (why := findings(contract, [load(contract.name)])):
        raise UnsafeState(
            f"{contract.name} was migrated by another mapping: {'; '.join(why)}",
            hint="give this mapping another dataset",
        )


def _refuse_namesake(settings: Settings, mapping: Mapping, file: Path) -> None:
    """Raises: UsageError when another file of this name was migrated: its rows would be withdrawn as gone from this."""
    former = record.read(records_folder(settings), mapping.dataset).files.get(file.name)
    if former and Path(former.path) != file.resolve() and Path(former.path).exists():
        raise UsageError(
            f"another file of that name was migrated to {mapping.dataset}: {former.path}",
            hint=f"give {file} another name",
        )


def _declare(settings: Settings, mapping: Mapping, contract: Contract) -> None:
    """Topics first: a driver that finds the contract finds its topic too."""
    prove_compatibility(settings.registry)
    topics.apply(settings.bootstrap, {**load_all(), contract.name: contract}.values(), settings.topic_prefix)
    settings.contracts.mkdir(parents=True, exist_ok=True)
    replace_file(settings.contracts / f"{contract.name}.avsc", declared.contract_text(mapping))
    contracts.forget()


def _note(
    settings: Settings, mapping: Mapping, file: Path, sha256: str, state: record.State, *, part_key: str | None = None
) -> None:
    folder = records_folder(settings)
    noted = FileRecord(str(file.resolve()), sha256, state, clock.now().isoformat())
    record.write(folder, record.read(folder, mapping.dataset).with_file(part_key or file.name, noted))
