"""Who is measured, and how each is started fairly: one provider, one worker, its own defaults unless a reason is given.

Owns: the table. Does not know how anything is measured or installed. Each entry was checked against the real program,
at the version given, in November 2026; its sources are the program's own --help and README.

Texts are templates (string.Template). Known words:
  $PORT $PORT2    free loopback ports                    $UP      the fake provider, "http://127.0.0.1:4711", no path
  $DIR            an empty folder for this run           $UPHOST  the same without the scheme
  $PEER           where --install-peers put it           $SCHEME  http or https
  $REPO $PYTHON   this checkout, the Python we run on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DIRECT", "PEERS", "NodePackage", "Peer", "PythonPackage"]


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """Installed into a virtual environment of its own."""

    requirement: str

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0].partition("[")[0]


@dataclass(frozen=True, slots=True)
class NodePackage:
    """Installed into a folder of its own; `overrides` pins packages that it depends on."""

    name: str
    version: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Peer:
    """One proxy under measurement."""

    name: str
    made_of: str
    """its language and main libraries, for the table"""
    command: str = ""
    """split as a shell would, no shell runs it; empty: the fake provider itself is measured, nothing in between"""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """written into $DIR before the start"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """what a client sends beside Content-Type"""
    model: str = "bench-model"
    path: str = "/v1/chat/completions"
    ollama_path: str | None = None
    """its Ollama chat endpoint, if it has one"""
    package: PythonPackage | NodePackage | None = None
    finds_port: bool = False
    """it chooses its port itself and its command writes it to $DIR/port"""
    start_s: float = 15.0
    """how long it may take from start to its first answer"""


DIRECT = Peer("direct", "no proxy: the fake provider itself")

_OURS = Peer(
    "ours",
    "Python, httptools",
    command="$PYTHON $REPO/ollama_proxy.py",
    env={
        "GOOGLE_API_KEYS": "bench-key-1,bench-key-2,bench-key-3",
        "GOOGLE_BASE_URL": "$UP/v1",
        "HOST": "127.0.0.1",
        "PORT": "$PORT",
        "DATA_DIR": "$DIR/data",
        "LOG_LEVEL": "WARNING",
    },
    model="google:bench-model",
    ollama_path="/api/chat",
)

# The floor: it reads no JSON and picks no key. Buffers hold a 100 kB prompt, so that no request touches the disk.
_NGINX = Peer(
    "nginx",
    "C",
    command="nginx -e $DIR/error.log -c $DIR/nginx.conf",
    files={
        "nginx.conf": """
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid $DIR/nginx.pid;
events { worker_connections 30000; }
http {
  access_log off;
  client_max_body_size 32m;
  client_body_buffer_size 512k;
  client_body_temp_path $DIR/body;
  proxy_temp_path $DIR/proxy;
  fastcgi_temp_path $DIR/fastcgi;
  uwsgi_temp_path $DIR/uwsgi;
  scgi_temp_path $DIR/scgi;
  upstream provider { server $UPHOST; keepalive 1024; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$PORT backlog=8192;
    keepalive_requests 100000000;
    location / {
      proxy_pass $SCHEME://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
    }
  }
}
"""
    },
)

# Its default queue lets 8 requests at a time wait for one provider and refuses most of 1,000 streams: off.
_ROLTER = Peer(
    "rolter",
    "Rust, axum",
    command="$PEER/bin/rolter gateway --config $DIR/rolter.toml --host 127.0.0.1 --port $PORT",
    env={"BENCH_KEY": "bench-key-1", "RUST_LOG": "warn"},
    files={
        "rolter.toml": """
