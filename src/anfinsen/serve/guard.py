"""Who may ask, and how much: the wall around every route, in the order in which it is climbed.

    host    without a token only names of this machine are answered, so that no foreign page reaches in by a name of
            its own (DNS rebinding)
    origin  what another site's page sends is refused; no other site may read anything (no CORS)
    rate    so many requests a minute of one address; counted before the token, so that nobody can guess it
    token   where one is set, every address but the page's own files asks for it: as a bearer, or as a session's cookie
    size    a body is counted while it comes and has to come in time

and on the way out: a content policy, and no trace in caches or referrers. It knows no route but the open ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anfinsen.limits import LIMITS, Limits
from anfinsen.serve.files import ASSETS, PLACES, SCREENS
from anfinsen.serve.problem import Refused, refuse

COOKIE = "anfinsen_session"
OPEN = (*SCREENS, "/v1/health", "/v1/session")
"""What needs no token: the app itself, which holds nobody's data, and the way in."""
PAGES = (ASSETS, *PLACES)
"""How the addresses of the app's own files begin, and those under which it shows a job or a training."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox"
)
"""The report runs nothing, and stands apart even from the page that links to it."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_ADDRESSES = 10_000
"""Addresses whose requests are counted; beyond them the one that was quiet longest is forgotten."""


def is_local(host: str) -> bool:
    """Whether a name or address means this machine and no other.

    >>> [is_local(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Rate:
    """How often each address asked in the last minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds to wait before the next request is answered; 0 counts this one."""
        now = self._clock()
        times = self._asked.setdefault(address, deque())
        self._asked.move_to_end(address)
        while len(self._asked) > MOST_ADDRESSES:
            self._asked.popitem(last=False)
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self._per_minute:
            return times[0] + 60 - now
        times.append(now)
        return 0.0


class Guard:
    """The wall around an application; `token` is empty where none is asked for."""

    def __init__(self, app: ASGIApp, *, token: str = "", limits: Limits = LIMITS, rate: Rate | None = None) -> None:
        self._app, self._token, self._limits = app, token, limits
        self._rate = rate or Rate(limits.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a refusal."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        is_answering = False

        async def sent(message: Message) -> None:
            nonlocal is_answering
            if message["type"] == "http.response.start":
                is_answering = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._judge(scope, headers)
            await self._app(scope, self._counted(receive, headers), sent)
        except Refused as refusal:
            if not is_answering:
                await refusal.response()(scope, receive, sent)

    def _judge(self, scope: Scope, headers: Headers) -> None:
        host = urlsplit(f"//{headers.get('host', '')}")
        if not self._token and not is_local(_host_name(host.netloc)):
            raise refuse(
                403, "host", "the Host header", "This server answers on this machine only.", "Use http://127.0.0.1."
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.netloc.lower():
            raise refuse(
                403, "origin", "the Origin header", "Another site's page asked.", "Ask from the page served here."
            )
        path = scope["path"]
        is_free = path in SCREENS or path.startswith(PAGES) or path == "/v1/health"
        wait = 0.0 if is_free else self._rate.wait(address_of(scope))
        if wait > 0:
            raise refuse(
                429,
                "rate",
                "the client",
                f"More than {self._limits.requests_per_minute} requests came in a minute, which is the limit.",
                f"Wait {wait:.0f} seconds; put many sequences into one request.",
                headers={"Retry-After": str(int(wait) + 1)},
            )
        if self._token and path not in OPEN and not path.startswith(PAGES) and not self._is_known(headers):
            raise refuse(
                401,
                "token",
                "the Authorization header",
                "This server asks for a token, and no right one came.",
                "Send 'Authorization: Bearer TOKEN', with the token that the server printed when it started.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _is_known(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, session(self._token))

    def is_token(self, given: str) -> bool:
        """Whether this is the token, in a time that tells nothing about how much of it is right."""
        return _same(given, self._token)

    def _counted(self, receive: Receive, headers: Headers) -> Receive:
        """The same body, refused once it is too large or too slow."""
        limit, length = self._limits.request_bytes, headers.get("content-length", "")
        too_large = refuse(
            413,
            "too_large",
            "the body",
            f"More than {limit:,} bytes came, which is the limit.",
            "Ask in several requests.",
        )
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise too_large
        end, size, is_whole = time.monotonic() + self._limits.request_seconds, 0, False

        async def counted() -> Message:
            nonlocal size, is_whole
            if is_whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
            except TimeoutError:
                raise refuse(
                    408, "slow", "the body", "The body did not come in time.", "Send it again, or in smaller parts."
                ) from None
            size += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if size > limit:
                raise too_large
            return message

        return counted


def session(token: str) -> str:
    """What a session's cookie holds: it proves the token and does not tell it."""
    return hmac.new(token.encode(), b"anfinsen session", hashlib.sha256).hexdigest()


def address_of(scope: Scope) -> str:
    """Whose requests are counted together: an address, of IPv6 the network that one customer is given."""
    client = scope.get("client")
    if not client:
        return ""
    try:
        address = ip_address(client[0])
    except ValueError:
        return str(client[0])
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _host_name(netloc: str) -> str:
    """The name in a Host header, without its port and without the brackets of IPv6."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def _same(given: str, right: str) -> bool:
    digests = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, right))
    return hmac.compare_digest(*digests)
