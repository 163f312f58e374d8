"""The row hash by which a manifest is compared with bronze; it does not depend on the order of rows.

A row's hash is Spark's `xxhash64(key, value_hash)` with `value_hash = xxhash64(value)`; a chunk's is the sum of its
rows' hashes modulo 2**64, so it does not depend on order and can be added up from bronze, which keeps `value_hash` but
not the bytes. Spark seeds XXH64 with 42 and uses the hash of a column as the seed for the next one.
"""

import xxhash

SPARK_SEED = 42
MODULUS = 1 << 64


def value_hash(value: bytes) -> int:
    """Spark's `xxhash64(value)`, as an unsigned 64-bit number."""
    return xxhash.xxh64_intdigest(value, SPARK_SEED)


def row_hash(key: bytes, value: bytes) -> int:
    """Spark's `xxhash64(key, xxhash64(value))`, as an unsigned 64-bit number."""
    hashed = xxhash.xxh64_intdigest(value, SPARK_SEED).to_bytes(8, "little")
    return xxhash.xxh64_intdigest(hashed, xxhash.xxh64_intdigest(key, SPARK_SEED))


def format_hash(total: int) -> str:
    """A sum of row hashes, signed or not, in the form of a manifest."""
    return f"{total % MODULUS:016x}"
