"""How settings are read: option over variable over file over default, and one sentence for what is wrong."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from collector.model.errors import UsageError
from collector.settings import replaced
from collector.settings.knobs import Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _tell(line: str) -> None:
    sys.stderr.write(f"runwell: {line}\n")


def load(
    overrides: dict[str, Any] | None = None,
    *,
    config: Path | None = None,
    old: Iterable[replaced.Moved] = (),
    tell: Callable[[str], None] = _tell,
) -> Settings:
    """Return the settings, or raise `UsageError` with one sentence that names the option.

    *overrides* come from the command line (None values are ignored), *config* is the TOML file; *old* names that the
    command line gave too. What is read under an old name is told to *tell*, a line each.
    """
    arguments = {k: v for k, v in (overrides or {}).items() if v is not None}
    moved = [*old, *replaced.variables()]
    try:
        settings = Settings(**arguments)
        by_old, _ = replaced.rename(moved, _explicit(settings))
        path = config or Path(by_old.get("data", settings.data)) / "runwell.toml"
        if config is not None and not path.is_file():
            raise UsageError(f"--config {path}: no such file; give the path of a TOML file or leave it out.")
        if path.is_file() or moved:
            file, more = replaced.take(_read(path) if path.is_file() else {}, str(path))
            merged = _merge(file, _explicit(settings))
            by_old, lines = replaced.rename([*moved, *more], merged)
            for m, used in lines:
                tell(m.said(used=used, shown=_may_be_shown(m.new, m.value)))
            settings = Settings(**_merge(by_old, merged))
    except ValidationError as e:
        raise UsageError(_sentence(e)) from None
    except SettingsError as e:
        raise UsageError(f"{_variable(e)}: expected JSON for a list or table; correct the variable.") from None
    if settings.host not in LOOPBACK:
        raise UsageError(
            f"--host {settings.host}: only loopback addresses (127.0.0.1, ::1, localhost) are served, "
            "because nothing is encrypted yet; put a proxy with TLS and authentication in front."
        )
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise UsageError(f"{path}: not readable as TOML ({e}); correct the file.") from None


def _explicit(settings: Settings) -> dict[str, Any]:
    """Return what was set by argument or environment, at every depth."""
    return settings.model_dump(exclude_unset=True)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _sentence(e: ValidationError) -> str:
    first = e.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{name}: no such setting; `runwell --help` and docs/settings.md list them."
    option = name.replace("_", "-") if "." not in name else name
    value = f", got {first['input']!r}" if _may_be_shown(name, first["input"]) else ""
    what = f"{first['msg'].removeprefix('Value error, ')}{value}."
    if name.startswith("reports") or ".overrides" in name:  # tables, which the file has
        return f"{name}: {what}"
    return f"--{option} (RUNWELL_{name.upper().replace('.', '__')}): {what}"


def _may_be_shown(name: str, value: object) -> bool:
    """Tell whether a wrong value holds no secret; one that stands where a channel was expected may."""
    path = name.split(".")
    if path[:2] == ["reports", "channels"]:
        return path[-1] in ("name", "type", "when") and isinstance(value, str)
    return name not in ("telemetry.headers", "reports")


def _variable(e: SettingsError) -> str:
    """Return the variable, or the section it belongs to, that is not JSON."""
    match = re.search(r'field "(\w+)"', str(e))
    return f"RUNWELL_{match[1].upper()}" if match else "a RUNWELL_… variable"
