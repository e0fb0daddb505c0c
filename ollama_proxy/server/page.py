"""Owns the page that a browser gets: its words in two languages, and what it may do. Knows no key and no model.

The page is one file without anything from elsewhere. It fetches `/api/tags` and `/api/keys` itself; its policy allows
that, its own style and its own script, and nothing else (W3C Content Security Policy Level 3, hashes of inline code).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files

from ollama_proxy import OLLAMA_VERSION, __version__
from ollama_proxy.types import Headers

__all__ = ["render_page"]

#: What stands in the page's markup.
_MARKUP = {
    "running": ("Running", "실행 중"),
    "version_line": (
        f"version {__version__}, behaves as Ollama {OLLAMA_VERSION}",
        f"버전 {__version__}, Ollama {OLLAMA_VERSION} 호환",
    ),
    "clients": ("Point your clients here", "클라이언트에 적을 주소"),
    "keys": ("Keys", "키"),
    "models": ("Models", "모델"),
    "filter": ("Find a model", "모델 찾기"),
    "loading": ("One moment…", "잠시만요…"),
    "noscript": (
        "The lists need JavaScript; /api/tags and /api/keys hold the same as JSON.",
        "목록을 보려면 JavaScript 가 필요합니다. /api/tags 와 /api/keys 에 같은 내용이 JSON 으로 있습니다.",
    ),
}
#: What its script says.
_WORDS = {
    "key": ("Key", "키"),
    "state": ("State", "상태"),
    "served": ("Answered", "답변 수"),
    "in_flight": ("Under way", "처리 중"),
    "name": ("Name", "이름"),
    "can": ("Can", "기능"),
    "window": ("Context", "문맥 길이"),
    "healthy": ("ready", "사용 가능"),
    "recovering": ("ready, slowly at first", "사용 가능 (천천히 시작)"),
    "half-open": ("being tried", "시험 중"),
    "cooling": ("resting", "쉬는 중"),
    "exhausted": ("used up for now", "한도 소진"),
    "dead": ("refused by the provider", "제공자가 거부"),
    "seconds": ("# s", "#초"),
    "minutes": ("# min", "#분"),
    "hours": ("# h", "#시간"),
    "days": ("# days", "#일"),
    "some_rest": ("except models resting: #", "쉬는 모델: #"),
    "completion": ("chat", "대화"),
    "tools": ("tools", "도구"),
    "insert": ("fill-in", "사이 채우기"),
    "vision": ("images", "이미지"),
    "embedding": ("embeddings", "임베딩"),
    "thinking": ("thinking", "추론"),
    "no_keys": (
        "No key is set. Write GOOGLE_API_KEYS=… or another provider's into a file named .env and start again.",
        "설정된 키가 없습니다. .env 파일에 GOOGLE_API_KEYS=… 같은 제공자의 키를 적고 다시 시작하세요.",
    ),
    "no_models": ("No model yet.", "아직 모델이 없습니다."),
    "no_match": ("No model has that in its name.", "그런 이름의 모델이 없습니다."),
    "token": (
        "This server wants its token: open /TOKEN/ui instead.",
        "이 서버는 토큰이 필요합니다. /토큰/ui 주소로 여세요.",
    ),
    "trouble": ("The server did not answer.", "서버가 답하지 않습니다."),
}
_CODE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


@cache
def render_page(*, korean: bool) -> tuple[Headers, bytes]:
    """Headers and body of the page in one of its two languages."""
    text = files("ollama_proxy.server").joinpath("static/page.html").read_text(encoding="utf-8")
    index = 1 if korean else 0
    words = json.dumps({name: told[index] for name, told in _WORDS.items()}, ensure_ascii=False)
    text = text.replace("{{language}}", "ko" if korean else "en").replace("{{words}}", words.replace("<", "\\u003c"))
    for name, told in _MARKUP.items():
        text = text.replace(f"{{{{{name}}}}}", html.escape(told[index]))
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-language", b"ko" if korean else b"en"),
        (b"vary", b"Accept, Accept-Language"),
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", _policy(text).encode()),
        # The address may hold the token.
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return headers, text.encode()


def _policy(text: str) -> str:
    hashes: dict[str, list[str]] = {"style": [], "script": []}
    for kind, code in _CODE.findall(text):
        hashes[kind].append(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'")
    allowed = "; ".join(f"{kind}-src {' '.join(found)}" for kind, found in hashes.items())
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"{nothing}; connect-src 'self'; img-src data:; {allowed}"
