"""Options that several verbs share, and how they become settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from collector.settings import Settings
    from collector.settings.replaced import Moved


@Parameter(name="*")
@dataclass(frozen=True)
class CommonOptions:
    """Where a runwell keeps its data and listens. Every option is also a `RUNWELL_…` variable and a TOML key."""

    data: Annotated[Path | None, Parameter(help="Data directory [default: .runwell].")] = None
    host: Annotated[str | None, Parameter(help="Address to listen on, loopback only [default: 127.0.0.1].")] = None
    http_port: Annotated[int | None, Parameter(help="OTLP/HTTP port, 0 picks one [default: 4318].")] = None
    grpc_port: Annotated[int | None, Parameter(help="OTLP/gRPC port, 0 picks one [default: 4317].")] = None
    api_port: Annotated[int | None, Parameter(help="Read API port, 0 picks one [default: 4319].")] = None
    dashboard_port: Annotated[int | None, Parameter(help="Dashboard port, 0 picks one [default: 8501].")] = None
    memory: Annotated[str | None, Parameter(help="Memory of all processes together [default: 2GiB].")] = None
    config: Annotated[Path | None, Parameter(help="TOML file with settings.")] = None

    def settings(self, **more: object) -> Settings:
        """Return the settings these options ask for."""
        from collector.settings import load  # a third of a second that `--help` has no need of

        options = {
            name: getattr(self, name)
            for name in ("data", "host", "http_port", "grpc_port", "api_port", "dashboard_port", "memory")
        }
        return load({**options, **more}, config=self.config, old=OLD)


OLD: list[Moved] = []
"""Options that this command line gave under old names."""
DEFAULT = CommonOptions()
