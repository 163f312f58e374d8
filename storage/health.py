"""Whether a failure is the store's, which comes back by itself, or the work's own."""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

from foundation.errors import TransientError
from storage import files, location
from storage.errors import errors_of
from storage.location import Address, Remote


@contextmanager
def asked_on_failure(address: Address) -> Iterator[None]:
    """As `errors_of`, around what delta-rs does on its own: whatever it meets in a store there has one class. So the
    store is asked whether it is the reason.
    """
    try:
        with errors_of(address):
            yield
    except DeltaError as error:
        if away := of_store():
            raise away from error
        raise


def of_store(error: BaseException | None = None) -> TransientError | None:
    """The error to raise in place of another one, if an object store is the reason; None if it is not.

    Clients of a store raise OSError when their repetitions have failed. What Spark met comes as text, by which nothing
    is decided: then every store that this process uses is asked whether it answers now.

    Args: error: what was met; None where only its text is known.
    """
    if isinstance(error, TransientError):
        return error
    stores = location.connected()
    if stores and isinstance(error, OSError):
        return TransientError(f"the object store fails: {error}", hint="correnteza doctor")
    for bucket, s3 in stores.items():
        try:
            files.exists(Remote(s3, bucket, "_locks/asked"))
        except TransientError as away:
            return away
    return None
