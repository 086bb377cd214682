"""`python predict.py`: labels for a few texts on the terminal, or for a file's rows in another file."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.errors import InputError
from frostline.startup import quick_imports

if TYPE_CHECKING:
    from frostline.predict.label import Labelled
    from frostline.predict.predictor import Prediction, Predictor

EXAMPLES = """
python predict.py outputs/2026-11-23/15-00-00 "This is a horrible movie" "Not bad at all"
python predict.py outputs/2026-11-23/15-00-00 "This is a horrible movie" --explain
python predict.py multirun/2026-11-23/15-00-00 --file reviews.csv --out labelled.csv
python predict.py outputs/2026-11-23/15-00-00 --file pairs.parquet --out nli.jsonl --text-column premise,hypothesis
cat reviews.txt | python predict.py outputs/2026-11-23/15-00-00 - --json
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    cli = argparse.ArgumentParser(
        prog="predict.py",
        description="Label texts with a trained run: the label, and each label's logit and probability.",
        epilog=f"examples:{EXAMPLES.rstrip()}".replace("\n", "\n  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_argument(
        "folder", type=Path, metavar="DIR", help="a run folder, a model/ folder, or a sweep's: its best run"
    )
    cli.add_argument("texts", nargs="*", metavar="TEXT", help="texts, each in quotes; - reads a text a line")
    cli.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1, mps")
    shown = cli.add_argument_group("texts on the terminal")
    shown.add_argument("--pair", metavar="TEXT", help="for a model of pairs: the second text of each TEXT")
    shown.add_argument("--explain", action="store_true", help="which words decided (extra: explain)")
    shown.add_argument("--json", action="store_true", help="an object a line, for other programs")
    files = cli.add_argument_group("files of any size")
    files.add_argument("--file", metavar="FILE", help="csv, tsv, jsonl or parquet; - for a text a line")
    files.add_argument("--out", type=Path, metavar="FILE", help="where to: csv, tsv, jsonl or parquet, by its name")
    files.add_argument("--text-column", default="text", metavar="NAME[,NAME]", help="default: text; two for pairs")
    files.add_argument("--keep", metavar="NAME,…", help="columns to take over into the output (default: all)")
    files.add_argument("--resume", action="store_true", help="go on where an interrupted call stopped")
    files.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    options = cli.parse_args(arguments)
    if options.texts == ["-"] and options.file is None:
        options.texts, options.file = [], "-"
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry: exit status 1 and one line where something given is wrong."""
    options = parse(arguments)
    try:
        _check(options)
        if options.out is None:
            _show(options)
        else:
            _label(options)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"Stopped{_left(options)}", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _left(options: argparse.Namespace) -> str:
    """Where an interrupted call's work is."""
    if options.out is None:
        return ""
    hint = "" if options.file == "-" else "go on with --resume; "
    return f": {hint}what is done is in {options.out}.partial"


def _check(options: argparse.Namespace) -> None:
    """InputError for options that do not go together."""
    if bool(options.texts) == bool(options.file):
        both = "both texts and --file are given" if options.texts else "nothing to label"
        raise InputError(f"{both}: give texts in quotes, or --file FILE --out FILE, or - for standard input")
    if options.file not in (None, "-") and options.out is None:
        raise InputError(f"--file {options.file} needs --out FILE: its name ends in .csv, .tsv, .jsonl or .parquet")
    if options.out is not None and not options.file:
        raise InputError(f"--out {options.out} is for --file, or - for standard input: a text given is printed")
    for option in ("explain", "json", "pair"):
        if options.out is not None and getattr(options, option):
            raise InputError(f"--{option} is for texts on the terminal: leave it out, or leave out --out")
    if options.resume and (options.out is None or options.file == "-"):
        raise InputError("--resume is for --file FILE --out FILE: standard input cannot be read again")
    for i, text in enumerate(options.texts, 1):
        _check_text(f"text {i}", text)
    if options.pair is not None:
        _check_text("--pair", options.pair)


def _check_text(what: str, text: str) -> None:
    if not text.strip():
        raise InputError(f"{what} is empty: give some words")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} is not UTF-8: convert it") from None


