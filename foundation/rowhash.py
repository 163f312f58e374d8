"""The order-free row hash that ties a manifest to what bronze holds.

A row's hash is Spark's `xxhash64(key, value_hash)` with `value_hash = xxhash64(value)`; a chunk's is the sum of its
rows' hashes modulo 2**64, so it does not depend on order and can be added up from bronze, which keeps `value_hash` but
not the bytes. Spark seeds XXH64 with 42 and hashes a following column with the former one's result as the seed.
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
    """A sum of row hashes, signed or not, as it stands in a manifest."""
    return f"{total % MODULUS:016x}"
