"""Tool calls: however they come from the provider they are told whole; and what is sent back reaches it matched."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.contract import CHAT, PAUSE, World, chunk

OPEN = "openrouter:openai/gpt-4o-mini"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Looks it up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK = {"model": OPEN, "messages": [{"role": "user", "content": "How is the weather?"}], "tools": [TOOL]}


def part(arguments: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A delta of a call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**more, "function": function}


def calls_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for line in lines for call in line["message"].get("tool_calls", ())]


def stream(world: World, *deltas: dict[str, Any], finish: str = "tool_calls", **more: Any) -> list[dict[str, Any]]:
    """The lines of the answer to these deltas."""
    world.stream_with(*map(chunk, deltas), chunk({}, finish))
    return world.post("/api/chat", {**ASK, **more}).lines


def answer(world: World, *calls: dict[str, Any], content: str | None = None, finish: str = "tool_calls") -> Any:
    """The whole answer for these calls of the provider."""
    message = {"role": "assistant", "content": content, "tool_calls": list(calls)}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    world.answer_with({"id": "up-1", "object": "chat.completion", "created": 7, "model": "up", "choices": [choice]})
    return world.post("/api/chat", {**ASK, "stream": False})


# --- what the client is told ------------------------------------------------------------------------------------------


def test_a_call_has_ollamas_form(world: World) -> None:
    """C113 C114: id, index, name, an object of arguments, and no type; the provider's id is kept."""
    call = part('{"city":"Paris"}', "get_weather", id="call_abc", type="function")
    told = answer(world, call).json["message"]["tool_calls"]
    assert json.dumps(told) == json.dumps(
        [{"id": "call_abc", "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}}]
    )
    world.fresh()
    lines = stream(world, {"tool_calls": [part('{"city":"Paris"}', "get_weather", id="call_abc", index=0)]})
    assert calls_of(lines) == told


@pytest.mark.parametrize("given", [{}, {"id": ""}, {"id": None}])
def test_a_missing_id_is_made_up(world: World, given: dict[str, Any]) -> None:
    """C114: `call_` and eight letters or digits, another one for each call."""
    call = part("{}", "get_weather", **given)
    ids = [one["id"] for one in answer(world, call, call).json["message"]["tool_calls"]]
    world.fresh()
    parts = [part("{}", "get_weather", index=at, **given) for at in range(2)]
    ids += [one["id"] for one in calls_of(stream(world, {"tool_calls": parts}))]
    assert all(re.fullmatch("call_[a-z0-9]{8}", one) for one in ids)
    assert ids[0] != ids[1]
    assert ids[2] != ids[3]


def test_arguments_in_many_pieces_are_one_object(world: World) -> None:
    """C115: in one line."""
    text = '{"city":"São Paulo","days":[1,2.50,3]}'
    pieces = [{"tool_calls": [part(sign, index=0)]} for sign in text]
    lines = stream(world, {"tool_calls": [part("", "get_weather", id="c1", index=0)]}, *pieces)
    (call,) = calls_of(lines)
    assert call["function"]["arguments"] == {"city": "São Paulo", "days": [1, 2.5, 3]}


def test_parallel_calls_come_out_whole_and_in_order(world: World) -> None:
    """C116: though their pieces come in turns."""
    lines = stream(
        world,
        {"tool_calls": [part('{"city":', "get_weather", id="c1", index=0)]},
        {"tool_calls": [part('{"city":', "get_time", id="c2", index=1)]},
        {"tool_calls": [part('"Rome"}', index=1)]},
        {"tool_calls": [part('"Paris"}', index=0)]},
    )
    told = [
        (c["function"]["index"], c["function"]["name"], c["function"]["arguments"]["city"]) for c in calls_of(lines)
    ]
    assert told == [(0, "get_weather", "Paris"), (1, "get_time", "Rome")]


@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": None}], ids=["none", "all 0", "null"])
def test_calls_without_an_index_of_their_own_stay_apart(world: World, index: dict[str, Any]) -> None:
    """C117: no index, or the same for all, with ids that differ."""
    deltas = [
        {"tool_calls": [part('{"city":"Paris"}', "get_weather", id="c1", **index)]},
        {"tool_calls": [part('{"city":"Rome"}', "get_weather", id="c2", **index)]},
    ]
    told = [(c["id"], c["function"]["index"], c["function"]["arguments"]) for c in calls_of(stream(world, *deltas))]
    assert told == [("c1", 0, {"city": "Paris"}), ("c2", 1, {"city": "Rome"})]


@pytest.mark.parametrize("arguments", ["", "  ", "{}", "null", None])
def test_blank_arguments_are_an_empty_object(world: World, arguments: str | None) -> None:
    """C118: streamed or not."""
    (call,) = answer(world, part(arguments, "get_weather", id="c1")).json["message"]["tool_calls"]
    assert call["function"]["arguments"] == {}
    world.fresh()
    (call,) = calls_of(stream(world, {"tool_calls": [part(arguments, "get_weather", id="c1", index=0)]}))
    assert call["function"]["arguments"] == {}


@pytest.mark.parametrize("arguments", ['{"city":', "[1]", '"Paris"', "Paris"])
def test_arguments_that_cannot_be_read_are_an_error(world: World, arguments: str) -> None:
    """C119: with a status while nothing was sent, as the last line after some text."""
    told = answer(world, part(arguments, "get_weather", id="c1"))
    assert told.status >= 500
    assert type(told.json["error"]) is str
    world.fresh()
    call = {"tool_calls": [part(arguments, "get_weather", id="c1", index=0)]}
    world.stream_with(chunk({"content": "One moment."}), PAUSE, chunk(call), chunk({}, "tool_calls"))
    lines = world.post("/api/chat", ASK).lines
    assert lines[0]["message"]["content"] == "One moment."
    assert [list(line) for line in lines[1:]] == [["error"]]


def test_calls_alone_have_empty_content(world: World) -> None:
    """C120: present all the same, and the reason is `stop`."""
    told = answer(world, part("{}", "get_weather", id="c1")).json
    assert told["message"]["content"] == ""
    assert told["done_reason"] == "stop"
    world.fresh()
    lines = stream(world, {"tool_calls": [part("{}", "get_weather", id="c1", index=0)]})
    assert [line["message"]["content"] for line in lines] == ["", ""]
    assert lines[-1]["done_reason"] == "stop"


def test_the_order_of_arguments_is_the_models(world: World) -> None:
    """C121: whatever the alphabet says; numbers keep their digits."""
    text = '{"z":1,"a":{"y":12345678901234567890,"b":0.1000},"m":[]}'
    told = answer(world, part(text, "get_weather", id="c1"))
    assert f'"arguments":{text}'.encode() in told.body


def test_text_before_a_call_is_streamed_first(world: World) -> None:
    """C126: in lines of its own."""
    call = {"tool_calls": [part('{"city":"Paris"}', "get_weather", id="c1", index=0)]}
    lines = stream(world, {"content": "One "}, {"content": "moment."}, call)
    shown = [(line["message"]["content"], "tool_calls" in line["message"]) for line in lines]
    assert shown == [("One ", False), ("moment.", False), ("", True), ("", False)]


def test_generate_takes_calls_too(world: World) -> None:
    """C113: at the top of the object, should a provider ever send one there."""
    message = {"role": "assistant", "content": "", "tool_calls": [part("{}", "get_weather", id="c1")]}
    world.answer_with({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    told = world.generate(OPEN).json
    assert told["tool_calls"] == [{"id": "c1", "function": {"index": 0, "name": "get_weather", "arguments": {}}}]


# --- what the provider is told ----------------------------------------------------------------------------------------


def call_of(name: str, city: str, **more: Any) -> dict[str, Any]:
    """A call as Ollama's clients write it into the history."""
    return {**more, "function": {"name": name, "arguments": {"city": city}}}


def history(world: World, calls: list[dict[str, Any]], *results: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that reach the provider for these calls and their results."""
    messages = [
        {"role": "user", "content": "How is the weather?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *({"role": "tool", **result} for result in results),
    ]
    assert world.post("/api/chat", {**ASK, "messages": messages, "stream": False}).status == 200
    sent: list[dict[str, Any]] = world.sent["messages"]
    return sent


def test_results_by_name_alone_reach_their_calls(world: World) -> None:
    """C122: ids are made up on both sides, arguments are text."""
    calls = [call_of("get_weather", "Paris"), call_of("get_time", "Rome")]
    _, asked, *results = history(
        world,
        calls,
        {"tool_name": "get_time", "content": "noon"},
        {"tool_name": "get_weather", "content": "sunny"},
    )
    names = {call["id"]: call["function"]["name"] for call in asked["tool_calls"]}
    assert {names[one["tool_call_id"]]: one["content"] for one in results} == {
        "get_weather": "sunny",
        "get_time": "noon",
    }
    for call in asked["tool_calls"]:
        assert type(call["function"]["arguments"]) is str
        assert call["type"] == "function"
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}


def test_results_of_one_function_are_matched_in_order(world: World) -> None:
    """C123: twice the same function, neither ids nor names."""
    calls = [call_of("get_weather", "Paris"), call_of("get_weather", "Rome")]
    _, asked, *results = history(world, calls, {"content": "sunny"}, {"content": "rainy"})
    cities = {call["id"]: json.loads(call["function"]["arguments"])["city"] for call in asked["tool_calls"]}
    assert [(cities[one["tool_call_id"]], one["content"]) for one in results] == [("Paris", "sunny"), ("Rome", "rainy")]


def test_an_id_of_the_clients_is_used_as_it_is(world: World) -> None:
    """C124: on both sides, whatever the order."""
    calls = [call_of("get_weather", "Paris", id="mine-1"), call_of("get_weather", "Rome", id="mine-2")]
    results = [{"tool_call_id": "mine-2", "content": "rainy"}, {"tool_call_id": "mine-1", "content": "sunny"}]
    _, asked, *answered = history(world, calls, *results)
    assert [call["id"] for call in asked["tool_calls"]] == ["mine-1", "mine-2"]
    assert {one["tool_call_id"]: one["content"] for one in answered} == {"mine-1": "sunny", "mine-2": "rainy"}


def test_arguments_as_text_are_refused(world: World) -> None:
    """C125: that is OpenAI's form, not Ollama's."""
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    told = world.post("/api/chat", {"model": CHAT, "messages": [message], "stream": False})
    told.assert_error(400, begins="json: cannot unmarshal string into Go struct field")
    assert not world.arrivals
