"""The tables: the right number is chosen and compared in the right direction."""

from __future__ import annotations

from bench.cells import Results
from bench.report import METRICS, add_differences, as_dict, best, render

MORE = next(metric for metric in METRICS if metric.key == "small_per_cpu")
LESS = next(metric for metric in METRICS if metric.key == "rss_idle_mb")


def results(**values: float) -> Results:
    found = Results()
    for key, value in values.items():
        found.put(key, value)
    return found


def line(text: str, title: str, table: int) -> str:
    return [row for row in text.splitlines() if row.startswith(f"| {title} ")][table]


def test_the_better_round_counts_in_the_metrics_own_direction() -> None:
    """More answers are better, more memory is worse."""
    found = results(small_per_cpu=5, rss_idle_mb=5)
    found.put("small_per_cpu", 9)
    found.put("rss_idle_mb", 9)
    assert best(found, MORE) == (9, False)
    assert best(found, LESS) == (5, False)


def test_an_undisturbed_round_counts_before_a_better_disturbed_one() -> None:
    """A number taken while others used the core is the last choice."""
    found = results(small_per_cpu=5)
    found.put("small_per_cpu", 9, disturbed=True)
    assert best(found, MORE) == (5, False)


def test_ratios_above_one_mean_ahead_in_both_directions() -> None:
    """Twice the answers and half the memory are both 2.00."""
    rows = {
        "ours": results(small_per_cpu=20_000, rss_idle_mb=20),
        "rolter": results(small_per_cpu=10_000, rss_idle_mb=40),
    }
    text = render(rows, {}, {}, 1000)
    assert line(text, MORE.title, 1).endswith(" 2.00 |")
    assert line(text, LESS.title, 1).endswith(" 2.00 |")


def test_added_latency_is_what_the_bare_provider_does_not_have() -> None:
    """direct 0.1 ms, proxy 0.4 ms: 0.3 ms added; never below zero."""
    rows = {"direct": results(c1_p50_ms=0.1, c1_p99_ms=5), "ours": results(c1_p50_ms=0.4, c1_p99_ms=4)}
    add_differences(rows)
    assert round(rows["ours"].values["c1_added_p50_ms"][0][0], 6) == 0.3
    assert rows["ours"].values["c1_added_p99_ms"] == [(0.0, False)]


def test_who_was_not_measured_is_named_with_the_reason() -> None:
    """A missing peer is a line of words, not an empty column."""
    broken = Results(notes={"start": "it ended by itself"})
    text = render({"ours": results(small_per_cpu=1), "smg": broken}, {}, {"rolter": "not installed"}, 1000)
    assert "- rolter: skipped, not installed" in text
    assert "- smg, start: it ended by itself" in text
    assert "smg |" not in text


def test_every_round_is_kept_for_programs() -> None:
    """The JSON holds the chosen number and all that it was chosen from."""
    found = results(small_per_cpu=5)
    found.put("small_per_cpu", 9)
    told = as_dict({"ours": found}, {"date": "today"}, {})["proxies"]["ours"]
    assert (told["values"]["small_per_cpu"], told["rounds"]["small_per_cpu"]) == (9, [5, 9])
