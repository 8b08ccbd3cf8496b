"""A signed POST, as Standard Webhooks (standardwebhooks.com) has it: receivers can verify it with its libraries."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
from collections.abc import Sequence

import httpx

from collector import __version__
from collector.report.notify import NotSent
from collector.report.notify.guard import Resolve, Target, resolve, vet
from collector.report.notify.message import Message

TIME_S = 5.0
"""Longest a request may take, from connecting to the status line."""
MOST_BYTES = 64 * 2**10
"""Of an answer's body that are read, and dropped."""
_LONGEST_DELAY_S = 3600.0


def send(
    message: Message,
    url: str,
    secret: str,
    *,
    allowed: Sequence[str] = (),
    now_s: int,
    ask: Resolve = resolve,
    trust: ssl.SSLContext | None = None,
) -> str:
    """Send *message* at *now_s* (seconds since 1970); raise NotSent unless the answer's status is 2xx.

    *trust*: whom to trust, the usual authorities unless given.
    """
    target = vet(url, allowed, ask)
    headers = {
        "content-type": "application/json",
        "user-agent": f"runwell/{__version__}",
        "accept-encoding": "identity",
        "idempotency-key": message.key,
        "webhook-id": message.key,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(secret, message.key, now_s, message.body),
        "host": target.netloc,
    }
    asyncio.run(_post(target, headers, message.body, trust))
    return ""


def signature(secret: str, key: str, timestamp_s: int, body: bytes) -> str:
    """Return `v1,` and the base64 of HMAC-SHA256 over `key.timestamp.body`.

    A *secret* that begins with `whsec_` is base64 of the key, any other one is the key itself.
    """
    signed = f"{key}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise NotSent("its secret begins with whsec_ and is not base64") from None
    return secret.encode()


async def _post(target: Target, headers: dict[str, str], body: bytes, trust: ssl.SSLContext | None) -> None:
    # Proxies and certificates from the environment would lead elsewhere than to the judged address.
    client = httpx.AsyncClient(
        verify=trust if trust is not None else True,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(TIME_S, connect=TIME_S / len(target.addresses)),
    )
    try:
        async with client:
            async with asyncio.timeout(TIME_S):
                response = await _connected(client, target, headers, body)
            try:
                _judge(response)
                await _drain(response)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        raise NotSent(f"it did not answer within {TIME_S:g} s") from None
    except httpx.ConnectError as e:
        tls = isinstance(e.__cause__, ssl.SSLError) or "SSL" in str(e) or "CERTIFICATE" in str(e)
        raise NotSent("its certificate or TLS was not accepted" if tls else "nothing answers there") from None
    except httpx.HTTPError:
        raise NotSent("the connection broke, or the answer was no HTTP") from None


async def _connected(client: httpx.AsyncClient, target: Target, headers: dict[str, str], body: bytes) -> httpx.Response:
    """Return the answer of the first address that can be connected to."""
    for left, address in reversed(list(enumerate(reversed(target.addresses)))):
        request = client.build_request(
            "POST",
            f"{target.scheme}://{address}:{target.port}{target.path}",
            headers=headers,
            content=body,
            extensions={"sni_hostname": target.host},
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not left:
                raise
    raise AssertionError("a target has an address")


def _judge(response: httpx.Response) -> None:
    if response.is_success:
        return
    if response.is_redirect or 300 <= response.status_code < 400:
        raise NotSent(f"it answered {response.status_code}; redirects are not followed")
    delay = response.headers.get("retry-after", "")
    wait_s = min(float(delay), _LONGEST_DELAY_S) if delay.isascii() and delay.isdigit() and len(delay) < 8 else None
    raise NotSent(f"it answered {response.status_code}", retry_after_s=wait_s)


async def _drain(response: httpx.Response) -> None:
    """Read what fits, so that the other side can end its answer; it was taken whatever it says."""
    read = 0
    try:
        async with asyncio.timeout(TIME_S / 5):
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read >= MOST_BYTES:
                    return
    except (TimeoutError, httpx.HTTPError):
        return
