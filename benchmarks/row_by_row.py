"""The reference of `make bench-publish`: the publisher one writes first, on the same bytes and the same guarantees.

csv.DictReader, one fastavro encoding and one produce() per row, one transaction per 20,000 rows.
"""

import csv
import io
import json
import sys
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import fastavro
from confluent_kafka import Producer

from schemas.contracts import load
from schemas.registry import Registry

DATASET = "anatel_mobile_accesses"
ROWS_PER_TRANSACTION = 20_000


def run(file: Path, name: str, bootstrap: str, registry_url: str, prefix: str) -> int:
    """Publish one member of the zip; returns the rows."""
    contract = load(DATASET)
    schema_id = Registry(registry_url).register([contract], prefix)[DATASET]
    schema = fastavro.parse_schema(contract.schema)
    header = b"\x00" + schema_id.to_bytes(4, "big")
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{prefix}row-by-row",
            "linger.ms": 20,
            "compression.type": "lz4",
        }
    )
    producer.init_transactions()
    now = datetime.now(UTC)
    number = 0
    with zipfile.ZipFile(file) as archive, archive.open(name) as member:
        producer.begin_transaction()
        for number, row in enumerate(csv.DictReader(io.TextIOWrapper(member, "utf-8-sig"), delimiter=";"), 1):
            record = _record(row, number - 1, now)
            value = io.BytesIO()
            value.write(header)
            fastavro.schemaless_writer(value, schema, record)
            key = "|".join("" if record[field] is None else str(record[field]) for field in contract.key)
            while True:
                try:
                    producer.produce(contract_topic(prefix), value.getvalue(), key)
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % ROWS_PER_TRANSACTION == 0:
                producer.commit_transaction()
                producer.begin_transaction()
        producer.commit_transaction()
    return number


def contract_topic(prefix: str) -> str:
    """The topic, under this run's prefix."""
    return prefix + load(DATASET).topic


def _record(row: dict[str, str], number: int, now: datetime) -> dict[str, object]:
    return {
        "reference_month_on": date(int(row["Ano"]), int(row["Mês"]), 1),
        "cnpj": row["CNPJ"].zfill(14),
        "company": row["Empresa"] or None,
        "economic_group": row["Grupo Econômico"] or None,
        "provider_size": row["Porte da Prestadora"] or None,
        "uf": row["UF"] or None,
        "municipality_code": row["Código IBGE Município"] or None,
        "area_code": row["Código Nacional"] or None,
        "chip_area_code": row["Código Nacional (Chip)"] or None,
        "payment_mode": row["Modalidade de Cobrança"] or None,
        "technology": row["Tecnologia"] or None,
        "generation": row["Tecnologia Geração"] or None,
        "person_type": row["Tipo de Pessoa"] or None,
        "product_type": row["Tipo de Produto"] or None,
        "accesses": int(row["Acessos"]),
        "published_at": None,
        "published_at_basis": "none",
        "retrieved_at": now,
        "chunk_id": f"row-by-row-{number // ROWS_PER_TRANSACTION}",
        "row_number": number,
    }


if __name__ == "__main__":
    print(json.dumps({"rows": run(Path(sys.argv[1]), *sys.argv[2:])}))
