"""Owns a sign-in that stands in for a key: has a good token at hand, renews it, and says when it is of no more use.

`oauth` has the rules; here they are awaited. A refresh token serves once, so one renewal runs at a time, under the lock
that the file's other users take too; the file is read again first, and the new pair is on disk before it is used. A
client that leaves does not stop a renewal. A sign-in that is refused is given up until its file changes: it asks nobody
any more.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from ollama_proxy import oauth
from ollama_proxy.clock import Clock
from ollama_proxy.errors import UpstreamError
from ollama_proxy.oauth import Token
from ollama_proxy.outcome import Kind, Outcome, Scope
from ollama_proxy.shared_file import Locked, SharedFile, Stamp
from ollama_proxy.types import Access
from ollama_proxy.upstream import Transport, Upstream

__all__ = ["SignIn"]

_log = logging.getLogger("ollama_proxy.sign_in")
#: Seconds; patient, since a token that was asked for and did not arrive is lost.
_TRANSPORT = Transport(5.0, 30.0, 10.0)
_ANSWER_BYTES = 64 * 1024
#: After trouble that is not the sign-in's own, other keys serve for so long.
_REST_S = 30.0
#: Mean the token at the portal, in whatever words.
_REFUSED = (401, 403)


class _Useless(Exception):
    """The sign-in was given up."""


class _NotNow(Exception):
    """There is no token, and it is not the sign-in's fault."""


