"""Owns the one tree of errors. Knows no protocol: each protocol renders these in its own shape.

    ProxyError
    ├── SettingsError           the operator's: a variable or file we cannot use (exit code 2)
    ├── ClientError             the caller's
    │   ├── BadRequest          400  the body or a field of it
    │   ├── Unauthorized        401  our own token is missing or wrong
    │   ├── Forbidden           403  Host or Origin refused
    │   ├── UnknownModel        404
    │   ├── UnknownRoute        404
    │   ├── WrongMethod         405
    │   ├── SlowRequest         408
    │   ├── TooLarge            413
    │   └── UnsupportedEncoding 415
    ├── PoolError               no key may be called now
    │   ├── KeysResting         429  with the soonest honest time to come back
    │   └── KeysRefused         502  every key is dead: only the operator can help
    ├── UpstreamError           the provider's
    │   ├── UpstreamRefused     its own status, mapped; its words kept
    │   ├── UpstreamUnreachable 502  no connection, TLS refused
    │   ├── UpstreamTimeout     504
    │   ├── UpstreamJunk        502  an answer that makes no sense
    │   │   └── EmptyAnswer          one that ends well and says nothing
    │   ├── StreamInterrupted   502  a stream that stopped before its end
    │   └── ErrorInside         an error found inside a 200; never shown as such, the provider judges it first
    ├── Overloaded              503  our own limits
    ├── ShuttingDown            503
    └── InternalError           500  our own bug; carries an id, never a traceback

The message is written for the person at the client: what happened and what to do next. It never holds a key.
"""

from __future__ import annotations

from ollama_proxy.texts import TEXTS

__all__ = [
    "BadRequest",
    "ClientError",
    "EmptyAnswer",
    "ErrorInside",
    "Forbidden",
    "InternalError",
    "KeysRefused",
    "KeysResting",
    "Overloaded",
    "PoolError",
    "ProxyError",
    "SettingsError",
    "ShuttingDown",
    "SlowRequest",
    "StreamInterrupted",
    "TooLarge",
    "Unauthorized",
    "UnknownModel",
    "UnknownRoute",
    "UnsupportedEncoding",
    "UpstreamError",
    "UpstreamJunk",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "WrongMethod",
]


class ProxyError(Exception):
    """Everything we say to a client or the operator when something went wrong.

    status: the HTTP status where an answer has not begun.
    code: a short stable word for programs (OpenAI's `code`); "" for none.
    retry_after_s: whole seconds after which another try makes sense; None when nobody knows.
    hopeless: a try by the client's own SDK would be wasted (sent as `x-should-retry: false`).
    """

    status = 500
    code = ""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        hopeless: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.hopeless = hopeless


class SettingsError(ProxyError):
    """A variable or file that we cannot use; the message names it, never a secret value. `korean` says the same."""

    def __init__(self, message: str, korean: str = "") -> None:
        super().__init__(message)
        self.korean = korean or message

    @classmethod
    def of(cls, text: str, **values: object) -> SettingsError:
        """The refusal with the name `text` among the texts, in both languages."""
        return cls(*(sentence.format(**values) for sentence in TEXTS[text]))


class ClientError(ProxyError):
    """The caller's request cannot be served as it is."""

    status = 400


class BadRequest(ClientError):
    """The body, or a field of it."""


class Unauthorized(ClientError):
    """Our own token is missing or wrong."""

    status = 401
    code = "invalid_api_key"


class Forbidden(ClientError):
    """Host or Origin refused; the answer has no body, as with Ollama."""

    status = 403


class UnknownModel(ClientError):
    """No such model, or its provider has no key."""

    status = 404
    code = "model_not_found"


class UnknownRoute(ClientError):
    """No such path."""

    status = 404


class WrongMethod(ClientError):
    """The path exists, for other methods; `allow` lists them."""

    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class SlowRequest(ClientError):
    """The request did not arrive in time."""

    status = 408


class TooLarge(ClientError):
    """The body, or a part of it, is over a limit."""

    status = 413


class UnsupportedEncoding(ClientError):
    """A Content-Encoding that we do not take."""

    status = 415


class PoolError(ProxyError):
    """No key of the wanted provider may be called now."""


class KeysResting(PoolError):
    """Every usable key rests; `retry_after_s` says until when."""

    status = 429
    code = "rate_limit_exceeded"


class KeysRefused(PoolError):
    """Every key was refused by the provider: only the operator can help."""

    status = 502
    code = "upstream_credentials_exhausted"


class UpstreamError(ProxyError):
    """The provider failed us, or refused the request."""

    status = 502
    code = "upstream_error"


class UpstreamRefused(UpstreamError):
    """The provider said no; its status is mapped, its words are kept."""


class UpstreamUnreachable(UpstreamError):
    """No connection, or TLS refused."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The provider took too long."""

    status = 504
    code = "upstream_timeout"


class UpstreamJunk(UpstreamError):
    """An answer that makes no sense."""

    code = "upstream_bad_response"


class EmptyAnswer(UpstreamJunk):
    """An answer that ends well and says nothing, and gives no reason. The provider is at work all the same."""


class StreamInterrupted(UpstreamError):
    """A stream that stopped before its end."""

    code = "upstream_truncated"


class ErrorInside(UpstreamError):
    """An error inside an answer or stream that began with 200.

    payload: the JSON text that held it, for the provider to classify as if it had come with an error status.
    """

    def __init__(self, payload: bytes) -> None:
        super().__init__("the provider reported an error inside a successful answer")
        self.payload = payload


class Overloaded(ProxyError):
    """Our own limits are reached."""

    status = 503
    code = "server_overloaded"


class ShuttingDown(ProxyError):
    """We are about to stop."""

    status = 503
    code = "shutting_down"


class InternalError(ProxyError):
    """Our own bug. The message holds an id to look for in the log, and nothing else."""

    code = "internal_error"
