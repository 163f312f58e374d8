"""One S3-compatible object store: its address, its credentials, and the clients of it that this process uses."""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obstore.store import S3Store
    from pyarrow.fs import S3FileSystem

RETRIES = 6
"""How often a client repeats a request that the store answered with 5xx, or not at all; with back-off, within seconds.
After that the caller gets the error, and repeats the whole step later."""

RETRY_SECONDS = 30
TIMEOUT_SECONDS = 20
"""Of one request. A store that sends nothing for so long is taken to be away."""


@dataclass(frozen=True)
class S3:
    """How to reach a store.

    Attributes:
        endpoint: such as `http://127.0.0.1:8333`; None is AWS.
        region: stores other than AWS take any.
        access_key, secret_key: None leaves it to the platform's own chain: environment, profile, role of the machine.
        path_style: whether the bucket stands in the path (`endpoint/bucket/key`) and not in the host's name.
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    path_style: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether it is reached without TLS."""
        return self.endpoint is not None and self.endpoint.startswith("http://")

    @property
    def delta(self) -> dict[str, str]:
        """`storage_options` of delta-rs. A commit is a PUT with `If-None-Match: *`, so of two only one succeeds."""
        options = {
            "region": self.region,
            "virtual_hosted_style_request": _told(not self.path_style),
            "allow_http": _told(self.is_plain),
            "conditional_put": "etag",
            "timeout": f"{TIMEOUT_SECONDS}s",
            "max_retries": str(RETRIES),
            "retry_timeout": f"{RETRY_SECONDS}s",
        }
        given = {"endpoint": self.endpoint, "access_key_id": self.access_key, "secret_access_key": self.secret_key}
        return options | {name: value for name, value in given.items() if value is not None}

    @property
    def hadoop(self) -> dict[str, str]:
        """Settings of Hadoop's S3A, which Spark reads and writes by. `s3://` is made to mean S3A too."""
        prefix = "fs.s3a."
        options = {
            "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            f"{prefix}endpoint.region": self.region,
            f"{prefix}path.style.access": _told(self.path_style),
            f"{prefix}connection.ssl.enabled": _told(not self.is_plain),
            f"{prefix}attempts.maximum": str(RETRIES),
            f"{prefix}connection.timeout": f"{TIMEOUT_SECONDS}s",
            # The directories that a write leaves are names only; to look for them costs a request per level.
            f"{prefix}directory.marker.retention": "keep",
        }
        if self.endpoint is not None:
            options[f"{prefix}endpoint"] = self.endpoint
        if self.access_key is not None and self.secret_key is not None:
            options[f"{prefix}aws.credentials.provider"] = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
            options[f"{prefix}access.key"] = self.access_key
            options[f"{prefix}secret.key"] = self.secret_key
        return options

    def bucket(self, name: str) -> "S3Store":
        """A client for objects: conditional writes, lists, multipart uploads."""
        return _bucket(self, name)

    def arrow(self) -> "S3FileSystem":
        """Arrow's file system, whose paths begin with the bucket's name: for Parquet files."""
        return _arrow(self)


def _told(value: bool) -> str:
    return "true" if value else "false"


@cache
def _bucket(s3: S3, name: str) -> "S3Store":
    from datetime import timedelta

    from obstore.store import S3Store

    given: dict[str, Any] = {
        "endpoint": s3.endpoint,
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
    }
    return S3Store(
        name,
        region=s3.region,
        virtual_hosted_style_request=not s3.path_style,
        client_options={"allow_http": s3.is_plain, "timeout": timedelta(seconds=TIMEOUT_SECONDS)},
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        **{name: value for name, value in given.items() if value is not None},
    )


@cache
def _arrow(s3: S3) -> "S3FileSystem":
    from pyarrow import fs

    host = (s3.endpoint or "").partition("://")[2]
    given: dict[str, Any] = {
        "endpoint_override": host or None,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
    }
    return fs.S3FileSystem(
        region=s3.region,
        scheme="http" if s3.is_plain else "https",
        force_virtual_addressing=not s3.path_style,
        request_timeout=TIMEOUT_SECONDS,
        connect_timeout=TIMEOUT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=RETRIES),
        background_writes=False,
        **{name: value for name, value in given.items() if value is not None},
    )