class SignIn:
    """One file of qwen-code's. `given_up_at` (monotonic seconds) is None while it serves; `complaint` says why not.

    token_url: where tokens are renewed. learn: told every token before it is used, to keep it out of logs and errors.
    """

    def __init__(
        self, path: Path, token_url: str, upstream: Upstream, clock: Clock, learn: Callable[[Iterable[str]], None]
    ) -> None:
        self._file = SharedFile(path.expanduser())
        self._token_url = token_url
        self._upstream = upstream
        self._clock = clock
        self._learn = learn
        self._token: Token | None = None
        self._stamp: Stamp | None = None
        self._spent = ""
        self._renewal: asyncio.Task[Token] | None = None
        self._was_looked_at = False
        self.given_up_at: float | None = None
        self.complaint = ""

    def __repr__(self) -> str:
        return f"SignIn({self._file.path})"

    # --- a call -------------------------------------------------------------------------------------------------------

    async def carry(self, call: Callable[[Access], Awaitable[Outcome]], proxy: str | None = None) -> Outcome:
        """How `call` ended with a good token; where that is refused all the same, with a new one, once.

        proxy: the way to leave by for the renewal too.
        """
        try:
            token = await self._current(None, proxy)
            outcome = await call(_access(token))
            if outcome.status not in _REFUSED:
                return outcome
            if not oauth.is_new(token, self._clock.wall()):
                token = await self._current(token, proxy)
                outcome = await call(_access(token))
            if outcome.kind is Kind.CREDENTIAL and token is self._token:
                raise self._give_up(f"a fresh token is refused: {oauth.RETIRED}")
        except _Useless as why:
            return Outcome(Kind.CREDENTIAL, str(why), scope=Scope.KEY, status=401)
        except _NotNow as why:
            return Outcome(Kind.RATE, str(why), wait_s=_REST_S, scope=Scope.KEY)
        return outcome

    async def settle(self) -> None:
        """Until a renewal under way has its token on disk."""
        if self._renewal is not None:
            await asyncio.wait([self._renewal])

    # --- its file -----------------------------------------------------------------------------------------------------

    def problem(self) -> tuple[str, dict[str, str]] | None:
        """What the operator should know before the first call: the name of a text, and its values."""
        path = str(self._file.path)
        try:
            oauth.read_token(self._file.read())
        except oauth.NoToken as error:
            return "sign_in_broken", {"path": path, "reason": str(error)}
        except OSError as error:
            return "sign_in_unreadable", {"path": path, "reason": _reason(error)}
        try:
            self._file.check_writable()
        except OSError as error:
            return "sign_in_fixed", {"path": path, "reason": _reason(error)}
        return None

    def is_another(self) -> bool:
        """Whether it deserves a new chance: nobody has looked at it yet, or the file has changed since it was given up.

        True once for each reason.
        """
        if not self._was_looked_at:
            self._was_looked_at = True
            return True
        if self.given_up_at is None or self._file.stamp() == self._stamp:
            return False
        self.given_up_at, self.complaint, self._token = None, "", None
        return True

    # --- its token ----------------------------------------------------------------------------------------------------

    async def _current(self, refused: Token | None, proxy: str | None) -> Token:
        """A token that is neither old nor the refused one."""
        if self.given_up_at is not None:
            raise _Useless(self.complaint)
        if self._token is not None and self._serves(self._token, refused):
            return self._token
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(refused, proxy))
            # All who wait for it may have left.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._renewal)

    def _serves(self, token: Token, refused: Token | None) -> bool:
        return not oauth.is_stale(token, self._clock.wall()) and (refused is None or token.access != refused.access)

    async def _renew(self, refused: Token | None, proxy: str | None) -> Token:
        token = await self._read()
        if not self._serves(token, refused):
            try:
                async with self._file.locked(self._clock.wall):
                    token = await self._read()
                    if not self._serves(token, refused):
                        token = await self._refresh(token, proxy)
            except Locked:
                raise _NotNow("another program holds the lock of the sign-in's file") from None
            except OSError as error:
                raise self._give_up(f"its token cannot be renewed, since its folder is {_reason(error)}") from None
        self._token = token
        return token

    async def _read(self) -> Token:
        try:
            self._stamp = self._file.stamp()
            token = oauth.read_token(await asyncio.to_thread(self._file.read))
        except oauth.NoToken as error:
            raise self._give_up(f"its file cannot be used: {error}") from None
        except OSError as error:
            raise self._give_up(f"its file cannot be read: {_reason(error)}") from None
        self._learn((token.access, token.refresh))
        return token

    async def _refresh(self, old: Token, proxy: str | None) -> Token:
        if old.refresh == self._spent and self._token is not None:
            # The last pair could not be written; it is the one that counts.
            old = self._token
        headers, body = oauth.refresh_request(old)
        try:
            reply = await self._upstream.send("POST", self._token_url, "", headers, body, _TRANSPORT, proxy=proxy)
            try:
                answer = await reply.read(_ANSWER_BYTES, _TRANSPORT.first_byte_s)
            finally:
                reply.close()
            token = oauth.read_answer(reply.status, answer, old, self._clock.wall())
        except UpstreamError as error:
            raise _NotNow(f"the sign-in service cannot be asked: {error.message}") from None
        except oauth.RefreshRefused:
            raise self._give_up(f"its token is not renewed any more: {oauth.RETIRED}") from None
        except oauth.NoToken as error:
            raise _NotNow(f"the sign-in service gave no token: {error}") from None
        self._learn((token.access, token.refresh))
        self._spent = old.refresh
        await self._write(token)
        return token

    async def _write(self, token: Token) -> None:
        try:
            await asyncio.to_thread(self._file.replace, oauth.write_token(token))
        except OSError as error:
            _log.warning("%s cannot be written (%s): the new sign-in lasts as long as this run", self, _reason(error))
        self._stamp = self._file.stamp()

    def _give_up(self, why: str) -> _Useless:
        if self.given_up_at is None:
            self.given_up_at = self._clock.now()
            self.complaint = f"the sign-in is dropped: {why}"
            _log.warning("%s: %s", self, self.complaint)
        return _Useless(self.complaint)


def _access(token: Token) -> Access:
    return Access(oauth.base_url_of(token.resource), oauth.headers_of(token, sys.platform, platform.machine()))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
