"""What becomes of the checks C1 to C240 where it is not simply "a test shows it". Plain data for scripts/contract.

A check that is set aside is cited by no test; the second text names the test that shows what happens instead. One that
is not kept is no better than open: it counts among those that are due.
A check that is decided otherwise is tested in the form that the text says.
"""

from __future__ import annotations

LAST = 240

_WHOLE = "test_openai_face.py::test_an_answer_is_the_providers_own_bytes"
_FRAMES = "test_openai_face.py::test_a_stream_is_the_providers_own_frames"
_JUDGE = "test_openai_face.py::test_what_ollama_would_refuse_is_the_providers_to_judge"

#: Number: why, and the test of what happens instead. All of them are Ollama's own habits on /v1/chat/completions, which
#: is a pass-through here.
SET_ASIDE: dict[int, tuple[str, str]] = {
    180: ("id, object, model and fingerprint of a whole answer are the provider's, not made up here", _WHOLE),
    181: ("content and reasoning reach the client as the provider sends them, null included", _WHOLE),
    185: ("roles and contents of frames are the provider's", _FRAMES),
    186: ("whether the reason has a frame of its own is the provider's choice", _FRAMES),
    187: ("ids and times of frames are the provider's", _FRAMES),
    188: (
        "usage is in a stream where the client asked the provider for it; nothing is put into a request",
        "test_openai_face.py::test_nothing_is_put_into_a_request",
    ),
    189: ("reasoning keeps the name that the provider gives it", _FRAMES),
    194: ("an image's address goes to the provider, which may well take it", _JUDGE),
    195: ("a null content goes to the provider, which judges it", _JUDGE),
    196: (
        "odd arguments in a history go to the provider, which judges them",
        "test_openai_face.py::test_odd_arguments_in_a_history_are_the_providers_to_judge",
    ),
    197: (
        "every word for an effort goes to the provider, which judges it",
        "test_openai_face.py::test_any_effort_is_the_providers_to_judge",
    ),
}

#: Number: why not, and the test of what happens instead. Unlike those above, these may yet be kept.
NOT_KEPT: dict[int, tuple[str, str]] = {}

#: Number: what is tested in place of the check's own letter.
DECIDED: dict[int, str] = {
    1: "the bare sentence for who accepts text; programs get JSON that holds it, browsers a page",
    2: "the length is that of what GET would say to the same client: 17 where that is the bare sentence",
    3: "the proxy's own version stands beside `version` in a second key",
    15: "served at once instead of redirected",
    16: "served at once instead of redirected",
    17: "served at once instead of redirected",
    39: "made from name and abilities, since there are no weights",
    62: "always nine fractional digits, which some clients need",
    78: "U+0085 is escaped too",
    168: "nothing can be pushed, and the stream says so",
    173: "weights are refused, so every blob is unknown",
    178: "slashes in ids are taken, raw and escaped",
    179: "`code` is `model_not_found` instead of null",
    182: "`index` only where OpenAI has it: on the deltas of a stream",
    191: "for answers that are empty for a reason; any other empty answer is asked for again, then an error",
    200: "429 has OpenAI's own type `rate_limit_error`; a provider's 500 is 502, since it is not ours",
    201: "Ollama loses the error's text; here it is told",
    221: "no audio is passed on: a form that is right is refused, too",
    227: "behind Ollama's list of headers stand those of Anthropic's SDK",
    237: "502, since 401 would mean the client's own token",
}