def _predictor(options: argparse.Namespace) -> "Predictor":
    with quick_imports():
        from frostline import memory
        from frostline.predict.predictor import Predictor

    memory.prepare()
    predictor = Predictor(options.folder, options.device)
    if predictor.found.choice:
        print(predictor.found.choice, file=sys.stderr)
    return predictor


def _show(options: argparse.Namespace) -> None:
    """Print each text's prediction."""
    from frostline.predict.label import CHUNK

    if options.explain:
        from frostline.predict.explain import require_captum

        require_captum()
    predictor = _predictor(options)
    texts = iter(options.texts) if options.texts else filter(str.strip, _lines())
    size = 1 if not options.texts and sys.stdin.isatty() else CHUNK
    first = True
    while given := list(islice(texts, size)):
        pairs = [text if options.pair is None else (text, options.pair) for text in given]
        for block in _blocks(predictor, pairs, options):
            print(block if first or options.json else f"\n{block}", flush=size == 1)
            first = False


def _blocks(predictor: "Predictor", texts: Sequence, options: argparse.Namespace) -> Iterator[str]:
    """What is printed for each text."""
    from frostline.predict.explain import explain
    from frostline.predict.label import answers
    from frostline.predict.shading import for_terminal

    found = answers(predictor, texts) if options.json else predictor.predict(texts)
    for text, answer in zip(texts, found, strict=True):
        why = explain(predictor, text) if options.explain else None
        if options.json:
            named = dict(zip(("text", "text_pair"), [text] if isinstance(text, str) else text, strict=False))
            words = {"words": [[word, round(share, 4)] for word, share in why.words]} if why else {}
            yield json.dumps(named | answer | words, ensure_ascii=False)
        else:
            yield f"{shown(answer)}\n{for_terminal(why)}" if why else shown(answer)


def shown(prediction: "Prediction") -> str:
    """The prediction as a few lines for the terminal."""
    width = max(len(label) for label in prediction.logits)
    rows = [
        f"  {label:<{width}}  logit {logit:+8.4f}   probability {prediction.probabilities[label]:.4f}"
        for label, logit in prediction.logits.items()
    ]
    text = prediction.text if isinstance(prediction.text, str) else " | ".join(prediction.text)
    return "\n".join([text, f"  → {prediction.label}", *rows])


def _lines() -> Iterator[str]:
    """Standard input's lines; InputError where they are not UTF-8."""
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    try:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is not UTF-8: {error}: convert it") from error


def _label(options: argparse.Namespace) -> None:
    """Write --out from --file."""
    from frostline.predict import output, rows

    if options.resume and options.out.exists() and not output.journal_of(options.out).exists():
        print(f"{options.out} is complete: nothing is left to do", file=sys.stderr)
        return
    output.check(options.out, options.resume, options.overwrite)
    columns = _names(options.text_column)
    if len(columns) not in (1, 2):
        raise InputError(f"--text-column {options.text_column}: give one column, or two for pairs: premise,hypothesis")
    source = rows.from_lines(_lines(), columns[0]) if options.file == "-" else rows.from_file(Path(options.file))
    rows.require_columns(source, columns, "--text-column")
    keep = source.columns if options.keep is None else _names(options.keep)
    rows.require_columns(source, keep, "--keep")
    from frostline.predict.label import label

    done = label(_predictor(options), source, options.out, columns, keep, options.resume)
    print(_summary(done, options.out))


def _summary(done: "Labelled", out: Path) -> str:
    speed = f"{done.fresh / done.seconds:,.0f} texts/s" if done.seconds else ""
    before = f" ({done.rows - done.fresh:,} of them before)" if done.fresh < done.rows else ""
    blank = ""
    if done.blank:
        blank = f" Without a text and so without a prediction: {len(done.blank):,}, the first is row {done.blank[0]:,}."
    return f"{done.rows:,} rows{before} in {out}, {done.seconds:.1f} s, {speed}.{blank}"


def _names(given: str) -> list[str]:
    return [name for part in given.split(",") if (name := part.strip())]
