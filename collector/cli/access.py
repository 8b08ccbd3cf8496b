"""Options of verbs that ask a server: what it wants to see of who asks, and whom to trust."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from collector.model.errors import UsageError

if TYPE_CHECKING:
    from collector.client import Access

VARIABLE = "RUNWELL_KEY"


@Parameter(name="*")
@dataclass(frozen=True)
class AccessOptions:
    """How to be let in. A key is no option, which others on the machine could see: it is in `RUNWELL_KEY`."""

    header: Annotated[
        tuple[str, ...], Parameter(help="NAME=VALUE to send too, for a proxy; several.", negative=())
    ] = ()
    ca: Annotated[Path | None, Parameter(help="PEM file of the authority that signed the server's certificate.")] = None

    def access(self) -> Access:
        """Return what these options and the environment ask for; a header that is stated comes before the key."""
        from collector.client import Access, key_header

        pairs = [pair.partition("=") for pair in self.header]
        if wrong := next((name for name, sign, _ in pairs if not sign or not name.strip()), None):
            raise UsageError(f"--header {wrong}: expected NAME=VALUE.")
        if self.ca is not None and not self.ca.is_file():
            raise UsageError(f"--ca {self.ca}: no such file; give the authority's certificate in PEM.")
        stated = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Access(tuple({**key_header(os.environ.get(VARIABLE, "")), **stated}.items()), self.ca)


ANYBODY = AccessOptions()
