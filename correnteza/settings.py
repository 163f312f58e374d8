"""All settings, in one frozen object, read once at the start: flag > environment > correnteza.toml > default.

The value of a setting that may hold a secret can be in a file too: CORRENTEZA_API_KEYS_FILE names it.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, NonNegativeInt, PositiveInt, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from correnteza import chosen, settings_errors
from correnteza.embedded import credentials
from foundation import kafka
from foundation.errors import DependencyUnavailable, UsageError
from schemas import choices, contracts, registry_access
from storage.location import Location, connect, is_remote, location
from storage.s3 import S3

T = TypeVar("T")


class Settings(BaseSettings):
    """Every setting; its environment variable is `CORRENTEZA_` and the name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=settings_errors.PREFIX, toml_file=settings_errors.FILE, frozen=True, extra="forbid"
    )

    home: Path = Path("var")
    """Everything the pipeline keeps: lake, checkpoints, payload archive, broker and registry data, logs."""
    lake: str | None = None
    """Where the Delta tables stand: a folder, or s3://<bucket>/<prefix>. Unset: `<home>/lake`."""
    archive: str | None = None
    """Where payloads are kept: a folder, or s3://<bucket>/<prefix>. Unset: `<home>/archive`."""
    s3_endpoint: str | None = None
    """URL of an S3-compatible store. Unset: the embedded one if `up --with object-store` runs it, else AWS."""
    s3_region: str = "us-east-1"
    """Region of the buckets; most stores other than AWS take any."""
    s3_access_key: SecretStr | None = None
    """Unset: as the platform has it (AWS_* variables, profile, role of the machine)."""
    s3_secret_key: SecretStr | None = None
    s3_path_style: bool = True
    """Whether the bucket stands in the path of a URL. AWS wants false for buckets made since 2020."""
    profile: Literal["dev", "prod"] = "dev"
    """`prod` refuses what only tests need, such as failure points."""

    kafka_bootstrap: str | None = None
    """Your brokers, host:port[,host:port]. Unset: the embedded broker that `correnteza up` started."""
    kafka_security: kafka.Protocol = "PLAINTEXT"
    """How your brokers are spoken to. The settings below, up to `kafka_key`, are for your brokers too: the embedded
    broker is on the loopback interface, and has no log-in."""
    kafka_sasl_mechanism: kafka.Mechanism = "SCRAM-SHA-512"
    kafka_user: str | None = None
    """The principal of this component; `correnteza topics acls` prints what each component's needs."""
    kafka_password: SecretStr | None = None
    kafka_ca: Path | None = None
    """A PEM file with the certificates that sign your brokers'. Unset: those that the system trusts."""
    kafka_certificate: Path | None = None
    """A PEM file with this component's own certificate, where your brokers ask for one."""
    kafka_key: Path | None = None
    """A PEM file with its key, without a password."""
    registry_url: str | None = None
    """Your schema registry (Confluent API), with user and password where it asks for them:
    https://user:password@host. Unset: the embedded registry."""
    registry_ca: Path | None = None
    """A PEM file with the certificates that sign your registry's. Unset: those that the system trusts."""
    register_schemas: bool = True
    """Whether a poll registers new schemas. False: it publishes only with schemas that `correnteza schemas register`
    has registered."""
    topic_prefix: str = ""
    """Prefix of every topic, subject and transactional id, so that environments can share a cluster."""

    java_home: Path | None = None
    """A JDK 21 or newer. Unset: the pinned runtime that set-up installed."""
    maven_settings: Path | None = None
    """A Maven settings.xml whose mirror set-up fetches jars from. Unset: Maven Central."""
    jars: Path | None = None
    """The folder that set-up puts jars in. Unset: `.jars` in the checkout, or in a wheel's environment."""
    spark_driver_memory: str = "2g"
    """Heap of the Spark driver."""
    spark_master: Annotated[str, Field(pattern=r"^(local|local\[.+\]|spark://.+)$")] = "local[*]"
    """Where the tasks of `run` run: `local[*]`, within the driver; or `spark://host:port`, a standalone cluster, whose
    lake is in an object store."""

    base_urls: dict[str, str] = {}
    """Source name → base URL, for a mirror or a replay. Unset: the real source, as its file declares it."""
    history_start: dict[str, date] = {}
    """Source name → first day of the history to fetch. Unset: as the source's file declares it."""
    api_keys: dict[str, SecretStr] = {}
    """Source name → key of a paying customer. Unset: requests without a key. Only for sources that use keys."""
    polled: dict[str, dict[str, bool | dict[str, Any]]] = {}
    """Source name → series, tables or currencies that are polled beside those of the source's file, each true or with
    its fields; false stops one. docs/sources.md has the fields. Unset: those of the source's file."""
    places: dict[str, dict[str, Any]] = {}
    """Municipality code → its point, station and time zone: rows of `external_factors_daily` beside those of the 27
    capitals. After a change gold needs `correnteza rebuild`: docs/sources.md. Unset: the capitals."""
    thresholds: dict[str, float] = {}
    """Name → threshold of a flag of gold, such as extreme_heat_celsius. After a change gold needs `correnteza rebuild`:
    docs/sources.md. Unset: those of the legacy demand model."""
    chunk_rows: PositiveInt = 20_000
    """Rows per transaction. Smaller chunks lose less work to a crash and cost more commits."""
    archive_keep_days: PositiveInt | None = None
    """Days after which `maintain` removes a payload that nothing refers to. Unset: it lists payloads older than 30
    days, and removes none."""
    ledger: Path | None = None
    """A file with one line per chunk that the broker acknowledged; tests compare with it. Unset: none."""

    bronze_interval_seconds: PositiveInt = 1
    """How often a running bronze query looks for records. After a minute without records it is suspended until new ones
    come."""
    silver_interval_seconds: PositiveInt = 2
    gold_interval_seconds: PositiveInt = 5
    maintenance_interval_seconds: PositiveInt = 3600
    """How often the driver compacts its tables and removes unneeded files; the first time ten minutes after its
    start, or sooner if this is shorter."""
    canary_interval_seconds: NonNegativeInt = 60
    """How often `schedule` sends the canary, a test record; `status` and the monitor show how long it takes through all
    layers. 0 sends none. At 60 it takes an idle driver from 1 to 5 % of a core."""
    stop_timeout_seconds: PositiveInt = 60
    """How long batches have to end after SIGTERM; then they are abandoned, and repeated at the next start."""

    metrics_host: str = "127.0.0.1"
    """Address on which the monitor, the driver and the pollers serve metrics. An address other than loopback opens
    them to everybody who reaches it: there is no password."""
    monitor_port: NonNegativeInt = 9464
    """Port of `correnteza monitor`; 0 takes a free one and prints it."""
    stream_metrics_port: NonNegativeInt = 9465
    """Port of the driver's own metrics, 0 for none."""
    driver_host: str | None = None
    """Host of the driver, if it is not the monitor's machine: its name in a network of containers."""
    schedule_metrics_port: NonNegativeInt = 9466
    """Port of the pollers' own metrics, 0 for none."""
    monitor_interval_seconds: PositiveInt = 5
    """How often the monitor reads each part."""
    shadow_group: str | None = None
    """A consumer group to which the monitor commits bronze's offsets, for tools that read lag from consumer groups.
    Unset: none, and the monitor writes nothing."""

    quality_database: SecretStr | None = None
    """SQLAlchemy URL of the results of Great Expectations, postgresql+psycopg2://user:password@host/name. Unset:
    `<home>/great_expectations.db`."""
    mlflow_tracking: SecretStr | None = None
    """Tracking URI of MLflow, the same form. Unset: `<home>/mlflow.db`."""
    airflow_database: SecretStr | None = None
    """SQLAlchemy URL of Airflow's metadata, the same form. Airflow itself reads it from AIRFLOW__DATABASE__*."""
    postgres_admin: SecretStr | None = None
    """URL of a PostgreSQL superuser, the same form: `databases apply` makes the three databases with it."""

    def __init__(self, **given: Any) -> None:
        """Read all settings. Raises: UsageError that names the wrong setting without its value."""
        try:
            super().__init__(**given)
        except settings_errors.READING as error:
            raise settings_errors.explained(type(self).model_fields, error) from None
        settings_errors.refuse_unknown(type(self).model_fields)
        if self.kafka_bootstrap:
            kafka.use(self.kafka_bootstrap, self._login)
        if self.registry_url:
            registry_access.use(self.registry_url, ca=self.registry_ca, may_register=self.register_schemas)
        contracts.use_also(self.contracts)
        choices.use(
            self._checked("polled", chosen.polled),
            self._checked("places", chosen.places),
            self._checked("thresholds", chosen.thresholds),
        )

    def _checked(self, name: str, check: Callable[[Any], T]) -> T:
        try:
            return check(getattr(self, name))
        except ValueError as problem:
            where = settings_errors.named(name)
            raise UsageError(f"{where}: {problem}", hint=settings_errors.example(name)) from None

    @classmethod
    def origins(cls) -> dict[str, str]:
        """Setting → where its value comes from: its environment variable, `correnteza.toml` or `default`."""
        given = settings_errors.file_content()
        return {name: settings_errors.origin(given, name) for name in cls.model_fields}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence."""
        of_files = InitSettingsSource(settings_cls, settings_errors.of_files(settings_cls.model_fields))
        return init_settings, env_settings, of_files, TomlConfigSettingsSource(settings_cls)

    @property
    def lake_root(self) -> Location:
        """Root of the Delta tables: `<lake>/<layer>/<table>`."""
        return self._root(self.lake, "lake")

    @property
    def checkpoints(self) -> Path:
        """Root of the streaming checkpoints: `<layer>.<table>/g<generation>`."""
        return self.home / "checkpoints"

    @property
    def archive_root(self) -> Location:
        """Root of the content-addressed payload archive."""
        return self._root(self.archive, "archive")

    @property
    def spool(self) -> Path:
        """Where downloads stand until they are whole, if the archive is in a store."""
        return self.home / "spool"

    @property
    def s3(self) -> S3:
        """The object store to use; it is not asked anything here."""
        embedded = self._endpoints().get("s3_endpoint")
        endpoint = self.s3_endpoint or embedded
        given = (self.s3_access_key, self.s3_secret_key)
        access_key, secret_key = (None if each is None else each.get_secret_value() for each in given)
        if endpoint is not None and endpoint == embedded and access_key is None:
            access_key, secret_key = credentials.read(self.home)
        return S3(endpoint, self.s3_region, access_key, secret_key, path_style=self.s3_path_style)

    @property
    def contracts(self) -> Path:
        """Contracts that this installation declares for itself: of migrated files and of topics of others."""
        return self.home / "contracts"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Locks, process records and the addresses of the embedded stack."""
        return self.home / "run"

    @property
    def results_of_suites(self) -> str:
        """URL of the results of Great Expectations, with its password."""
        return self._database(self.quality_database, "great_expectations")

    @property
    def tracking(self) -> str:
        """Tracking URI of MLflow, with its password."""
        return self._database(self.mlflow_tracking, "mlflow")

    def _database(self, given: SecretStr | None, name: str) -> str:
        if given is not None:
            return given.get_secret_value()
        self.home.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.home.resolve() / name}.db"

    @property
    def bootstrap(self) -> str:
        """The brokers to use. Raises: DependencyUnavailable when none is set and none runs embedded."""
        return self.kafka_bootstrap or self._embedded("kafka_bootstrap")

    @property
    def registry(self) -> str:
        """The registry to use. Raises: DependencyUnavailable when none is set and none runs embedded."""
        return self.registry_url or self._embedded("registry_url")

    def _root(self, given: str | None, name: str) -> Location:
        if given is None:
            return self.home / name
        if is_remote(given):
            connect(given, self.s3)
        return location(given)

    def _endpoints(self) -> dict[str, str]:
        """The addresses of the embedded services that run."""
        try:
            found: dict[str, str] = json.loads((self.run / "endpoints.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    @property
    def _login(self) -> kafka.Login:
        return kafka.Login(
            protocol=self.kafka_security,
            mechanism=self.kafka_sasl_mechanism,
            user=self.kafka_user,
            password=self.kafka_password.get_secret_value() if self.kafka_password else None,
            ca=self.kafka_ca,
            certificate=self.kafka_certificate,
            key=self.kafka_key,
        )

    def _embedded(self, name: str) -> str:
        try:
            return self._endpoints()[name]
        except KeyError:
            raise DependencyUnavailable(
                f"no {name.replace('_', ' ')} is set, and no embedded stack runs in {self.home}",
                hint="correnteza up",
            ) from None
