"""The `[reports]` section: when reports are made, what they cover, and where they go."""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator

from collector.model.errors import UsageError
from collector.settings.section import Secret, Section

FIELDS = "five fields: minute, hour, day of month, month, day of week, such as `0 9 * * 1-5`"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_REFERENCE = re.compile(r"\$\{(file|env):([^}]*)\}")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    text = " ".join(text.split())
    if len(text.split(" ")) != 5:
        raise ValueError(f"expected {FIELDS}")
    try:
        # A month that never has the day is told here as well, and so is one the calendar never meets.
        next(CronSim(text, _EPOCH))
    except CronSimError as e:
        raise ValueError(f"{str(e)[:1].lower()}{str(e)[1:]}; expected {FIELDS}") from None
    except StopIteration:
        raise ValueError("no day matches it; correct day and month") from None
    return text


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("no such time zone; expected an IANA name such as Europe/Berlin") from None
    return name


def _length(span: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= span <= timedelta(days=31):
        raise ValueError("expected a length from one minute to 31 days, such as PT24H")
    return span


def _name(text: object) -> object:
    if not (isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,59}", text)) or text == ON_DEMAND:
        raise ValueError(f"expected 1 to 60 letters, digits, spaces, dots and dashes, and not `{ON_DEMAND}`")
    return text


def _allowed(text: str) -> str:
    host, _, port = text.rpartition(":") if re.search(r"[^:]:\d+$", text) else (text, "", "")
    if port and not 0 < int(port) < 65_536:
        raise ValueError("expected a port from 1 to 65535")
    try:
        ipaddress.ip_network(host.strip("[]"))
    except ValueError:
        if not _HOST.fullmatch(host.lower()):
            raise ValueError("expected a host, an address or a network such as 10.2.0.0/16, or host:port") from None
    return text


def _plain(url: AnyHttpUrl) -> AnyHttpUrl:
    more = (url.username, url.password, url.query, url.fragment)
    if any(more) or re.search(r"[\s\"'<>\\^`{|}()]", str(url)):
        raise ValueError("expected an address without login and query, such as http://127.0.0.1:8501")
    return url


ON_DEMAND = "on demand"
"""Stands for a schedule in reports that were asked for."""
Name = Annotated[str, BeforeValidator(_name)]
Zone = Annotated[str, AfterValidator(_zone)]
Length = Annotated[timedelta, AfterValidator(_length)]


class Channel(Section):
    """Where reports go."""

    name: Name
    """What schedules call it."""
    type: Literal["apprise", "webhook"]
    """`apprise`: chat and mail by an Apprise URL; `webhook`: a signed POST to an endpoint of yours."""
    url: Secret
    """Apprise URL (`mailtos://…`, `slack://…`) or https address. Never shown. `${file:PATH}` and `${env:NAME}` in it
    stand for a file's content and a variable's value, read when runwell starts."""
    secret: Secret | None = None
    """Key of a webhook's signature, 16 characters or more. Never shown; `${file:PATH}` and `${env:NAME}` too."""
    when: Literal["always", "anomalies", "new"] = "always"
    """Send every report, those with anomalies, or those with new ones."""

    @model_validator(mode="after")
    def _fits(self) -> Channel:
        """Tell a webhook from an Apprise URL, without quoting either."""
        url = self.url.get_secret_value()
        if self.type == "webhook":
            if self.secret is None:
                raise ValueError(f"channel {self.name}: a webhook needs a secret, which signs what is sent")
            if not _REFERENCE.search(url):
                _check_webhook(self.name, url)
            key = self.secret.get_secret_value()
            if not _REFERENCE.search(key):
                _check_secret(self.name, key)
        elif self.secret is not None:
            raise ValueError(f"channel {self.name}: secret is for webhooks; an Apprise URL holds its own")
        elif not _REFERENCE.search(url):
            _check_apprise(self.name, url)
        return self


def _check_webhook(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise ValueError(f"channel {name}: url: expected an address such as https://hooks.example.com/runwell")


def _check_secret(name: str, key: str) -> None:
    if len(key) < 16:
        raise ValueError(
            f"channel {name}: secret: expected 16 characters or more; make one with `openssl rand -hex 32`"
        )


def _check_apprise(name: str, url: str) -> None:
    if not re.match(r"[a-z0-9+]{2,20}://.", url, re.IGNORECASE):
        raise ValueError(f"channel {name}: url: expected an Apprise URL such as mailtos://user:password@example.com")


class Schedule(Section):
    """When a report is made, and what it covers."""

    name: Name
    """What reports and the command line call it."""
    cron: Annotated[str, AfterValidator(_cron)]
    """Minute, hour, day of month, month, day of week, as Debian's cron reads them: `0 9 * * 1-5`."""
    zone: Zone | None = None
    """IANA zone of the hours; none takes `reports.zone`."""
    period: Length | None = None
    """What a report covers up to the firing, such as `PT24H`; none: since the firing before, at most 31 days."""
    deliver: tuple[str, ...] = ()
    """Names of the channels it goes to; none keeps it on the Reports page alone."""


class Reports(Section):
    """When reports are made and where they go."""

    zone: Zone = "UTC"
    """IANA zone of schedules that name none, and of reports that are asked for."""
    schedules: tuple[Schedule, ...] = Field(default=(), max_length=50)
    """`[[reports.schedules]]` tables: `name`, `cron`, `zone`, `period`, `deliver`; docs/reports.md explains them."""
    channels: tuple[Channel, ...] = Field(default=(), max_length=50)
    """`[[reports.channels]]` tables: `name`, `type`, `url`, `secret`, `when`; docs/reports.md explains them."""
    catch_up: timedelta = Field(default=timedelta(hours=24), ge=timedelta(0))
    """A firing that was missed is made up for within this time, the latest of several; older ones are skipped."""
    give_up: timedelta = Field(default=timedelta(hours=48), ge=timedelta(minutes=1))
    """A delivery is tried for this long."""
    dashboard: Annotated[AnyHttpUrl, AfterValidator(_plain)] | None = None
    """Address of the dashboard as readers of reports reach it; links in reports lead there. None: where the dashboard
    of `runwell up` listens; without one reports have no links."""
    internal_hosts: tuple[Annotated[str, AfterValidator(_allowed)], ...] = ()
    """Hosts, addresses and networks (`hooks.internal`, `10.2.0.0/16`, `127.0.0.1:8080`) that webhooks may reach,
    internal as they are, over http too."""

    @model_validator(mode="after")
    def _check_names(self) -> Reports:
        """Hold that names are unique, and that schedules name channels there are."""
        channels = [c.name for c in self.channels]
        for what, names in (("channels", channels), ("schedules", [s.name for s in self.schedules])):
            if twice := next((n for n in names if names.count(n) > 1), None):
                raise ValueError(f"{what}: two are called {twice}; give each a name of its own")
        for schedule in self.schedules:
            if unknown := next((c for c in schedule.deliver if c not in channels), None):
                there = f"there are {', '.join(channels)}" if channels else "there is none in [[reports.channels]]"
                raise ValueError(f"schedules: {schedule.name}: deliver: no channel {unknown[:60]!r}; {there}")
        return self

    def resolved(self) -> Reports:
        """Return the same with files and variables read in; raise UsageError for one that cannot be read."""
        return self.model_copy(update={"channels": tuple(_resolved(c) for c in self.channels)})


def _resolved(c: Channel) -> Channel:
    url = _read(c.name, "url", c.url)
    secret = _read(c.name, "secret", c.secret) if c.secret is not None else None
    try:
        if c.type == "webhook":
            _check_webhook(c.name, url.get_secret_value())
            assert secret is not None
            _check_secret(c.name, secret.get_secret_value())
        else:
            _check_apprise(c.name, url.get_secret_value())
    except ValueError as e:
        raise UsageError(f"reports.channels: {e}.") from None
    return c.model_copy(update={"url": url, "secret": secret})


def _read(channel: str, field: str, value: SecretStr) -> SecretStr:
    text = value.get_secret_value()

    def one(match: re.Match[str]) -> str:
        kind, name = match.groups()
        where = f"reports.channels: channel {channel}: {field}: ${{{kind}:{name}}}"
        if kind == "env":
            if not os.environ.get(name):
                raise UsageError(f"{where}: no such variable, or it is empty; set it before runwell starts.")
            read = os.environ[name]
        else:
            try:
                read = Path(name).read_text("utf-8").strip()
            except (OSError, ValueError) as e:
                why = e.strerror if isinstance(e, OSError) else "it is not text"
                raise UsageError(f"{where}: cannot be read ({why}); correct the path or the file.") from None
            if not read:
                raise UsageError(f"{where}: is empty; write the secret into it.")
        # As a part of a URL it must not be taken for the URL's own marks.
        return read if match[0] == text else quote(read, safe="")

    return SecretStr(_REFERENCE.sub(one, text))
