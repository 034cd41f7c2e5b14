"""The reasons for refusing an HTTP request: the labels of ``sfu_http_refusals`` and of the log line."""

from enum import StrEnum


class HttpRefusal(StrEnum):
    """Why a request is not served, for the operator."""

    MALFORMED = "malformed"
    UNAUTHORIZED = "unauthorized"
    HOST = "host"
    ORIGIN = "origin"
    NOT_A_WEBSOCKET = "not_a_websocket"
    TOO_SLOW = "too_slow"
    HEAD_TOO_LARGE = "head_too_large"
    BODY_TOO_LARGE = "body_too_large"
    HALF_OPEN = "half_open"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    FULL = "full"
    ADDRESS_FULL = "address_full"
    DRAINING = "draining"
    RATE_LIMITED = "rate_limited"
    PLAIN_HTTP = "plain_http"
    TLS = "tls"
    TOO_MANY_STREAMS = "too_many_streams"
