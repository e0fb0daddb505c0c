"""Owns in which order a request is judged: path, sign-in, the key's faults, body, quota, the model's faults, answer.

Knows neither sockets nor clocks. What is specific to a provider, it asks the provider.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from ollama_proxy.simulator.actions import Action, Behaviour, Sleep
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.events import Frame, Head, Whole, kind_of
from ollama_proxy.simulator.faults import Fault, Hit, find_fault, in_key, in_model
from ollama_proxy.simulator.http import Request
from ollama_proxy.simulator.keys import label_of
from ollama_proxy.simulator.portal import Portal
from ollama_proxy.simulator.providers import PROVIDERS, Provider
from ollama_proxy.simulator.providers.base import Answer, Reply, in_pieces, render, usual_facts
from ollama_proxy.simulator.quota import Quota, Refusal
from ollama_proxy.simulator.script import GENERATES, Play, Script
from ollama_proxy.simulator.shapes import Shape, fill
from ollama_proxy.simulator.shapes.base import SSE
from ollama_proxy.simulator.talk import Say, compose
from ollama_proxy.simulator.twists import Context

__all__ = ["Judge", "Options", "read_ask"]

#: Lists that live beside a provider's base address, not below it: path from the host -> provider.
_BESIDE = {"/v1beta/models": "google", "/v1/models": "cohere"}


@dataclass(frozen=True, slots=True)
class Options:
    """How answers are made. text: said in place of the usual words. delay_s: between the pieces of a stream.

    demo_delay_s: the same for the demo, which should look alive. slow_s: what "slow" means in faults.
    """

    text: str | None = None
    delay_s: float = 0.0
    demo_delay_s: float = 0.008
    slow_s: float = 0.05
    strict_models: bool = False


def read_ask(request: Request, number: int, wall: float, served: Mapping[str, Provider]) -> Ask:
    """The request in the simulator's words. A path of nobody's has no provider and no operation."""
    name, path = _split(request.path, served)
    provider = served.get(name)
    key = _key(request)
    ask = Ask(
        provider=name,
        operation=provider.route(request.method, path) if provider else "",
        method=request.method,
        path=path,
        query=request.query,
        headers=request.headers,
        key=key,
        label=label_of(name, key),
        number=number,
        wall=wall,
    )
    body = _read_form(request) if ask.operation == "token" else _read_json(request.body)
    if not isinstance(body, dict):
        return ask
    model, *faults = str(body.get("model") or "").removeprefix("models/").split("!")
    return replace(ask, body=body, model=model, faults=tuple(faults))


def _split(path: str, served: Mapping[str, Provider]) -> tuple[str, str]:
    beside = _BESIDE.get(path, "")
    if beside in served:
        return beside, path
    _, _, rest = path.partition("/")
    name, slash, below = rest.partition("/")
    provider = served.get(name)
    if provider is None:
        return "", path
    below = slash + below
    prefix = f"/{provider.real_path}/"
    return name, below[len(prefix) - 1 :] if below.startswith(prefix) else below


def _key(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("x-goog-api-key") or request.query.get("key", "")


def _read_form(request: Request) -> dict[str, str] | None:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    return dict(parse_qsl(request.body.decode("utf-8", "replace")))


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


class Judge:
    """Decides what is done with each request."""

    def __init__(self, options: Options, script: Script, quota: Quota) -> None:
        self._options = options
        self._script = script
        self._quota = quota
        self._hits: Counter[tuple[str, ...]] = Counter()
        self.portal = Portal()

    def clear(self) -> None:
        """Forget how often faults struck."""
        self._hits.clear()

    def decide(self, ask: Ask, now: float) -> Behaviour:
        """What is done with this request."""
        wish = self._script.choose(ask)
        if isinstance(wish, Behaviour):
            return wish
        provider = PROVIDERS.get(ask.provider)
        if provider is None:
            text = f"Nothing is served at {ask.path}. Providers: {', '.join(PROVIDERS)}."
            return _sent(Reply("no-provider", 404, json.dumps({"error": text}).encode()))
        if isinstance(wish, Play):
            return self._play(provider, ask, wish)
        refused = self._refuse(provider, ask, now, wished=wish is not None)
        if refused is not None:
            return refused
        return self._answer(provider, ask, wish)

    # What is refused

    def _refuse(self, provider: Provider, ask: Ask, now: float, *, wished: bool) -> Behaviour | None:
        if not ask.operation:
            return _sent(replace(provider.error(404, f"No such path: {ask.method} {ask.path}", ask), name="no-route"))
        if ask.operation == "token":
            return _sent(self._renew(provider, ask))
        public = ask.operation in provider.public
        if not public:
            refusal = self._sign_in(provider, ask)
            if refusal is not None:
                return _sent(refusal)
        for hit in self._struck(in_key(provider, ask.key), ask, ask.label):
            if hit.fault.shape is not None and (ask.operation in GENERATES or (hit.fault.of_key and not public)):
                return self._recorded(provider, ask, hit.name, hit.fault.shape)
        if ask.operation not in GENERATES:
            return _sent(provider.listing(ask))
        return self._refuse_body(provider, ask, now, wished=wished)

    def _sign_in(self, provider: Provider, ask: Ask) -> Reply | None:
        if provider.portal and ask.path.startswith(provider.portal):
            return None if self.portal.accepts(ask.key, ask.wall) else provider.reply("oauth-401", ask)
        return provider.sign_in(ask)

    def _renew(self, provider: Provider, ask: Ask) -> Reply:
        pair = self.portal.renew(ask.body, ask.wall)
        if pair is None:
            return provider.reply("token-refresh-invalid", ask)
        resource = f"http://{ask.headers.get('host', '')}/{provider.name}"
        return provider.reply("token-refresh-ok", ask, access=pair[0], refresh=pair[1], resource=resource)

    def _refuse_body(self, provider: Provider, ask: Ask, now: float, *, wished: bool) -> Behaviour | None:
        if not ask.body:
            return _sent(provider.error(400, "The body must be a JSON object.", ask))
        if not ask.model:
            return _sent(provider.error(400, "The body must name a model.", ask))
        if self._options.strict_models and provider.card(ask.model) is None:
            fault = find_fault(provider, "missing")
            assert fault is not None
            assert fault.shape is not None
            return self._recorded(provider, ask, "missing", fault.shape)
        refusal = provider.check(ask) or provider.asks_too_much(ask)
        if refusal is not None:
            return _sent(refusal)
        if wished:
            return None
        card = provider.card(ask.model)
        if card and ask.operation == "chat" and sum(map(len, map(str, ask.messages))) // 4 > card.context:
            return self._play(provider, ask, Play("context"))
        spent = self._quota.take(ask.provider, ask.label, ask.model, now, ask.wall)
        return self._spent(provider, ask, spent) if spent else None

    def _spent(self, provider: Provider, ask: Ask, refusal: Refusal) -> Behaviour:
        word = "rate" if refusal.kind == "minute" else "day"
        fault = find_fault(provider, word)
        assert fault is not None
        assert fault.shape is not None
        wait = max(1, int(refusal.wait_s + 0.999))
        facts = {
            "limit": str(refusal.limit),
            # Google's wait is a lie for the day: seconds, while the quota comes back at midnight.
            "retry": str(wait if refusal.kind == "minute" else min(wait, 57)),
            "minute_ms": str(int((ask.wall + refusal.wait_s) * 1000)),
        }
        return self._recorded(provider, ask, provider.words.get(word, word), fault.shape, facts)

    # What is answered

    def _play(self, provider: Provider, ask: Ask, play: Play) -> Behaviour:
        """A recorded answer or a fault, by name, whatever the request says."""
        fault = find_fault(provider, play.name)
        shape = provider.fixed(play.name) or (fault.shape if fault else None)
        if shape is not None:
            shape = replace(shape, headers=(*shape.headers, *play.headers.items()))
            return self._recorded(provider, ask, play.name, shape, play.facts)
        if fault is None:
            return _sent(_unknown_fault(provider, ask, play.name))
        return self._spoilt(provider, ask, [Hit(play.name, fault)], None)

    def _recorded(
        self, provider: Provider, ask: Ask, name: str, shape: Shape, facts: Mapping[str, str] | None = None
    ) -> Behaviour:
        known = {**usual_facts(ask), **shape.facts, **(facts or {})}
        if not shape.events:
            return _sent(render(name, shape, known))
        head = Head(ask.model, ask.number, int(ask.wall))
        track: list[Any] = []
        for event in shape.events:
            if isinstance(event, Whole):
                event = replace(event, value=fill(event.value, known))
            track.append(Frame(fill_bytes(provider.frame(event, head), known), kind_of(event)))
        answer = Answer(name, b"", track, stream=True)
        return Behaviour([*answer.head(shape.media or SSE), *in_pieces(track)], name)

    def _answer(self, provider: Provider, ask: Ask, say: Say | None) -> Behaviour:
        hits: list[Hit] = []
        for found in in_model(provider, ask.faults):
            if isinstance(found, str):
                return _sent(_unknown_fault(provider, ask, found))
            hits.append(found)
        struck = list(self._struck(hits, ask, ask.model))
        for hit in struck:
            if hit.fault.shape is not None:
                return self._recorded(provider, ask, hit.name, hit.fault.shape)
        by_key = [hit for hit in in_key(provider, ask.key) if hit.fault.shape is None]
        return self._spoilt(provider, ask, [*self._struck(by_key, ask, ask.label, "twist"), *struck], say)

    def _struck(self, hits: Iterable[Hit], ask: Ask, *scope: str) -> Iterable[Hit]:
        """The hits that still have calls left."""
        for hit in hits:
            if hit.most is not None and ask.operation in GENERATES:
                cell = (ask.provider, *scope, hit.name)
                self._hits[cell] += 1
                if self._hits[cell] > hit.most:
                    continue
            yield hit

    def _spoilt(self, provider: Provider, ask: Ask, hits: list[Hit], say: Say | None) -> Behaviour:
        answer = self._good(provider, ask, say)
        context = Context(provider, ask, self._options.slow_s)
        play = None
        for hit in hits:
            fault: Fault = hit.fault
            if fault.track is not None:
                answer = replace(answer, track=fault.track(answer.track, context))
            if fault.body is not None:
                answer = replace(answer, body=fault.body(answer.body, context))
            play = fault.play or play
        name = "+".join(hit.name for hit in hits) or answer.name
        steps: Iterable[Action] = play(answer, context) if play else answer.actions()
        return Behaviour(steps, name)

    def _good(self, provider: Provider, ask: Ask, say: Say | None) -> Answer:
        if ask.operation == "embeddings":
            reply = provider.embed(ask)
            return Answer(reply.name, reply.body, [], stream=False, headers=reply.headers)
        own = provider.spoken(ask)
        spoken = self._options.text if own is None else own
        if own is not None:
            ask = replace(ask, body={name: value for name, value in ask.body.items() if name != "tools"})
        talk = compose(ask, title=provider.title, thinks=provider.thinks(ask), say=say, spoken=spoken)
        answer = provider.answer(talk, ask)
        delay = self._options.demo_delay_s if provider.name == "demo" else self._options.delay_s
        if not delay or not ask.stream:
            return answer
        track: list[Any] = []
        for item in answer.track:
            track += [item, Sleep(delay)] if isinstance(item, Frame) and item.kind in ("text", "thinking") else [item]
        return replace(answer, track=track)


def fill_bytes(data: bytes, facts: Mapping[str, str]) -> bytes:
    """A frame with the model's name in it."""
    return data.replace(b"$model", facts["model"].encode()) if b"$model" in data else data


def _sent(reply: Reply) -> Behaviour:
    return Behaviour(reply.actions(), reply.name)


def _unknown_fault(provider: Provider, ask: Ask, name: str) -> Reply:
    text = f"The simulator knows no fault '{name}'. `ollama-proxy simulate --list` shows all of them."
    return replace(provider.error(400, text, ask), name="unknown-fault")
