from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest
from tests.support.ollama_kit import chat

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
GIF = base64.b64encode(b"GIF89a......").decode()


def hub(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    messages_out: list[dict[str, Any]] = chat(messages=list(messages), **fields).call.body["messages"]
    return messages_out


def call(name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments or {}}, **more}


def asking(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **more}


def pairs(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(function, its result) for every call, by id, as a provider reads them; checks the order on the way."""
    found = []
    for place, message in enumerate(messages):
        calls = message.get("tool_calls", [])
        results = messages[place + 1 : place + 1 + len(calls)]
        assert [result["role"] for result in results] == ["tool"] * len(calls)
        texts = {result["tool_call_id"]: result["content"] for result in results}
        assert len(texts) == len(calls), "ids are unique within a turn"
        found += [(each["function"]["name"], texts[each["id"]]) for each in calls]
    return found


def test_plain_messages_pass_as_they_are() -> None:
    """C87."""
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": ""},
    ]
    assert hub(*messages) == messages


@pytest.mark.parametrize(
    ("role", "sent"), [("System", "system"), ("USER", "user"), ("developer", "developer"), ("", "user")]
)
def test_roles_are_lower_case(role: str, sent: str) -> None:
    """C88; other roles pass."""
    assert hub({"role": role, "content": "x"}) == [{"role": sent, "content": "x"}]


def test_images_become_parts_behind_the_text() -> None:
    """C86."""
    assert hub({"role": "user", "content": "what?", "images": [PNG, GIF]}) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{GIF}"}},
            ],
        }
    ]


@pytest.mark.parametrize("content", [None, "", []])
def test_a_message_may_be_only_an_image(content: Any) -> None:
    """ollama-ai-provider-v2 sends `content: []`; providers refuse empty text parts."""
    (message,) = hub({"role": "user", "content": content, "images": [PNG]})
    assert [part["type"] for part in message["content"]] == ["image_url"]


@pytest.mark.parametrize(
    "message", [{"role": "user"}, {"role": "user", "content": None}, {"role": "user", "content": []}]
)
def test_missing_content_is_empty(message: dict[str, Any]) -> None:
    """ollama-python drops empty values."""
    assert hub(message) == [{"role": "user", "content": ""}]


@pytest.mark.parametrize("content", [[{"type": "text", "text": "x"}], {"a": 1}, 5])
def test_content_must_be_text(content: Any) -> None:
    """OpenAI's parts are not Ollama's (C90)."""
    with pytest.raises(BadRequest, match=r"^json: cannot unmarshal \w+ into Go struct field Message.content of type"):
        hub({"role": "user", "content": content})


@pytest.mark.parametrize("images", [["data:image/png;base64," + PNG], [1], "x"])
def test_images_must_be_base64(images: Any) -> None:
    """A data URL is refused at its colon (C89)."""
    with pytest.raises(BadRequest, match=r"^(illegal base64 data at input byte 4|json: cannot unmarshal)"):
        hub({"role": "user", "content": "", "images": images})


def test_reasoning_of_the_history_is_kept_for_those_who_take_it() -> None:
    """Providers' profiles strip it elsewhere."""
    assert hub({"role": "assistant", "content": "4", "thinking": "2+2"}) == [
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"}
    ]


def test_calls_get_text_arguments_in_the_order_given() -> None:
    """C122: OpenAI wants text where Ollama has an object."""
    (turn, _) = hub(asking(call("f", {"z": 1, "a": {"y": [1.5, "é"]}}), content="let me see"))
    (sent,) = turn["tool_calls"]
    assert sent["type"] == "function"
    assert sent["function"] == {"name": "f", "arguments": '{"z":1,"a":{"y":[1.5,"é"]}}'}
    assert turn["content"] == "let me see"


def test_a_turn_of_calls_alone_has_null_content() -> None:
    """Some providers refuse empty text beside calls."""
    assert hub(asking(call("f"), content=""))[0]["content"] is None


@pytest.mark.parametrize("arguments", ['{"a":1}', [1], 5])
def test_arguments_must_be_an_object(arguments: Any) -> None:
    """C125."""
    with pytest.raises(
        BadRequest, match=r"^json: cannot unmarshal \w+ into Go struct field ToolCallFunction.arguments"
    ):
        hub(asking({"function": {"name": "f", "arguments": arguments}}))


@pytest.mark.parametrize("calls", [["f"], [None], {}])
def test_calls_must_be_objects(calls: Any) -> None:
    """And the error says which field it was."""
    with pytest.raises(BadRequest, match=r"into Go struct field Message.tool_calls of type"):
        hub({"role": "assistant", "tool_calls": calls})


def test_results_named_by_the_client_keep_their_ids() -> None:
    """C124: even in another order."""
    messages = hub(
        asking(call("a", id="one"), call("b", id="two")),
        {"role": "tool", "content": "B", "tool_call_id": "two"},
        {"role": "tool", "content": "A", "tool_call_id": "one"},
    )
    assert [each["id"] for each in messages[0]["tool_calls"]] == ["one", "two"]
    assert pairs(messages) == [("a", "A"), ("b", "B")]


def test_results_are_matched_by_name() -> None:
    """C122: ollama-python and Zed send only `tool_name`."""
    messages = hub(
        asking(call("a"), call("b")),
        {"role": "tool", "content": "B", "tool_name": "b"},
        {"role": "tool", "content": "A", "tool_name": "a"},
    )
    assert pairs(messages) == [("a", "A"), ("b", "B")]


@pytest.mark.parametrize("named", [{}, {"tool_name": "f"}])
def test_results_are_matched_by_order(named: dict[str, str]) -> None:
    """C123: two calls of one function, and Home Assistant sends neither id nor name."""
    messages = hub(
        asking(call("f", {"n": 1}), call("f", {"n": 2})),
        {"role": "tool", "content": "first", **named},
        {"role": "tool", "content": "second", **named},
    )
    assert pairs(messages) == [("f", "first"), ("f", "second")]


def test_results_without_ids_match_calls_with_ids() -> None:
    """LangChain.js makes an id for the call and forgets it in the result."""
    messages = hub(asking(call("f", id="uuid-1")), {"role": "tool", "content": "R"})
    assert messages[1] == {"role": "tool", "tool_call_id": "uuid-1", "content": "R"}


def test_an_id_on_the_result_alone_is_used_for_both() -> None:
    """C124."""
    messages = hub(asking(call("f")), {"role": "tool", "content": "R", "tool_call_id": "mine"})
    assert messages[0]["tool_calls"][0]["id"] == messages[1]["tool_call_id"] == "mine"


def test_calls_that_share_an_id_are_told_apart() -> None:
    """LlamaIndex uses the function's name as id."""
    messages = hub(
        asking(call("f", {"n": 1}, id="f"), call("f", {"n": 2}, id="f")),
        {"role": "tool", "content": "first", "tool_call_id": "f"},
        {"role": "tool", "content": "second", "tool_call_id": "f"},
    )
    assert pairs(messages) == [("f", "first"), ("f", "second")]


def test_invented_ids_are_the_same_in_the_next_request() -> None:
    """A provider's prompt cache compares the bytes of the history."""
    history = [asking(call("f", {"n": 1})), {"role": "tool", "content": "R"}]
    longer = [*history, {"role": "user", "content": "and?"}]
    assert hub(*longer)[:2] == hub(*history)


def test_a_result_that_nobody_asked_for_becomes_text() -> None:
    """LiteLLM up to 1.83 removes the calls from the history."""
    messages = hub({"role": "user", "content": "q"}, {"role": "tool", "content": "42", "tool_name": "calc"})
    assert messages[1] == {"role": "user", "content": "Result of the tool calc:\n42"}


def test_a_result_for_another_id_becomes_text() -> None:
    """It must not be taken for the answer to a call that has an id of its own."""
    messages = hub(asking(call("f", id="a")), {"role": "tool", "content": "42", "tool_call_id": "b"})
    assert pairs(messages) == [("f", "(the client sent no result for this call)")]
    assert messages[2] == {"role": "user", "content": "Result of a tool:\n42"}


def test_a_call_without_result_gets_a_placeholder() -> None:
    """Roo Code sends results as the user's text; providers want an answer for each call."""
    messages = hub(asking(call("f")), {"role": "user", "content": "[f] Result: 42"})
    assert [message["role"] for message in messages] == ["assistant", "tool", "user"]


def test_results_stand_right_behind_their_calls() -> None:
    """Whatever came in between is moved behind them."""
    messages = hub(
        asking(call("f"), call("g")),
        {"role": "tool", "content": "F"},
        {"role": "user", "content": "wait"},
        {"role": "tool", "content": "G"},
    )
    assert pairs(messages) == [("f", "F"), ("g", "G")]
    assert messages[3] == {"role": "user", "content": "wait"}


def test_calls_written_down_one_by_one_are_one_turn() -> None:
    """We stream one call per line; some clients make a message of each."""
    messages = hub(
        asking(call("f"), content="so: "),
        asking(call("g")),
        {"role": "tool", "content": "F"},
        {"role": "tool", "content": "G"},
    )
    assert pairs(messages) == [("f", "F"), ("g", "G")]
    assert messages[0]["content"] == "so: "


def test_results_belong_to_the_last_turn() -> None:
    """An answered turn is closed by the next turn of the assistant."""
    messages = hub(
        asking(call("f", {"n": 1})),
        {"role": "tool", "content": "one"},
        asking(call("f", {"n": 2})),
        {"role": "tool", "content": "two"},
        {"role": "assistant", "content": "done"},
        {"role": "tool", "content": "late"},
    )
    assert pairs(messages) == [("f", "one"), ("f", "two")]
    assert messages[-1] == {"role": "user", "content": "Result of a tool:\nlate"}


def test_images_of_a_tool_follow_as_the_users() -> None:
    """Chat-completions take only text in a tool's message."""
    messages = hub(asking(call("f")), {"role": "tool", "content": "see", "images": [PNG]})
    assert pairs(messages) == [("f", "see")]
    assert messages[2]["role"] == "user"
    assert messages[2]["content"][0]["type"] == "image_url"


def test_history_with_calls_needs_no_tools() -> None:
    """The Continue extension sends tools only with the user's messages."""
    body = chat(messages=[asking(call("f")), {"role": "tool", "content": "F"}], tools=[]).call.body
    assert "tools" not in body
    assert len(body["messages"]) == 2


def test_tools_pass_untouched() -> None:
    """C106: every keyword of the schema reaches the provider."""
    parameters = {"type": "object", "additionalProperties": False, "properties": {"a": {"default": 1, "minimum": 0}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters, "strict": True}}]
    assert chat(tools=tools).call.body["tools"] == tools


