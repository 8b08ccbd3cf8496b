"""Every knob, a section a class: what it means, its default and what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AnyHttpUrl,
    ByteSize,
    Field,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from collector.model.hosts import Hosts
from collector.model.hosts import read as read_host
from collector.settings import replaced
from collector.settings.memory import DEFAULT, LEAST, MIB, Memory, divide
from collector.settings.queues import Queues
from collector.settings.reports import Reports
from collector.settings.section import Secret, Section


class Connections(Section):
    """What a connection to an HTTP port may cost before it has sent a request that can be served."""

    connections: int = Field(default=1024, ge=1)
    """HTTP connections held at once. When more come, the one that has been without a complete request for longest is
    closed; when so many are being answered, requests get 503."""
    header_size: ByteSize = ByteSize(32 * 2**10)
    """Bytes of an HTTP request's line and headers; more get 431."""
    headers: int = 100
    """Header lines of an HTTP request; more get 431."""
    header_time: timedelta = timedelta(seconds=10)
    """Longest an HTTP request's headers may take to arrive; then the connection is closed."""
    body_time: timedelta = timedelta(seconds=30)
    """Longest a body may take to arrive, plus one second per KiB; slower ones get 408."""
    idle_time: timedelta = timedelta(seconds=60)
    """How long an HTTP connection without a request is kept, or one that does not read its answer."""


class Limits(Connections):
    """What one request may cost."""

    body: ByteSize = ByteSize(64 * 2**20)
    """Largest request body, compressed or decompressed; larger ones get 413 / RESOURCE_EXHAUSTED."""
    in_flight: ByteSize | None = None
    """Bytes of bodies held at once, as they came; beyond it requests get 503 / UNAVAILABLE. None: its part of
    `memory`; another size changes what all hold together."""
    grpc_connections: int = Field(default=4_096, ge=1)
    """gRPC connections held at once, fewer where the process may not open so many files; more are closed."""
    grpc_streams: int = 16
    """Concurrent gRPC requests per connection."""
    records: int = 65_536
    """Records in one request, and its resources and scopes; more get 413 / RESOURCE_EXHAUSTED."""
    parts: int = 2_000_000
    """Messages (JSON: objects) in one request beyond 4 MiB; more get 413 / RESOURCE_EXHAUSTED."""
    cpu_time: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    """Longest a large body may keep the processor busy until it is decoded; then 413 / RESOURCE_EXHAUSTED."""
    attributes: int = 2_048
    """Attributes kept per record; promoted ones are read before the cap."""
    value: ByteSize = ByteSize(256 * 2**10)
    """Longest attribute value kept; longer ones are cut."""
    key: int = 256
    """Longest attribute key kept, in characters; longer ones are cut."""
    log_body: ByteSize = ByteSize(2**20)
    """Longest log body kept; longer ones are cut."""
    nodes: int = 1_024
    """Elements kept of one array or map, those nested in it included; the rest is cut."""
    depth: int = 32
    """Deepest nesting of a value; deeper ones get 400 / INVALID_ARGUMENT."""
    enum_names: bool = True
    """Whether OTLP/JSON may have enum names, with a warning; the specification has numbers alone."""
    nested_keys: bool = True
    """Whether a log whose attributes name no run may name one in its body or in the map `extra` or `context`; what is
    told of such a run is inferred."""


class ApiLimits(Connections):
    """What one request to the read API may cost. Not `api`: RUNWELL_API tells the dashboard where the API is."""

    connections: int = Field(default=256, ge=1)
    """Connections to the read API held at once. When more come, the one that has been without a complete request for
    longest is closed; when so many are being answered, requests get 503."""
    body: ByteSize = ByteSize(128 * 2**10)
    """Largest body of a request to the read API; larger ones get 413."""
    body_time: timedelta = timedelta(seconds=10)
    """Longest a body may take to arrive; slower ones get 408."""


class Names(Section):
    """How many distinct names a project may have that rows are grouped by; more count as `__other__`."""

    services: int = 1_000
    """Service names; the resource keeps its own."""
    operations: int = 10_000
    """Pairs of service and operation; the body or span name keeps its own."""
    tasks: int = 10_000
    """Task ids; the attributes keep them."""
    attribute_keys: int = 2_000
    """Attribute keys; more are kept too, and the sender is told."""


