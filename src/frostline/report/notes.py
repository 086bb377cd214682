"""What a reader of the figures should know: settings chosen, what is untested or constant, devices, learning rates."""

from collections.abc import Iterable, Sequence

from frostline.report.answer import Answer
from frostline.report.compare import Group
from frostline.report.runs import rate


def notes(answers: Sequence[Answer]) -> list[str]:
    """A sentence for each thing worth knowing about the groups."""
    groups = [answer.group for answer in answers]
    constant = [
        f"{answer.group.data}: every run of freeze={', '.join(answer.constant)} gives all test texts the same label."
        for answer in answers
        if answer.constant and not answer.missing
    ]
    return [note for group in groups for note in _about(group)] + constant + shared_rate(groups)


def _about(group: Group) -> list[str]:
    """What a reader of the group's figures should know."""
    notes = []
    for depth in group.depths:
        if depth.settings > 1:
            setting = ", ".join(f"{key} {value}" for key, value in depth.cells[0].setting)
            notes.append(
                f"{group.data}, freeze={depth.name}: {depth.settings} settings were run; shown is the one with the "
                f"best mean validation F1 ({setting})."
            )
    devices = sorted({cell.device for depth in group.depths for cell in depth.cells if cell.device})
    if len(devices) > 1:
        notes.append(f"{group.data} was run on {' and '.join(devices)}: seconds and memory do not compare.")
    shown = {depth.name for depth in group.depths}
    waiting = [depth for depth in dict.fromkeys(cell.depth for cell in group.cells) if depth not in shown]
    if waiting:
        notes.append(f"{group.data}: no tested run yet for freeze={', '.join(waiting)}.")
    return notes


def shared_rate(found: Iterable[Group]) -> list[str]:
    """The warning for data sets whose depths were all trained at one learning rate."""
    by_rate: dict[str, list[str]] = {}
    for group in found:
        rates = {cell.lr for cell in group.cells}
        if len(group.depths) > 1 and len(rates) == 1 and None not in rates:
            by_rate.setdefault(rate(rates.pop()), []).append(group.data)
    return [
        f"On {_listed(dict.fromkeys(data))} all depths were trained at one learning rate, {lr}, which favours "
        "some of them: a head trained at 2e-5 looks far worse than it is (on MiniLM's features F1 0.51 against 0.67 at "
        "1e-3). experiment=depth_study compares each depth at its own best rate."
        for lr, data in by_rate.items()
    ]


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
