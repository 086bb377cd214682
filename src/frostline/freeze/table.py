"""What trains in which part of an encoder, as a table for the terminal and for TensorBoard."""

from rich.table import Table
from torch import nn

from frostline.model.anatomy import Anatomy


def part_rows(network: nn.Module, anatomy: Anatomy) -> list[tuple[str, int, str]]:
    """For each part of the encoder: its name, its parameter count, and trainable, frozen or partly."""
    sizes: dict[str, list[int]] = {group: [0, 0] for group in anatomy.groups}
    for name, parameter in network.named_parameters():
        size = sizes[anatomy.group(name)]
        size[0] += parameter.numel()
        size[1] += parameter.numel() * parameter.requires_grad
    return [(group, total, _state(total, trainable)) for group, (total, trainable) in sizes.items()]


def _state(total: int, trainable: int) -> str:
    if trainable == 0:
        return "frozen"
    return "trainable" if trainable == total else f"partly ({trainable:,} trainable)"


def freeze_table(policy: str, rows: list[tuple[str, int, str]]) -> Table:
    """The parts as a table for the terminal."""
    table = Table("part", title=f"freeze={policy}")
    table.add_column("parameters", justify="right")
    table.add_column("state")
    for group, total, state in rows:
        table.add_row(group, f"{total:,}", state, style="dim" if state == "frozen" else None)
    return table


def markdown(rows: list[tuple[str, int, str]]) -> str:
    """The parts as a Markdown table, as TensorBoard shows text."""
    lines = [f"| {group} | {total:,} | {state} |" for group, total, state in rows]
    return "\n".join(["| part | parameters | state |", "| --- | ---: | --- |", *lines])
