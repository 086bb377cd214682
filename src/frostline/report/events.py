"""The report as a TensorBoard run of its own: the answer and the table as text, the pictures as images."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from frostline.report.drawing import Picture, png_size

FOLDER = "report"
MARK = "events.out.tfevents."


def write(sweep: Path, texts: Mapping[str, str], pictures: Sequence[Picture]) -> None:
    """Put one event file into `sweep`/report, in the place of an earlier one. Needs TensorBoard, but no torch."""
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    partial = sweep / f".{FOLDER}.{os.getpid()}"
    try:
        writer = EventFileWriter(str(partial))
        for event in _events(texts, pictures):
            writer.add_event(event)
        writer.close()
        _take_place(partial, sweep / FOLDER)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _take_place(partial: Path, folder: Path) -> None:
    """Move the event file in, then remove earlier ones; whatever else lies in `folder` stays."""
    folder.mkdir(exist_ok=True)
    new = [file.replace(folder / file.name) for file in partial.glob(f"{MARK}*")]
    for file in set(folder.glob(f"{MARK}*")) - set(new):
        file.unlink()


def _events(texts: Mapping[str, str], pictures: Sequence[Picture]) -> list:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text.summary_v2 import text_pb

    now = time.time()
    summaries = [text_pb(f"report/{tag}", text) for tag, text in texts.items()]
    for picture in pictures:
        width, height = png_size(picture.png)
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=picture.png)
        summaries.append(
            Summary(
                value=[Summary.Value(tag="/".join(filter(None, ["report", picture.about, picture.title])), image=image)]
            )
        )
    return [Event(wall_time=now, step=0, summary=summary) for summary in summaries]
