"""One module per source, each defining `SOURCE`. A new source is a new file here; there is no list to edit.

Files that were migrated are sources too; their contracts declare them, and they are not polled.
"""

import pkgutil
from functools import cache
from importlib import import_module

from foundation.errors import UsageError
from producers.legacy import declared
from producers.model import Source


@cache
def load_all() -> dict[str, Source]:
    """Every source that is polled, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    sources = [module.SOURCE for module in modules if hasattr(module, "SOURCE")]
    return {source.name: source for source in sorted(sources, key=lambda source: source.name)}


def load_every() -> dict[str, Source]:
    """Every source by name: those that are polled, and the files that were migrated."""
    return load_all() | declared.sources()


def load(name: str) -> Source:
    """The source of that name. Raises: UsageError, listing the names."""
    try:
        return load_every()[name]
    except KeyError:
        raise UsageError(f"no source is named {name!r}", hint=f"one of: {', '.join(load_all())}") from None


def of_dataset(name: str) -> Source:
    """The source whose parser yields a dataset. Raises: UsageError, listing the datasets."""
    for source in load_all().values():
        if name in source.datasets:
            return source
    known = sorted(dataset for source in load_all().values() for dataset in source.datasets)
    raise UsageError(f"no source yields {name!r}", hint=f"one of: {', '.join(known)}")
