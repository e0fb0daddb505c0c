"""Who may import whom, and what importing may do.

    cli, tools, screen                                     the terminal
      → server                                             who is let in, which route
      → gateway, relay, channel, sign_in, shared_file,     one request's way
        batches, refresh, refusals
      → plan, routing, pool, catalog, providers,           the parts: each does one thing and
        protocols, upstream, store, library, memory,       knows none of the others
        oauth
      → hub, wire, consequences, outcome, types,           the words that all of them share
        settings, texts, errors, clock, names, secret,
        telemetry

Beside it: `http1` is a transport that knows nothing of ours, `simulator` a stand-in that knows nothing of the proxy.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.support.source import PACKAGE, Import, imports_of, modules, name_of, part_of, tree_of

TERMINAL = {"cli", "tools", "screen", "__main__"}
JOURNEY = {"gateway", "relay", "channel", "sign_in", "shared_file", "batches", "refresh", "refusals"}
PARTS = {
    "plan",
    "routing",
    "pool",
    "catalog",
    "providers",
    "protocols",
    "upstream",
    "store",
    "library",
    "memory",
    "oauth",
}
WORDS = {
    "hub",
    "wire",
    "consequences",
    "outcome",
    "types",
    "settings",
    "texts",
    "errors",
    "clock",
    "names",
    "secret",
    "telemetry",
}
LAYERS = (TERMINAL, {"server"}, JOURNEY, PARTS, WORDS)
#: They stand beside the map: rules of their own, below.
BESIDE = {"http1", "simulator"}
#: The version numbers; anybody may show them.
ANYBODYS = ""


def ours(path: Path) -> list[Import]:
    """The imports of a module that lead to another part of ours."""
    here = part_of(name_of(path))
    return [i for i in imports_of(path) if i.target.split(".")[0] == PACKAGE.name and part_of(i.target) != here]


def within(*parts: str) -> list[Import]:
    """What the modules of these parts import from other parts."""
    return [i for path in modules() if part_of(name_of(path)) in parts for i in ours(path)]


def home(found: Import) -> str:
    return part_of(name_of(found.path))


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def assert_none(breaks: list[Import], reason: str) -> None:
    assert not breaks, "\n".join([reason, *map(str, breaks)])


def test_every_part_has_its_place_on_the_map() -> None:
    """A new part is put on the map before it is used."""
    found = {part_of(name_of(path)) for path in modules()}
    assert found == {*(part for layer in LAYERS for part in layer), *BESIDE, ANYBODYS}


def test_arrows_point_to_the_right() -> None:
    """A layer uses what stands right of it: whoever changes a part need not look to its left."""
    on_the_map = [i for layer in LAYERS for i in within(*layer) if part_of(i.target) not in {*BESIDE, ANYBODYS}]
    breaks = [i for i in on_the_map if layer_of(part_of(i.target)) < layer_of(home(i))]
    assert_none(breaks, "stands right of what it imports; hand it in, or move to the right what both need:")


def test_parts_do_not_know_each_other() -> None:
    """Sideways not at all: a provider can be added without a thought about protocols, pools or plans."""
    breaks = [i for i in within(*PARTS) if part_of(i.target) in PARTS]
    assert_none(breaks, "stands beside what it imports; let a layer to the left join them, or move what both need:")


def test_only_the_two_ends_know_the_transport() -> None:
    """The HTTP transport can be exchanged: `upstream` and `server` are the only ones that would notice."""
    found = [i for path in modules() for i in ours(path) if part_of(i.target) == "http1"]
    breaks = [i for i in found if home(i) not in {"upstream", "server"}]
    assert_none(breaks, "only upstream (towards providers) and server (towards clients) import http1:")


def test_the_transport_knows_nothing_of_ours() -> None:
    """`http1` could be a package of its own."""
    assert_none(within("http1"), "http1 imports only itself; what it needs is passed in:")


def test_the_simulator_knows_nothing_of_the_proxy() -> None:
    """A stand-in that shared code with the proxy would share its mistakes; frames are the one exception."""
    breaks = [i for i in within("simulator") if part_of(i.target) != "wire"]
    assert_none(breaks, "the simulator imports only wire:")


def test_only_the_terminal_starts_the_simulator() -> None:
    """The product runs without it."""
    found = [i for path in modules() for i in ours(path) if part_of(i.target) == "simulator"]
    breaks = [i for i in found if home(i) != "cli"]
    assert_none(breaks, "only cli imports the simulator, for the demo model and `simulate`:")


def test_no_two_parts_import_each_other() -> None:
    """Without a circle every part can be read after the ones that it uses."""
    uses: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        uses[part_of(name_of(path))] |= {part_of(i.target) for i in ours(path)} - {ANYBODYS}
    del uses[ANYBODYS]
    while free := {part for part, used in uses.items() if not used & uses.keys()}:
        for part in free:
            del uses[part]
    assert not uses, f"a circle among {sorted(uses)}"


def test_only_settings_read_the_environment() -> None:
    """What can be set is in one place; cli looks at the locale when the settings themselves are wrong."""
    others = [path for path in modules() if part_of(name_of(path)) not in {"settings", "cli"}]
    reads = [f"{path.relative_to(PACKAGE)}:{line}" for path in others for line in _reads_environment(path)]
    assert not reads, f"only settings reads the environment; let the value be passed in: {reads}"


def _reads_environment(path: Path) -> list[int]:
    reached = {"environ", "environb", "getenv", "putenv"}
    lines = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in reached
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    return lines + [i.line for i in imports_of(path) if i.name in reached or i.target.startswith("dotenv")]


# --- importing --------------------------------------------------------------------------------------------------------

_QUIET = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def test_no_module_does_work_when_imported() -> None:
    """A module's top level says what things are: definitions and constants, some by platform or for type checkers."""
    work = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in modules()
        for node in tree_of(path).body
        if not _says_what_things_are(node, main=path.name == "__main__.py")
    ]
    assert not work, f"work at import: {work}"


def _says_what_things_are(node: ast.stmt, *, main: bool) -> bool:
    if isinstance(node, ast.If):
        inner = (*node.body, *node.orelse)
        return main or (not isinstance(node.test, ast.Call) and all(isinstance(one, _QUIET) for one in inner))
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, _QUIET)


_WATCH = """
import importlib, sys, threading
seen = []
SOURCES = (".py", ".pyc", ".so", ".pyd", ".zip")

def watch(event, args):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        seen.append(event)
    elif event == "open" and isinstance(args[0], str) and not args[0].endswith(SOURCES) and "importlib" not in caller():
        seen.append(f"open {args[0]}")

def caller():
    frame = sys._getframe(2)
    return frame.f_code.co_filename

names = sys.argv[1:]
importlib.import_module("encodings.idna")
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
if threading.active_count() > 1:
    seen.append("a thread")
print("\\n".join(seen))
sys.exit(bool(seen))
"""


def _import_watched(*names: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{_WATCH}", *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def test_importing_the_package_does_nothing_else() -> None:
    """`import ollama_proxy` opens no socket, reads no file and starts no thread."""
    assert _import_watched("ollama_proxy") == ""


def test_importing_every_module_opens_nothing() -> None:
    """Nor does any module below it, with all that it imports."""
    names = [name_of(path) for path in modules() if path.name != "__main__.py"]
    assert _import_watched(*names) == ""


def test_importing_the_package_brings_nothing_along() -> None:
    """A program that only asks for the version pays for nothing else."""
    code = "import sys, ollama_proxy; print([m for m in sys.modules if m.startswith('ollama_proxy.')])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "[]"
