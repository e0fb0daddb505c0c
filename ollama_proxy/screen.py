"""Owns what the server shows a person when it starts. Knows no key: only how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ollama_proxy import __version__
from ollama_proxy.settings import Settings
from ollama_proxy.texts import Texts

__all__ = ["Row", "show_start"]


@dataclass(frozen=True, slots=True)
class Row:
    """One provider on the screen. example: a model name to try; key_page: where a key is made."""

    name: str
    title: str
    keys: int
    variable: str = ""
    key_page: str = ""


def show_start(
    console: Console,
    texts: Texts,
    settings: Settings,
    address: str,
    rows: Sequence[Row],
    offers: Sequence[Row],
    warnings: Sequence[str] = (),
) -> None:
    """The start-up screen.

    rows: providers that are on. offers: the ones that a newcomer could switch on, shown while none is.
    warnings: whatever else the operator should know.
    """
    console.print(f"[bold]Ollama Proxy[/] {__version__}   {texts('listening', address=address)}", highlight=False)
    console.print()
    if rows:
        _providers(console, texts, rows)
    else:
        _how_to_add_keys(console, texts, offers)
    console.print()
    console.print(escape(texts("ollama_clients", address=address)), highlight=False)
    openai = "openai_clients" if settings.token is None else "openai_clients_token"
    console.print(escape(texts(openai, address=address)), highlight=False)
    if not rows:
        console.print()
        console.print(texts("try_it"))
        console.print(
            f'  curl {address}/api/chat -d \'{{"model":"demo:hello","messages":'
            '[{"role":"user","content":"Hello!"}],"stream":false}\'',
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    slips = [texts("slip", name=slip, meant=f"{slip}S") for slip in settings.slips]
    unguarded = [] if settings.loopback or settings.token is not None else [texts("open_warning")]
    for warning in (*warnings, *slips, *unguarded):
        console.print(f"[yellow]! {escape(warning)}[/]", highlight=False)
    console.print(f"[dim]{texts('stop')}[/]")


def _providers(console: Console, texts: Texts, rows: Sequence[Row]) -> None:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(texts("provider"))
    table.add_column(texts("keys"), justify="right")
    table.add_column(texts("prefix"))
    for row in rows:
        table.add_row(escape(row.title), str(row.keys), escape(f"{row.name}:"))
    console.print(table)


def _how_to_add_keys(console: Console, texts: Texts, offers: Sequence[Row]) -> None:
    console.print(texts("no_keys"), highlight=False)
    console.print(texts("add_key"), highlight=False)
    width = max((len(offer.variable) for offer in offers), default=0)
    for offer in offers:
        line = f'  {offer.variable}="…"'.ljust(width + 9)
        console.print(f"{escape(line)}[dim]{texts('get_key')}: {offer.key_page}[/]", highlight=False, soft_wrap=True)
    console.print(texts("several_keys"), highlight=False)
