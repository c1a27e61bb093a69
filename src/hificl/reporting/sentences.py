"""Sentences about scores, made from the records: who is ahead of whom, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hificl.reporting import numbers
from hificl.reporting.document import Link, Text, joined
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import is_different, line_label, mean_target, score_link, unit

MANY = 5
"""From this number on, an enumeration in short gives only its ends."""


def score_facts(grid: Grid, members: Sequence[Mean], title: str, *, short: bool = False) -> list[Text]:
    """Say what a group shows about the reference: its score, who is behind, who is ahead, who cannot be told apart.

    With ``short`` a long enumeration gives only its ends.
    """
    own = next((mean for mean in members if mean.is_reference), None)
    if own is None:
        return [_highest(grid, members, title)]
    if own.score is None:
        reason = f" ({own.hole.kind}: {own.hole.reason})" if own.hole else ""
        return [(f"{title}: {line_label(own)} has no number{reason}, so nothing can be compared with it.",)]
    facts = [_own(grid, own, members, title)]
    compared = [mean for mean in members if mean.difference is not None]
    if compared:
        facts += _differences(grid, compared, own, short=short)
    else:
        facts += _overlaps(grid, members, own)
    return facts


def compact_fact(grid: Grid, members: Sequence[Mean], title: str) -> Text:
    """Say in one sentence where the reference stands in a group: its score, who is ahead, level, behind."""
    own = next((mean for mean in members if mean.is_reference), None)
    if own is None:
        return _highest(grid, members, title)
    if own.score is None:
        return (f"{title}: {line_label(own)} has no number" + (f" ({own.hole.kind})." if own.hole else "."),)
    text: list[str | Link] = [f"{title}: {line_label(own)} ", score_link(own, grid)]
    compared = [mean for mean in members if mean.difference is not None and mean.control is None]
    for words, found in zip(("behind it", "level with it", "ahead of it"), _verdicts(compared), strict=True):
        if len(found) >= MANY:
            text.append(f"; {words}: {len(found)} methods")
        elif found:
            text += [f"; {words}: ", *_names(grid, found)]
    return (*text, ".")


def _verdicts(compared: Sequence[Mean]) -> tuple[list[Mean], list[Mean], list[Mean]]:
    """Methods behind the reference, not told apart from it, and ahead of it."""
    behind = [mean for mean in compared if is_different(mean) and (mean.difference or 0) < 0]
    ahead = [mean for mean in compared if is_different(mean) and (mean.difference or 0) > 0]
    return behind, [mean for mean in compared if not is_different(mean)], ahead


def ahead_facts(grid: Grid, members: Sequence[Mean], title: str) -> list[Text]:
    """Say who is ahead of the reference in a group that is not the headline; nothing where nobody is."""
    own = next((mean for mean in members if mean.is_reference and mean.score is not None), None)
    ahead = [mean for mean in members if is_different(mean) and (mean.difference or 0) > 0 and mean.control is None]
    if own is None or not ahead:
        return []
    start: Text = (f"{title}: {line_label(own)} reaches ", score_link(own, grid), "; ahead of it ")
    return [(*start, f"{_are(ahead)} ", *_by_how_much(grid, ahead, short=False), ".")]


def control_facts(grid: Grid, members: Sequence[Mean], title: str) -> list[Text]:
    """Say what the controls reach: the same training behind the same images, on a random language model."""
    controls = [mean for mean in members if mean.control is not None and mean.score is not None]
    parts: list[Text] = []
    for mean in sorted(controls, key=lambda mean: -(mean.score or 0.0)):
        trained = next((one for one in members if _is_trained_twin(one, mean)), None)
        beside: Text = () if trained is None else (" (", score_link(trained, grid), " on the trained one)")
        parts.append((f"{line_label(replace(mean, control=None))} reaches ", score_link(mean, grid), *beside))
    if not parts:
        return []
    start = f"Control on {title}, the same training on a random language model: "
    highest = "So much" if len(parts) == 1 else "The highest is what"
    end = f". {highest} these image features give without a trained language model."
    return [(start, *joined(parts), end)]


def _is_trained_twin(one: Mean, control: Mean) -> bool:
    """Whether a mean is that of the same line on the trained model."""
    return (
        one.score is not None and one.control is None and line_label(one) == line_label(replace(control, control=None))
    )


def _own(grid: Grid, own: Mean, members: Sequence[Mean], title: str) -> Text:
    trained = own.cost("trainable_parameters")
    costs = f" with {numbers.count(trained)} trained numbers" if trained else ""
    count = len(own.rows)
    over = "one seed" if count == 1 else f"{count} seeds"
    scored = [mean for mean in members if mean.score is not None and mean.control is None]
    first = max(scored, key=lambda mean: mean.score or 0.0)
    start: Text = (f"{title}: {line_label(own)} reaches ", score_link(own, grid), f" ({unit(own)}, {over}){costs}")
    if len(scored) == 1:
        return (*start, ".")
    if first.score == own.score:
        return (*start, f"; no mean of the {len(scored)} methods is higher.")
    return (
        *start,
        f"; the highest mean of the {len(scored)} methods is {line_label(first)}, ",
        score_link(first, grid),
        ".",
    )


def _differences(grid: Grid, compared: Sequence[Mean], own: Mean, *, short: bool) -> list[Text]:
    name = line_label(own)
    compared = [mean for mean in compared if mean.control is None]
    behind, level, ahead = _verdicts(compared)
    facts: list[Text] = []
    if behind:
        facts.append((f"{name} is ahead of ", *_by_how_much(grid, behind, short=short), "."))
    else:
        facts.append((f"{name} is ahead of no other method here beyond chance.",))
    if ahead:
        facts.append(
            (f"{name} does not win here: ahead of it {_are(ahead)} ", *_by_how_much(grid, ahead, short=short), ".")
        )
    if level:
        facts.append(
            (
                f"After correction {name} cannot be told apart from these (in brackets their score minus its own): ",
                *_names(grid, level),
                ".",
            )
        )
    return facts


def _overlaps(grid: Grid, members: Sequence[Mean], own: Mean) -> list[Text]:
    """Without a paired test: whose interval lies above, below, or over that of the reference."""
    ends = own.ends
    others = [mean for mean in members if mean is not own and mean.ends and mean.score is not None and not mean.control]
    if ends is None or not others:
        return []
    low, high = ends
    below = [mean for mean in others if mean.ends and mean.ends[1] < low]
    above = [mean for mean in others if mean.ends and mean.ends[0] > high]
    level = [mean for mean in others if mean not in below and mean not in above]
    facts: list[Text] = []
    for found, words in ((below, "is wholly above"), (above, "is wholly below"), (level, "overlaps")):
        if found:
            facts.append((f"Its interval {words} that of ", *_scores(grid, found), "."))
    return facts


def _by_how_much(grid: Grid, means: Sequence[Mean], *, short: bool) -> Text:
    """Enumerate methods with the size of their difference; in short, of many only the smallest and the largest."""
    means = sorted(means, key=lambda mean: abs(mean.difference or 0.0))
    if short and len(means) >= MANY:
        ends = joined([_distance(grid, means[0]), _distance(grid, means[-1])], " to ")
        return (f"{len(means)} methods, by ", *ends)
    return joined([_distance(grid, mean, first=True) for mean in means], commas_inside=_have_commas(means))


def _distance(grid: Grid, mean: Mean, *, first: bool = False) -> Text:
    digits = numbers.score_digits(mean.scale)
    assert mean.difference is not None
    low, high = mean.difference_ci95 or (mean.difference, mean.difference)
    if mean.difference < 0:
        low, high = -high, -low
    link = Link(
        numbers.with_interval(abs(mean.difference), (low, high), digits), mean_target(mean, grid), _tested(mean)
    )
    doubt = _doubt(mean, digits)
    return (f"{line_label(mean)} by ", link, doubt) if first else (link, f" ({line_label(mean)}){doubt}")


def _doubt(mean: Mean, digits: int) -> str:
    """What the seeds say against a difference that the queries show."""
    ends = mean.difference_seed_ci95
    if ends is None or not ends[0] < 0 < ends[1]:
        return ""
    if (mean.difference or 0.0) < 0:
        ends = -ends[1], -ends[0]
    return f" (over queries; over seeds the interval {numbers.interval(ends, digits)} holds 0)"


def _names(grid: Grid, means: Sequence[Mean]) -> Text:
    digits = numbers.score_digits(means[0].scale)
    parts: list[Text] = []
    for mean in means:
        assert mean.difference is not None
        shown = numbers.with_interval(mean.difference, mean.difference_ci95, digits, "+")
        parts.append((f"{line_label(mean)} (", Link(shown, mean_target(mean, grid), _tested(mean)), ")"))
    return joined(parts, commas_inside=_have_commas(means))


def _scores(grid: Grid, means: Sequence[Mean]) -> Text:
    parts: list[Text] = [(f"{line_label(mean)} (", score_link(mean, grid), ")") for mean in means]
    return joined(parts, commas_inside=_have_commas(means))


def _have_commas(means: Sequence[Mean]) -> bool:
    return any("," in line_label(mean) for mean in means)


def _highest(grid: Grid, members: Sequence[Mean], title: str) -> Text:
    scored = [mean for mean in members if mean.score is not None]
    if not scored:
        return (f"{title}: no method has a number.",)
    first = max(scored, key=lambda mean: mean.score or 0.0)
    return (f"{title}: the highest mean is {line_label(first)}, ", score_link(first, grid), ".")


def _tested(mean: Mean) -> str:
    return (
        "paired over queries"
        if mean.p_holm is None
        else f"paired over queries, p {numbers.p_value(mean.p_holm)} (Holm)"
    )


def _are(means: Sequence[Mean]) -> str:
    return "is" if len(means) == 1 else "are"
