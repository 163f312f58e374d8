"""Spark's `xxhash64(key, value_hash)` over whole columns, and its sums by chunk.

XXH64 of eight bytes takes a dozen steps on 64-bit numbers, and Arrow's kernels overflow as XXH64 needs. So Python runs
per row only for the hash of the key, which has any length.
"""

from array import array
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from foundation.rowhash import MODULUS, SPARK_SEED

_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def row_hashes(keys: pa.Array, value_hashes: pa.Array) -> pa.Array:
    """Each row's hash, from what bronze holds: binary keys and the signed hashes of the values.

    A null key leaves the seed unchanged, as in Spark.
    """
    if keys.null_count:
        seeds = array("Q", map(_seed, keys.to_pylist()))
    else:
        seeds = array("Q", map(xxhash.xxh64_intdigest, keys.to_pylist(), repeat(SPARK_SEED)))
    column = pa.Array.from_buffers(pa.uint64(), len(seeds), [None, pa.py_buffer(seeds)])
    return _xxh64_of_numbers(value_hashes.view(pa.uint64()), column)


def _seed(key: bytes | None) -> int:
    return SPARK_SEED if key is None else xxhash.xxh64_intdigest(key, SPARK_SEED)


def _xxh64_of_numbers(values: pa.Array, seeds: pa.Array) -> pa.Array:
    """XXH64 of each number's eight bytes, little-endian, under a seed of its own."""
    hashed = pc.add(seeds, _number((_P5 + 8) % MODULUS))
    mixed = pc.multiply(_rotated(pc.multiply(values, _number(_P2)), 31), _number(_P1))
    hashed = _rotated(pc.bit_wise_xor(hashed, mixed), 27)
    hashed = pc.add(pc.multiply(hashed, _number(_P1)), _number(_P4))
    hashed = pc.multiply(_folded(hashed, 33), _number(_P2))
    hashed = pc.multiply(_folded(hashed, 29), _number(_P3))
    return _folded(hashed, 32)


def _rotated(column: pa.Array, bits: int) -> pa.Array:
    return pc.bit_wise_or(pc.shift_left(column, _number(bits)), pc.shift_right(column, _number(64 - bits)))


def _folded(column: pa.Array, bits: int) -> pa.Array:
    return pc.bit_wise_xor(column, pc.shift_right(column, _number(bits)))


def _number(value: int) -> pa.Scalar:
    return pa.scalar(value, pa.uint64())