[server]
host = "127.0.0.1"
port = $PORT
[queue]
enabled = false
[[providers]]
name = "bench"
kind = "openai_compatible"
api_base = "$UP"
api_key_env = "BENCH_KEY"
[[routes]]
model = "bench-model"
strategy = "round_robin"
[[routes.targets]]
provider = "bench"
model = "bench-model"
[[virtual_keys]]
key = "sk-bench"
name = "bench"
models = []
"""
    },
    headers={"Authorization": "Bearer sk-bench"},
    package=PythonPackage("rolter==0.1.0"),
)

# It serves models of its catalogue only, hence the name. Its default rate limit would answer 429 to nearly all: off.
_FERROGW = Peer(
    "ferrogw",
    "Go",
    command="$PEER/bin/ferrogw serve",
    env={
        "GATEWAY_CONFIG": "$DIR/ferrogw.yaml",
        "OPENAI_API_KEY": "bench-key-1",
        "OPENAI_BASE_URL": "$UP",
        "MASTER_KEY": "fgw_0123456789abcdef0123456789abcdef",
        "RATE_LIMIT_RPS": "0",
        "LOG_LEVEL": "warn",
        "PORT": "$PORT",
    },
    files={"ferrogw.yaml": "strategy:\n  mode: fallback\ntargets:\n  - virtual_key: openai\n"},
    headers={"Authorization": "Bearer fgw_0123456789abcdef0123456789abcdef"},
    model="gpt-4o-mini",
    package=PythonPackage("ferrogw==1.5.10"),
)

# The gateway that its OpenAI patch starts inside the process: the package holds no other. Nothing is stored.
_TENSORZERO_START = """
import signal
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file="$DIR/tensorzero.toml", clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
with open("$DIR/port", "w") as file:
    file.write(gateway.base_url.split(":")[2].split("/")[0])
signal.pause()
"""
_TENSORZERO = Peer(
    "tensorzero",
    "Rust, axum",
    command="$PEER/bin/python $DIR/start.py",
    env={"BENCH_KEY": "bench-key-1"},
    files={
        "start.py": _TENSORZERO_START,
        "tensorzero.toml": """
[gateway]
observability.enabled = false
[models.bench-model]
routing = ["bench"]
[models.bench-model.providers.bench]
type = "openai"
model_name = "bench-model"
api_base = "$UP/v1/"
api_key_location = "env::BENCH_KEY"
""",
    },
    model="tensorzero::model_name::bench-model",
    path="/openai/v1/chat/completions",
    package=PythonPackage("tensorzero==2026.6.0"),
    finds_port=True,
)

# It passes the client's key on; metrics are kept off the network.
_SMG = Peer(
    "smg",
    "Rust, axum",
    command=(
        "$PEER/bin/smg launch --backend openai --worker-urls $UP --history-backend none --log-level "
        "warn --host 127.0.0.1 --port $PORT --prometheus-host 127.0.0.1 --prometheus-port $PORT2"
    ),
    headers={"Authorization": "Bearer bench-key-1"},
    package=PythonPackage("smg==1.13.0"),
)

# With the node-server that it installs by default (1.19) every stream fails with "TypeError: immutable": hence pins.
_PORTKEY = Peer(
    "portkey",
    "Node, Hono",
    command="node $PEER/node_modules/@portkey-ai/gateway/build/start-server.js --port=$PORT --headless",
    headers={
        "Authorization": "Bearer bench-key-1",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": "$UP/v1",
    },
    package=NodePackage("@portkey-ai/gateway", "1.15.2", {"@hono/node-server": "1.14.1", "hono": "4.9.7"}),
)

# As on its page about production: one worker, error log only. It does not start without a master key.
_LITELLM = Peer(
    "litellm",
    "Python, FastAPI",
    command="$PEER/bin/litellm --config $DIR/litellm.yaml --host 127.0.0.1 --port $PORT --num_workers 1",
    env={
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
    },
    files={
        "litellm.yaml": """
model_list:
  - model_name: bench-model
    litellm_params: {model: openai/bench-model, api_base: "$UP/v1", api_key: bench-key-1}
litellm_settings: {request_timeout: 600, json_logs: true, set_verbose: false}
general_settings: {master_key: sk-bench}
"""
    },
    headers={"Authorization": "Bearer sk-bench"},
    # Later versions ask for packages that no registry within reach serves.
    package=PythonPackage("litellm[proxy]==1.106.2"),
    start_s=40.0,
)

PEERS = (_OURS, _NGINX, _ROLTER, _FERROGW, _TENSORZERO, _SMG, _PORTKEY, _LITELLM)
