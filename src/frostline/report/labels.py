"""Names beside the points of a plot, where they cover neither each other nor a point."""

from collections.abc import Sequence

from matplotlib.axes import Axes

LETTER, LINE = 5.6, 11.0  # a letter's mean width and a line's height in points, at the pictures' font size
Box = tuple[float, float, float, float]


def placed(plot: Axes, points: Sequence[tuple[float, float, str]], beside: bool = False) -> None:
    """Write each (x, y, name) next to its point; with `beside`, all on the right, pushed apart where they meet.

    What the plot holds is to be drawn before: its limits are settled here.
    """
    plot.set(xlim=plot.get_xlim(), ylim=plot.get_ylim())
    scale = 72 / plot.figure.dpi
    spots = [plot.transData.transform((x, y)) * scale for x, y, _ in points]
    frame = tuple(edge * scale for edge in plot.get_window_extent().extents)
    offsets = _beside(spots, frame[3]) if beside else _around(spots, [name for *_, name in points], frame)
    for (x, y, name), (right, up, side) in zip(points, offsets, strict=True):
        plot.annotate(
            name, (x, y), (right, up), textcoords="offset points", ha=side, va="center", annotation_clip=False
        )  # fmt: skip


def _beside(spots: Sequence, top: float) -> list[tuple[float, float, str]]:
    """Offsets to the right, at least a line apart: pushed up from the lowest, then down again under the frame's top."""
    order = sorted(range(len(spots)), key=lambda i: spots[i][1])
    heights = [float(spots[i][1]) for i in order]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + LINE)
    ceiling = top
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], ceiling)
        ceiling = heights[i] - LINE
    offsets = {i: (7.0, height - spots[i][1], "left") for i, height in zip(order, heights, strict=True)}
    return [offsets[i] for i in range(len(spots))]


def _around(spots: Sequence, names: Sequence[str], frame: Box) -> list[tuple[float, float, str]]:
    """For each point the first of eight places whose text meets no other text and no point, and stays inside."""
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    places = [(8, 8, "left"), (8, -9, "left"), (-8, 8, "right"), (-8, -9, "right"), (9, 0, "left"), (-9, 0, "right"),
              (8, 20, "left"), (8, -21, "left")]  # fmt: skip
    chosen = []
    for (x, y), name in zip(spots, names, strict=True):
        boxes = [_box(x, y, place, name) for place in places]
        free = [i for i, box in enumerate(boxes) if not any(_meet(box, other) for other in taken)]
        fitting = [i for i in free if _within(boxes[i], frame)]
        best = (fitting or free or [0])[0]
        taken.append(boxes[best])
        chosen.append(places[best])
    return chosen


def _box(x: float, y: float, place: tuple[float, float, str], name: str) -> Box:
    right, up, side = place
    width = LETTER * len(name)
    start = x + right - (width if side == "right" else 0)
    return start, y + up - LINE / 2, start + width, y + up + LINE / 2


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
