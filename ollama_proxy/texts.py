"""Owns every sentence that a person reads in the terminal, in English and Korean. Knows nothing of when it is shown."""

from __future__ import annotations

__all__ = ["TEXTS", "Texts"]

TEXTS: dict[str, tuple[str, str]] = {
    "listening": ("Listening on {address}", "{address} 에서 기다리는 중"),
    "provider": ("Provider", "제공자"),
    "keys": ("Keys", "키"),
    "prefix": ("Model names begin with", "모델 이름의 앞부분"),
    "ollama_clients": ("Ollama clients:  OLLAMA_HOST={address}", "Ollama 클라이언트:  OLLAMA_HOST={address}"),
    "openai_clients": (
        'OpenAI clients:  base_url="{address}/v1"  (any text as key)',
        'OpenAI 클라이언트:  base_url="{address}/v1"  (키는 아무 글자나)',
    ),
    "openai_clients_token": (
        'OpenAI clients:  base_url="{address}/v1"  (key: your PROXY_API_TOKEN)',
        'OpenAI 클라이언트:  base_url="{address}/v1"  (키: 설정한 PROXY_API_TOKEN)',
    ),
    "no_keys": (
        "No provider key is set yet, so only the built-in demo model answers: demo:hello",
        "아직 제공자 키가 없어 내장 데모 모델 demo:hello 만 답합니다.",
    ),
    "add_key": (
        "To use real models, put a key into a file named .env in this folder and start again:",
        "실제 모델을 쓰려면 이 폴더의 .env 파일에 키를 적고 다시 시작하세요:",
    ),
    "several_keys": (
        "Several keys are separated by commas; the proxy shares the work among them.",
        "키가 여러 개면 쉼표로 나누어 적으세요. 프록시가 나누어 사용합니다.",
    ),
    "get_key": ("Get a key", "키 발급"),
    "try_it": ("Try it:", "시험해 보기:"),
    "stop": ("Ctrl-C stops the server.", "Ctrl-C 를 누르면 멈춥니다."),
    "open_warning": (
        "PROXY_OPEN=1: every machine that reaches this address can use your keys.",
        "PROXY_OPEN=1: 이 주소에 닿는 모든 기기가 당신의 키를 쓸 수 있습니다.",
    ),
    "unknown_provider": (
        "{variable} is set, but no provider has that name. Describe it in ollama-proxy.toml, or check the spelling.",
        "{variable} 이(가) 설정됐지만 그런 이름의 제공자가 없습니다. ollama-proxy.toml 에 적거나 철자를 확인하세요.",
    ),
    "port_taken": (
        "Port {port} on {host} is in use. Stop the other program, or choose another port: PORT={other}",
        "{host} 의 {port} 포트는 이미 사용 중입니다. 다른 프로그램을 끄거나 다른 포트를 쓰세요: PORT={other}",
    ),
    "cannot_listen": ("Cannot listen on {host}:{port}: {reason}.", "{host}:{port} 에서 기다릴 수 없습니다: {reason}."),
    "settings_error": ("Settings: {reason}", "설정 오류: {reason}"),
    "models_of": ("Models", "모델"),
    "key_ok": ("works", "정상"),
    "key_state": ("Result", "결과"),
    "key": ("Key", "키"),
    "no_key_to_test": ("No key is set; there is nothing to test.", "설정된 키가 없어 시험할 것이 없습니다."),
    "doctor_ok": ("ok", "정상"),
    "doctor_bad": ("look here", "확인 필요"),
}


class Texts:
    """The sentences of one language."""

    def __init__(self, *, korean: bool) -> None:
        self._index = 1 if korean else 0

    def __call__(self, name: str, **values: object) -> str:
        return TEXTS[name][self._index].format(**values)
