"""``GET /api/presence``: the lists of channels and their changes as server-sent events (HTML standard, section 9.2).

Each event has an ``id``, which a client sends back as ``Last-Event-ID``. It is the number of a journal's entry, and
names the journal, since the numbers of another one mean nothing.
"""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

import h11
import trio
from attrs import define, field, frozen

from gateway.config.hosts import is_loopback, parse_authority
from gateway.connection.accounts import share_of_address, site_of
from gateway.gateway import Gateway
from gateway.http import asgi
from gateway.http.http1 import Exchange, HttpError
from gateway.http.places import Places
from gateway.http.route import bearer_token
from gateway.identity.rights import EVERYBODY, Rights, is_secret
from gateway.ops.http_refusal import HttpRefusal
from gateway.presence.feed import Subscription
from gateway.presence.journal import Entry
from protocol.codec import from_json
from protocol.constraints import InvalidValueError
from protocol.errors import ErrorCode, RequestError
from protocol.watching import Watch

PATH: Final = "/api/presence"
HEARTBEAT: Final = 15.0
"""Seconds without an event after which a comment shows that the stream is alive."""

_MOST_WAITING: Final = 1024 * 1024
"""Bytes of changes that may wait for one reader. A slower one is closed, and resumes."""
_CHANNELS_AT_ONCE: Final = 50
_MOST_FIELDS: Final = 200
_COMMENT: Final = b": \n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
)
_SIGNS_OF_A_PROXY: Final = re.compile(rb"forwarded|via|x-forwarded-.*|x-real-ip")
_ID: Final = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,16})")


@define(eq=False)
class _Reader:
    """The entries that wait for one stream, whose client is at this ``site``. ``is_over`` says that no more come, and
    ``fell_behind`` that some are missing."""

    site: str | None
    subscription: Subscription = field(init=False)
    is_over: bool = False
    fell_behind: bool = False
    _size: int = 0
    _waiting: list[Entry] = field(factory=list)
    _came: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.subscription = Subscription(self._receive, self._fall_behind, self.site)

    def _receive(self, entry: Entry) -> None:
        self._size += entry.size
        if self._size > _MOST_WAITING:
            self._fall_behind()
        else:
            self._waiting.append(entry)
            self._came.set()

    def _fall_behind(self) -> None:
        self.fell_behind = True
        self._came.set()

    def finish(self) -> None:
        """No more entries come."""
        self.is_over = True
        self._came.set()

    async def take(self) -> list[Entry]:
        """Take all entries that wait. Without any, wait for some time."""
        with trio.move_on_after(HEARTBEAT):
            await self._came.wait()
        taken, self._waiting, self._size = self._waiting, [], 0
        if not self.is_over:
            self._came = trio.Event()
        return taken


@frozen
class _Wanted:
    """What a request asks for.

    ``resumes`` says that the client has read a stream before, and ``last`` is the number of its last event, if that is
    one of this journal.
    """

    channels: tuple[str, ...]
    prefix: str | None
    resumes: bool
    last: int | None