def test_a_tool_without_type_is_a_function() -> None:
    """There is no other kind."""
    assert chat(tools=[{"function": {"name": "f"}}]).call.body["tools"][0]["type"] == "function"


@pytest.mark.parametrize("field", ["messages", "tools"])
def test_elements_must_be_objects(field: str) -> None:
    """And the error says which field it was."""
    with pytest.raises(BadRequest, match=rf"^json: cannot unmarshal string into Go struct field ChatRequest.{field}"):
        chat(**{field: ["x"]})


_ids = st.sampled_from(["", "a", "b", "c"])
_names = st.sampled_from(["", "f", "g"])
_turns = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, st.text(max_size=5)),
    st.builds(lambda text: {"role": "assistant", "content": text}, st.text(max_size=5)),
    st.builds(
        lambda calls: asking(*calls),
        st.lists(st.builds(lambda i, n: call(n, id=i), _ids, _names), min_size=1, max_size=3),
    ),
    st.builds(
        lambda i, n, text: {"role": "tool", "content": text, "tool_call_id": i, "tool_name": n},
        _ids,
        _names,
        st.text(max_size=5),
    ),
)


@given(st.lists(_turns, max_size=12))
def test_every_call_is_answered_once_and_no_text_is_lost(turns: list[dict[str, Any]]) -> None:
    """Whatever mixture of ids, names and orders a client sends, a strict provider can read the result (C122-C124)."""
    messages = hub(*turns)
    assert len(pairs(messages)) == sum(len(turn.get("tool_calls", [])) for turn in turns)
    answered = sum(len(message.get("tool_calls", [])) for message in messages)
    assert sum(message["role"] == "tool" for message in messages) == answered
    told = json.dumps(messages)
    assert all(json.dumps(turn["content"])[1:-1] in told for turn in turns if turn["role"] == "tool")
