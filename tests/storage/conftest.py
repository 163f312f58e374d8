"""A real store for the tests of this folder."""

from tests.stores import lake, liar, store, versioned

__all__ = ["lake", "liar", "store", "versioned"]
