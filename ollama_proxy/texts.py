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
        "To use real models, put a key into a file named .env in this folder (it is read within seconds):",
        "실제 모델을 쓰려면 이 폴더의 .env 파일에 키를 적으세요 (몇 초 안에 읽습니다):",
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
    "passed_over": (
        "[fallbacks] {name}: '{other}' is passed over: there is no such provider, or it has no key.",
        "[fallbacks] {name}: '{other}' 은(는) 건너뜁니다. 그런 제공자가 없거나 키가 없습니다.",
    ),
    "alias_of_alias": (
        "[aliases] {name}: '{meant}' is an alias itself, and none is followed. Write the provider's model there.",
        "[aliases] {name}: '{meant}' 도 별칭이라 따라가지 않습니다. 그 자리에 제공자의 모델을 적으세요.",
    ),
    "alias_astray": (
        "[aliases] {name}: '{meant}' leads nowhere: there is no such provider, or it has no key.",
        "[aliases] {name}: '{meant}' 을(를) 쓸 수 없습니다. 그런 제공자가 없거나 키가 없습니다.",
    ),
    "port_taken": (
        "Port {port} on {host} is in use. Stop the other program, or choose another port: PORT={other}",
        "{host} 의 {port} 포트는 이미 사용 중입니다. 다른 프로그램을 끄거나 다른 포트를 쓰세요: PORT={other}",
    ),
    "cannot_listen": ("Cannot listen on {host}:{port}: {reason}.", "{host}:{port} 에서 기다릴 수 없습니다: {reason}."),
    "settings_error": ("Settings: {reason}", "설정 오류: {reason}"),
    # What stops the start: one line each, with what to write instead.
    "not_utf8": (
        "{file} is not UTF-8 text. Save it as UTF-8 and start again.",
        "{file} 이(가) UTF-8 텍스트가 아닙니다. UTF-8 로 저장한 뒤 다시 시작하세요.",
    ),
    "unreadable": ("{file} cannot be read: {reason}.", "{file} 을(를) 읽을 수 없습니다: {reason}."),
    "env_line": (
        "{file}, line {line}: not understood. Write NAME=value, with quotes around a value of several lines.",
        "{file} {line}번째 줄을 이해할 수 없습니다. 이름=값 으로 쓰고, 여러 줄인 값은 큰따옴표로 감싸세요.",
    ),
    "not_toml": ("{file} is not valid TOML: {reason}.", "{file} 이(가) 올바른 TOML 이 아닙니다: {reason}."),
    "bad_port": (
        "PORT must be a whole number from 0 to 65535 (0: any free port).",
        "PORT 는 0 에서 65535 사이의 정수여야 합니다 (0: 비어 있는 아무 포트).",
    ),
    "bad_token": (
        "PROXY_API_TOKEN may hold ASCII letters, digits and signs, but no blank, '/', '?' or '#'.",
        "PROXY_API_TOKEN 에는 ASCII 글자·숫자·기호만 쓸 수 있고, 빈칸과 '/', '?', '#' 은 쓸 수 없습니다.",
    ),
    "token_needed": (
        (
            "HOST={host} lets other machines use your keys. Set PROXY_API_TOKEN to a long random text that clients "
            "must send, or PROXY_OPEN=1 if everybody may."
        ),
        (
            "HOST={host} 이면 다른 기기도 당신의 키를 쓸 수 있습니다. 클라이언트가 보낼 길고 임의적인 글을 "
            "PROXY_API_TOKEN 에 적거나, 누구나 써도 된다면 PROXY_OPEN=1 로 두세요."
        ),
    ),
    "bad_origin": (
        "OLLAMA_ORIGINS: '{origin}' has neither a scheme nor a '*'. Write https://app.example or *.",
        "OLLAMA_ORIGINS: '{origin}' 에 스킴도 '*' 도 없습니다. https://app.example 이나 * 처럼 쓰세요.",
    ),
    "bad_keep_alive": (
        "OLLAMA_KEEP_ALIVE must be a duration such as 5m, 1h30m, 300 (seconds) or -1.",
        "OLLAMA_KEEP_ALIVE 는 5m, 1h30m, 300(초), -1 같은 기간이어야 합니다.",
    ),
    "bad_log_level": (
        "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.",
        "LOG_LEVEL 은 DEBUG, INFO, WARNING, ERROR 중 하나여야 합니다.",
    ),
    "bad_key": (
        "{variable}: key number {number} holds a blank or a foreign sign. Separate keys with commas or newlines.",
        "{variable}: {number}번째 키에 빈칸이나 키에 없는 글자가 있습니다. 키는 쉼표나 줄바꿈으로 나누세요.",
    ),
    "bad_url": (
        "{variable} must be an address such as https://host/v1, without user, query or fragment.",
        "{variable} 은(는) https://host/v1 같은 주소여야 하며 사용자·쿼리·조각은 쓸 수 없습니다.",
    ),
    "toml_tables": (
        "ollama-proxy.toml: providers must be tables, [providers.NAME].",
        "ollama-proxy.toml: providers 는 [providers.이름] 꼴의 표여야 합니다.",
    ),
    "toml_map": (
        "ollama-proxy.toml: [{section}] must map names to text.",
        "ollama-proxy.toml: [{section}] 은(는) 이름과 글의 짝이어야 합니다.",
    ),
    "toml_key_limits": (
        (
            "ollama-proxy.toml: [{section}] takes per_minute and per_day, whole numbers above 0, and a model's name "
            "(or a pattern) with such numbers of its own."
        ),
        (
            "ollama-proxy.toml: [{section}] 에는 0보다 큰 정수인 per_minute 와 per_day, 그리고 그런 수를 따로 둘 모델 "
            "이름(또는 패턴)만 쓸 수 있습니다."
        ),
    ),
    "toml_fallbacks": (
        "ollama-proxy.toml: [fallbacks] must map a model to a list of models.",
        "ollama-proxy.toml: [fallbacks] 는 모델과 모델 목록의 짝이어야 합니다.",
    ),
    "toml_table": (
        "ollama-proxy.toml: [{section}] must be a table.",
        "ollama-proxy.toml: [{section}] 은(는) 표여야 합니다.",
    ),
    "toml_unknown": (
        "ollama-proxy.toml: [{section}] has no '{name}'; it knows {known}.",
        "ollama-proxy.toml: [{section}] 에 '{name}' 은(는) 없습니다. 쓸 수 있는 것: {known}.",
    ),
    "toml_number": (
        "ollama-proxy.toml: [{section}] {name} must be a number above 0.",
        "ollama-proxy.toml: [{section}] {name} 은(는) 0보다 큰 수여야 합니다.",
    ),
    "slip": (
        "{name} is set, but the variable is called {meant}.",
        "{name} 이(가) 설정됐지만 변수 이름은 {meant} 입니다.",
    ),
    "sign_in_unreadable": (
        "{key}: the sign-in file {path} cannot be read: {reason}.",
        "{key}: 로그인 파일 {path} 을(를) 읽을 수 없습니다: {reason}.",
    ),
    "sign_in_broken": (
        "{key}: {path} is no sign-in file of qwen-code: {reason}.",
        "{key}: {path} 은(는) qwen-code 의 로그인 파일이 아닙니다: {reason}.",
    ),
    "sign_in_fixed": (
        (
            "{key}: the folder of {path} cannot be written to ({reason}), so its token cannot be renewed. "
            "Let the proxy write there."
        ),
        (
            "{key}: {path} 의 폴더에 쓸 수 없어({reason}) 토큰을 갱신하지 못합니다. 프록시가 그 폴더에 쓸 수 있게 해 "
            "주세요."
        ),
    ),
    "models_of": ("Models", "모델"),
    "key_ok": ("works", "정상"),
    "key_state": ("Result", "결과"),
    "key": ("Key", "키"),
    "no_key_to_test": ("No key is set; there is nothing to test.", "설정된 키가 없어 시험할 것이 없습니다."),
    "port_ours": ("taken by a running Ollama Proxy", "실행 중인 Ollama Proxy 가 쓰는 중"),
    "doctor_ok": ("ok", "정상"),
    "doctor_bad": ("look here", "확인 필요"),
}


class Texts:
    """The sentences of one language."""

    def __init__(self, *, korean: bool) -> None:
        self._index = 1 if korean else 0

    def __call__(self, name: str, /, **values: object) -> str:
        return TEXTS[name][self._index].format(**values)