class Cors(Section):
    """Which web pages may send telemetry."""

    origins: tuple[str, ...] = ()
    """Origins such as `https://app.example.com`, spelled as browsers send them; none allows none."""
    max_age: timedelta = timedelta(hours=2)
    """How long a browser remembers the answer."""

    @field_validator("origins")
    @classmethod
    def _named(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^\s/*]+", origin):
                raise ValueError("each origin is named in full, like https://app.example.com; * is not possible")
        return origins


class Journal(Section):
    """What was acknowledged and is kept until the store has it, and beyond."""

    keep: timedelta = timedelta(hours=48)
    """Batches stay this long after they were stored."""
    keep_size: ByteSize = ByteSize(10 * 2**30)
    """…or until the journal is this large."""
    full_size: ByteSize = ByteSize(20 * 2**30)
    """Beyond this, with batches not stored yet, requests get 503."""
    free_disk: ByteSize = ByteSize(512 * 2**20)
    """Free space on the data directory's disk below which requests get 503."""
    resend_window: timedelta = timedelta(hours=1)
    """A request with the same content inside this window is acknowledged and not stored again."""


class Store(Section):
    """The DuckDB projection."""

    flush: timedelta = timedelta(milliseconds=500)
    """How often new batches are applied; the freshness of every page."""
    statistics: timedelta = timedelta(seconds=5)
    """How often hourly statistics and queue levels are brought up to date."""
    checkpoint: timedelta = timedelta(minutes=5)
    """How often the database file is checkpointed."""
    memory: ByteSize | None = None
    """Memory limit of DuckDB. None: its part of `memory`; another size changes what all hold together."""
    threads: int = 2
    """Threads DuckDB may use."""
    query_time: timedelta = timedelta(seconds=30)
    """Longest a query may run."""
    query_rows: int = 100_000
    """Most rows a query returns."""
    query_size: ByteSize = ByteSize(64 * 2**20)
    """Most bytes a query returns."""


class Runs(Section):
    """When the clock alone decides what a run's status is."""

    retry_grace: timedelta = timedelta(minutes=3)
    """A failed last attempt counts as retrying for this long, then as failed."""
    stale: timedelta = timedelta(hours=1)
    """A run with no end and no sign of life for this long is unknown."""
    adopt: timedelta = timedelta(hours=6)
    """A log that names no run is given to the run of its span when both arrive within this time of each other."""
    reuse: timedelta = timedelta(days=7)
    """A run id that is a bare number and begins a first attempt again, after the run was over and nothing came for this
    long, is that of another run."""


class Telemetry(Section):
    """Where runwell sends what it says about itself."""

    endpoint: AnyHttpUrl | None = None
    """Base URL of an OTLP/HTTP endpoint for runwell's own traces, logs and metrics, its own included; none sends
    nothing."""
    headers: Secret = SecretStr("")
    """Headers for that endpoint, such as an access key: `name=value`, several with commas between them."""
    interval: timedelta = Field(default=timedelta(seconds=60), ge=timedelta(seconds=1))
    """How often the metrics are sent."""

    @field_validator("headers")
    @classmethod
    def _pairs(cls, value: SecretStr) -> SecretStr:
        if any("=" not in pair for pair in value.get_secret_value().split(",") if pair.strip()):
            raise ValueError("expected name=value, several with commas between them")
        return value

    def header_fields(self) -> dict[str, str]:
        """Return the headers by name."""
        pairs = (pair.partition("=") for pair in self.headers.get_secret_value().split(",") if pair.strip())
        return {name.strip().lower(): value.strip() for name, _, value in pairs}


class RuleOverride(Section):
    """Another severity or other options for some rules, on some tasks or operations."""

    rules: tuple[str, ...]
    """Codes, slugs or families (`KEY`)."""
    task: str = "*"
    """Task ids it holds for; `*` stands for anything."""
    operation: str = "*"
    """Operations it holds for; `*` stands for anything."""
    severity: Literal["error", "warning", "info", "off"] | None = None
    """Severity there; `off` switches the rules off."""
    options: dict[str, Any] = Field(default={})
    """Options there; `runwell rules explain CODE` lists them."""


class Rules(Section):
    """The conventions that telemetry is checked against."""

    profile: str = "trigger-v4-current"
    """Numbers to judge by: `guideline` or `trigger-v4-current`."""
    select: tuple[str, ...] = ()
    """Only these rules (codes, slugs or families); a rule that is off by default runs when it is named."""
    ignore: tuple[str, ...] = ()
    """Not these rules."""
    strict: bool = False
    """Ask for the three ids on every record, also where the run context tells them."""
    phone_countries: tuple[str, ...] = ()
    """Countries (ISO 3166, `DE`) whose phone numbers are found, and hidden, as they are dialled there, without `+`."""
    overrides: tuple[RuleOverride, ...] = ()
    """Severities and options per rule, task and operation, as `[[rules.overrides]]` tables."""


class _Environment(EnvSettingsSource):
    """The variables that are named as settings are now; `load` sees to those that were."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        old = {replaced.variable(name).lower() for name in replaced.REPLACED}
        return {name: value for name, value in super()._load_env_vars().items() if name.lower() not in old}

    def __call__(self) -> dict[str, Any]:
        return replaced.take(super().__call__(), "")[0]


class Settings(BaseSettings):
    """All settings of runwell."""

    model_config = SettingsConfigDict(
        env_prefix="RUNWELL_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Path = Path(".runwell")
    """Data directory: journal, database, control file and `runwell.json`."""
    host: str = "127.0.0.1"
    """Address to listen on; loopback only."""
    http_port: int = Field(default=4318, ge=0, le=65535)
    """OTLP/HTTP port; 0 picks a free one."""
    grpc_port: int = Field(default=4317, ge=0, le=65535)
    """OTLP/gRPC port; 0 picks a free one."""
    api_port: int = Field(default=4319, ge=0, le=65535)
    """Read API port; 0 picks a free one."""
    dashboard_port: int = Field(default=8501, ge=0, le=65535)
    """Dashboard port; 0 picks a free one."""
    memory: ByteSize = ByteSize(DEFAULT)
    """Memory of all processes together, the dashboard's included (proportional set size)."""
    hosts: tuple[str, ...] = ()
    """Names and addresses by which clients and browsers reach runwell beside `localhost`, `127.0.0.1` and `[::1]`, such
    as `["runwell.example.com"]`, at any port; requests for others get 421. Where `keys` are required, the dashboard
    alone looks at it."""
    keys: Literal["required", "off"] = "off"
    """Whether requests need an access key (`runwell keys create`); `off`: a key that is sent is ignored."""
    limits: Limits = Limits()
    api_limits: ApiLimits = ApiLimits()
    names: Names = Names()
    cors: Cors = Cors()
    journal: Journal = Journal()
    store: Store = Store()
    runs: Runs = Runs()
    telemetry: Telemetry = Telemetry()
    queues: Queues = Queues()
    rules: Rules = Rules()
    reports: Reports = Reports()

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            try:
                read_host(host)
            except ValueError:
                raise ValueError(
                    "expected names and addresses in full, without scheme, port and *, like runwell.example.com"
                ) from None
        return hosts

    @property
    def known_hosts(self) -> Hosts:
        """Return by which names the ports are asked that ask for keys where keys are required."""
        return Hosts.of(self.hosts, by_key=self.keys == "required")

    @field_validator("memory")
    @classmethod
    def _is_enough(cls, memory: ByteSize) -> ByteSize:
        if memory < LEAST:
            raise ValueError(f"expected at least {LEAST // MIB} MiB, which the processes need")
        return memory

    @property
    def parts(self) -> Memory:
        """Return how `memory` is divided, in bytes."""
        return divide(self.memory, in_flight=self.limits.in_flight, duckdb=self.store.memory)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments and environment; `load` merges the TOML file below them."""
        return init_settings, _Environment(settings_cls)
