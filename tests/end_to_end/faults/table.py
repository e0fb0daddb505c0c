"""What becomes of the faults F1 to F111 where it is not simply "a test shows it". Plain data for scripts/faults.

A fault that is set aside is cited by no test, because the program has nothing that it could happen to; the second text
names the test that shows what happens instead. One that is not kept is no better than open.
A fault that is decided otherwise is tested in the form that the text says.
"""

from __future__ import annotations

LAST = 111

#: Number: why, and the test of what happens instead.
SET_ASIDE: dict[int, tuple[str, str]] = {
    107: (
        "there is no store that processes share: one process has its own file, which is read like a stranger's",
        "../../pool/test_facts.py::test_what_is_no_fact_of_ours_is_skipped",
    ),
    108: (
        "one process serves: there are no workers that could know different things",
        "../../pool/test_facts.py::test_reports_sent_to_and_fro_do_not_creep",
    ),
    110: (
        "no request is ever called twice at once: a second call would cost a quota that counts by the day",
        "test_before_content.py::test_who_is_slow_is_not_asked_twice_at_once",
    ),
}

#: Number: why not, and the test of what happens instead. Unlike those above, these may yet be kept.
NOT_KEPT: dict[int, tuple[str, str]] = {}

#: Number: what is tested in place of the fault's own letter.
DECIDED: dict[int, str] = {
    100: "ten kills of the state file's writer and four of the whole program, each in the middle of its work",
    102: "no byte can be written, or no file made; what waits is the last word on each name, so it cannot grow",
    106: "in numbers instead of a minute of load: whoever is above the limit, and everybody once it has passed",
    109: "200 requests of one client beside another's; no client has a limit, and all are under way at once",
    111: "some seconds of the same in the tests, half an hour by scripts/soak",
}
