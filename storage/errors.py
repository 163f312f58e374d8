"""What the clients of a store raise, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from foundation.errors import DependencyUnavailable, TransientError
from storage.location import Address, Remote, location


@contextmanager
def errors_of(address: Address) -> Iterator[None]:
    """As `store_errors`; on a disk errors stay what they are."""
    place = location(address)
    if isinstance(place, Remote):
        with store_errors(place):
            yield
    else:
        yield


@contextmanager
def store_errors(place: Remote) -> Iterator[None]:
    """Raises, in place of the client's errors: FileNotFoundError; DependencyUnavailable when the store refuses us;
    TransientError for all else, once the client has repeated the request in vain.
    """
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place} is not there") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise DependencyUnavailable(
            f"the object store refuses {place}",
            hint="look at s3_access_key and s3_secret_key, and at the bucket's policy",
        ) from error
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise  # an answer, and not a failure
    except (exceptions.BaseError, OSError) as error:
        raise TransientError(
            f"the object store does not answer for {place}: {_first_line(error)}", hint="correnteza doctor"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
