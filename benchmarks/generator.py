"""Seeded records of the broadband contract, framed and encoded as the producers do it: about 170 bytes each."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO

import fastavro

from schemas.contracts import Contract, load

CONTRACT: Contract = load("anatel_broadband_accesses")

# Real vocabularies (ANATEL's fixed-broadband file), so that dictionaries and lengths are the real ones.
PROVIDERS = (
    ("66970229000167", "CLARO", "TELECOM AMERICAS", "Grande Porte"),
    ("02558157000162", "VIVO", "TELEFONICA", "Grande Porte"),
    ("53420564000140", "OI", "OI", "Grande Porte"),
    ("02421421000111", "TIM", "TELECOM ITALIA", "Grande Porte"),
    ("07146090000172", "He Net", "OUTROS", "Pequeno Porte"),
    ("31540563000104", "JR TELECOM", "OUTROS", "Pequeno Porte"),
)
MUNICIPALITIES = (("BA", "2927408"), ("BA", "2933307"), ("SP", "3550308"), ("RJ", "3304557"), ("PR", "4106902"))
SPEEDS = tuple(Decimal(speed).quantize(Decimal("0.000001")) for speed in (50, 100, 200, 220, 320, 400, 500, 600))
TECHNOLOGIES = (("FTTH", "Fibra"), ("HFC", "Cabo Coaxial"), ("xDSL", "Cabo Metálico"), ("VSAT", "Satélite"))
PERSONS = ("Pessoa Física", "Pessoa Jurídica")
RETRIEVED_AT = datetime(2026, 9, 1, tzinfo=UTC)


def framed(rows: int, schema_id: int, *, seed: int = 7, first: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) pairs; the same seed gives the same bytes. `first` is the first row number."""
    choose = random.Random(seed + first)
    schema = fastavro.parse_schema(CONTRACT.schema)
    header = b"\x00" + schema_id.to_bytes(4, "big")
    for number in range(first, first + rows):
        cnpj, company, group, size = choose.choice(PROVIDERS)
        uf, municipality = choose.choice(MUNICIPALITIES)
        technology, medium = choose.choice(TECHNOLOGIES)
        month = date(2015 + number % 11, 1 + number % 12, 1)
        record = {
            "reference_month_on": month,
            "cnpj": cnpj,
            "company": company,
            "economic_group": group,
            "provider_size": size,
            "uf": uf,
            "municipality_code": municipality,
            "speed_mbps": choose.choice(SPEEDS),
            "speed_band": "> 34Mbps",
            "technology": technology,
            "access_medium": medium,
            "person_type": choose.choice(PERSONS),
            "product_type": "INTERNET",
            "accesses": choose.randrange(1, 40_000),
            "published_at": RETRIEVED_AT,
            "published_at_basis": "http_last_modified",
            "retrieved_at": RETRIEVED_AT,
            "chunk_id": f"bench-{number // 20_000:08d}",
            "row_number": number,
        }
        value = BytesIO(header)
        value.seek(5)
        fastavro.schemaless_writer(value, schema, record)
        key = f"{month}|{cnpj}|{municipality}|{technology}|{number}".encode()
        yield key, value.getvalue()
