"""The receive process: does it live, and does it take requests."""

from __future__ import annotations

import httpx

from collector.doctor.found import Check

_PATIENCE_S = 3.0
REMEDIES = (
    ("disk", "make room on the disk of {data}, or lower journal.free_disk"),
    ("journal is full", "the store is behind, or lives no more: see what is said of it; or raise journal.full_size"),
    ("cannot be opened", "look at the disk, at the rights of {data} and at receive's log"),
    ("draining", "runwell is being stopped; start it again"),
)
"""What helps, by what the reason says."""
_OTHERWISE = "see receive's log, or restart runwell"


def receive(url: str, data: object) -> list[Check]:
    """Return what the process that runs at *url*, on the directory *data*, says of itself."""
    for path in ("healthz", "readyz"):
        try:
            answer = httpx.get(f"{url}/{path}", timeout=_PATIENCE_S, trust_env=False)
        except (httpx.HTTPError, ValueError):
            return [Check("receive", "problem", f"receive does not answer at {url}/{path}; {_OTHERWISE}")]
        if not answer.is_success:
            return [_refuses(path, answer.status_code, answer.text[:200].strip(), data)]
    return [Check("receive", "ok", "receive takes requests")]


def _refuses(path: str, code: int, why: str, data: object) -> Check:
    helps = next((remedy for words, remedy in REMEDIES if words in why), _OTHERWISE).format(data=data)
    told = (
        f"receive refuses requests and answers {code} at /{path}: {why}. Exporters send again later, but not for ever"
    )
    return Check("receive", "problem", f"{told}. To do: {helps}", {"status": code, "reason": why})