class PresenceStreams:
    """Serves the streams, at most ``max_presence_streams``. ``open`` counts them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._readers: set[_Reader] = set()
        self._places = Places(0, "streams", HttpRefusal.TOO_MANY_STREAMS)
        self._last_ended = trio.Event()

    @property
    def open(self) -> int:
        """The number of streams."""
        return len(self._readers)

    async def finish(self) -> None:
        """End each stream after what waits for it, and wait until the last one has ended."""
        await self._gateway.backend_feed.wait_told()
        for reader in self._readers:
            reader.finish()
        while self._readers:
            await self._last_ended.wait()

    async def serve(self, exchange: Exchange) -> None:
        """Answer a request with a stream, and return when it ends. Raises :exc:`HttpError` and ``ClientGone``."""
        request = exchange.request
        if request.method != b"GET":
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "presence is read with GET", [(b"allow", b"GET")])
        rights = self._rights(request, exchange.peer)
        wanted = self._wanted_untrusted(request)
        _check(rights, wanted)
        most = self._gateway.config.max_presence_streams
        self._places.most = share_of_address(most)
        self._places.require(exchange.remote)
        if self.open >= most:
            self._gateway.metrics.limits.reached("max_presence_streams")
            raise _unavailable("too many streams")
        feed, journal = self._gateway.backend_feed, self._gateway.journal
        reader = _Reader(site_of(exchange.remote))
        missed = None
        if wanted.last is not None:
            missed = journal.entries_after(wanted.last, wanted.channels, wanted.prefix)
        try:
            feed.follow(reader.subscription, wanted.channels, wanted.prefix, journal.committed)
        except RequestError as refused:
            raise _unavailable(refused.message) from None
        self._readers.add(reader)
        try:
            with self._places.hold(exchange.remote):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_when_gone, exchange, nursery.cancel_scope)
                    await self._stream(exchange, wanted, reader, missed)
                    nursery.cancel_scope.cancel()
        finally:
            feed.close(reader.subscription)
            self._readers.discard(reader)
            if not self._readers:
                self._last_ended.set()
                self._last_ended = trio.Event()

    async def _stream(
        self, exchange: Exchange, wanted: _Wanted, reader: _Reader, missed: Sequence[Entry] | None
    ) -> None:
        await exchange.start(HTTPStatus.OK, _HEADERS)
        await exchange.write(b"retry: 1000\n\n" + b"".join(map(self._event, missed or ())))
        listed: dict[str, int] = {}
        if missed is None:
            if wanted.prefix is not None and wanted.resumes:
                # The client may have channels on its list that are closed, and that nobody here knows any more.
                await exchange.write(f"event: reset\ndata: {json.dumps({'prefix': wanted.prefix})}\n\n".encode())
            listed = await self._send_snapshots(exchange, self._named(wanted))
        await self._send_changes(exchange, reader, listed)

    async def _send_snapshots(self, exchange: Exchange, channels: Sequence[str]) -> dict[str, int]:
        """Send the present list of each channel. Return for each the number of the newest entry that it contains."""
        journal = self._gateway.journal
        listed: dict[str, int] = {}
        for start in range(0, len(channels), _CHANNELS_AT_ONCE):
            some = channels[start : start + _CHANNELS_AT_ONCE]
            number = journal.number
            listed.update(dict.fromkeys(some, number))
            texts = [self._gateway.channels.state_text(name) for name in some]
            # Only who has all snapshots may resume behind them, and with them all changes since the first.
            ids = [f"{self._gateway.journal.name}-snapshot-{place}" for place in range(start, start + len(some))]
            if start + len(some) == len(channels):
                ids[-1] = f"{self._gateway.journal.name}-{min(listed.values())}"
            pairs = zip(ids, texts, strict=True)
            await journal.wait_committed(number)
            await exchange.write("".join(f"id: {name}\ndata: {text}\n\n" for name, text in pairs).encode())
        return listed

    async def _send_changes(self, exchange: Exchange, reader: _Reader, listed: dict[str, int]) -> None:
        """Send the changes as they come, and leave out those that the snapshots contain."""
        while True:
            entries = await reader.take()
            if reader.fell_behind:
                return  # Without the end of the response, so that the client notices, and resumes.
            new = [entry for entry in entries if entry.number > listed.get(entry.channel_id, 0)]
            if new:
                await exchange.write(b"".join(map(self._event, new)))
            elif not entries and reader.is_over:
                await exchange.finish()
                return
            elif not entries:
                await exchange.write(_COMMENT)
            if listed and entries and entries[-1].number > max(listed.values()):
                listed.clear()

    def _event(self, entry: Entry) -> bytes:
        return f"id: {self._gateway.journal.name}-{entry.number}\ndata: {entry.data}\n\n".encode()

    def _named(self, wanted: _Wanted) -> list[str]:
        if wanted.prefix is None:
            return list(dict.fromkeys(wanted.channels))
        return [name for name in self._gateway.channels.channels if name.startswith(wanted.prefix)]

    def _wanted_untrusted(self, request: h11.Request) -> _Wanted:
        query = asgi.split_target(request)[2]
        try:
            given = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
            channels, prefixes = given.pop("channel", []), given.pop("prefix", [])
            if given or len(prefixes) > 1:
                raise ValueError
            data = {"channelIds": channels} if channels else {}
            watch = from_json({**data, **({"prefix": prefixes[0]} if prefixes else {})}, Watch)
        except (ValueError, InvalidValueError):
            raise HttpError(
                HTTPStatus.BAD_REQUEST, "the query must have channel=… (up to 100 times), or prefix=… once"
            ) from None
        last = next((value.decode("latin-1") for name, value in request.headers if name == b"last-event-id"), "")
        found = _ID.fullmatch(last)
        known = int(found[2]) if found is not None and found[1] == self._gateway.journal.name else None
        return _Wanted(watch.channel_ids or (), watch.prefix, bool(last), known)

    def _rights(self, request: h11.Request, peer: str) -> Rights:
        config = self._gateway.config
        token = _bearer(request)
        if config.admin_token is not None and token is not None and is_secret(config.admin_token, token):
            return EVERYBODY
        if self._gateway.tokens is None and config.join_token is None:
            if _is_from_here(request, peer):
                return EVERYBODY
            raise _unauthorized("without a token, only programs on this machine read the presence")
        try:
            return self._gateway.rights_to_watch(token)
        except RequestError as refused:
            if refused.code is ErrorCode.FORBIDDEN:
                raise _forbidden(refused.message) from None
            raise _unauthorized(refused.message) from None


def _check(rights: Rights, wanted: _Wanted) -> None:
    if wanted.prefix is not None and not rights.may_enter_all(wanted.prefix):
        raise _forbidden("the token does not allow all these channels")
    if refused := [name for name in wanted.channels if not rights.may_enter(name)]:
        raise _forbidden(f"the token does not allow {refused[0]}")


def _unavailable(why: str) -> HttpError:
    headers = [(b"retry-after", b"5")]
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, why, headers, HttpRefusal.TOO_MANY_STREAMS)


def _unauthorized(why: str) -> HttpError:
    headers = [(b"www-authenticate", b"Bearer")]
    return HttpError(HTTPStatus.UNAUTHORIZED, why, headers, HttpRefusal.UNAUTHORIZED)


def _forbidden(why: str) -> HttpError:
    return HttpError(HTTPStatus.FORBIDDEN, why, (), HttpRefusal.UNAUTHORIZED)


def _bearer(request: h11.Request) -> str | None:
    given = next((value.decode("latin-1") for name, value in request.headers if name == b"authorization"), "")
    return bearer_token(given)


def _is_from_here(request: h11.Request, peer: str) -> bool:
    """Whether a program on this machine asks, and no proxy on this machine for somebody else."""
    if site_of(peer) is not None or any(_SIGNS_OF_A_PROXY.fullmatch(name) for name, _ in request.headers):
        return False
    hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
    return all(is_loopback(parse_authority(host)) for host in hosts)


async def _cancel_when_gone(exchange: Exchange, scope: trio.CancelScope) -> None:
    await exchange.wait_gone()
    scope.cancel()
