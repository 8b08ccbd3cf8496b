"""Names of keys as words, however they are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.spelling import ascii_snake, snake, words

# fmt: off
SPELLED = {
    "request_id": "requestId requestID RequestId RequestID request_Id Request-ID request.id REQUEST_ID",
    "x_request_id": "X-Request-ID x-request-id xRequestId XRequestID",
    "http_status_code": "HTTPStatusCode httpStatusCode HttpStatusCode HTTP_STATUS_CODE",
    "user_ids": "userIDs userIds UserIDs", "base_urls": "baseURLs baseUrls", "etag": "eTag ETag etag",
    "response_etag": "responseETag", "name_tag": "nameTag", "ios_version": "iOSVersion",
    "mtls_enabled": "mTLSEnabled", "x_requested_with": "xRequestedWith X-Requested-With",
    "x_http_method": "xHTTPMethod", "oauth2_token": "OAuth2Token oAuth2Token oauth2Token",
    "client_ipv4": "clientIPv4", "s3_bucket": "S3Bucket s3Bucket", "s3_arn": "S3ARN", "sha256_hash": "sha256Hash",
    "is_b2b_order": "isB2BOrder", "2fa_enabled": "2FAEnabled", "k8s_pod": "K8sPod k8sPod", "github_url": "GitHubURL",
    "größe_max": "größeMax GrößeMax", "é_tat": "éTat", "дата_заказа": "датаЗаказа ДатаЗаказа",
    "订单_id": "订单ID 订单Id",
}
# fmt: on


@pytest.mark.parametrize(("name", "keys"), SPELLED.items())
def test_a_key_in_any_spelling_has_the_same_words(name: str, keys: str) -> None:
    """Runs of capitals, plurals of them, digits and letters of every script stay together."""
    assert {snake(key) for key in keys.split()} == {name}


@given(st.lists(st.from_regex(r"[a-wyzäöéжλ]{2,8}", fullmatch=True), min_size=1, max_size=4))
def test_words_are_found_again_however_they_are_joined(chosen: list[str]) -> None:
    """camelCase, PascalCase, kebab-case, dots, spaces and capitals alone say the same words; snake_case is kept."""
    camel = chosen[0] + "".join(map(str.title, chosen[1:]))
    others = ("-".join(chosen), ".".join(chosen), " ".join(chosen), "_".join(map(str.upper, chosen)))
    assert all(words(name) == chosen for name in (camel, "".join(map(str.title, chosen)), *others))
    assert snake("_".join(chosen)) == "_".join(chosen)


def test_a_message_is_suggested_in_ascii() -> None:
    """Operations are ASCII: accents go, letters that have no other are left out."""
    assert [ascii_snake(s) for s in ("Größe berechnet", "éTat", "Заказ 17 done")] == [
        "grosse_berechnet",
        "e_tat",
        "17_done",
    ]
