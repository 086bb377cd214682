"""report.py: what it prints and writes from run folders, half-way, over several sweeps, and when they are broken."""

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_cells import write_cell, write_sweep
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostline.errors import InputError
from frostline.report import assemble as report
from frostline.sweep import ledger

HOSTILE = "<script>alert('x')</script>"
DEPTHS = {"none": 0.1, "top2": 0.13, "head": 0.4}


@pytest.fixture
def sweep(tmp_path):
    """Three depths, two data sets, three seeds."""
    write_sweep(tmp_path / "sweep", DEPTHS)
    return write_sweep(tmp_path / "sweep", DEPTHS, data="topics", names=("a", "b", "c"))


def rows_of(text):
    """The cells of Markdown tables, header lines included."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


def test_table_and_answer_are_printed_page_csv_and_events_written(sweep, command):
    outcome = command("report.py", sweep)
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert re.search(r"^ none +2e-5 +3 +0\.\d{3} ± 0\.\d{3} ", outcome.out, re.M)
    assert len(re.findall(r"^On (reviews|topics) (it|train) ", outcome.out, re.M)) == 2
    assert f"The page: {sweep / 'report.html'}" in outcome.out
    assert {entry.name for entry in sweep.iterdir() if "=" not in entry.name} == {"report", "report.html", "sweep.csv"}


def test_neither_help_nor_the_report_wait_for_torch(sweep):
    code = (
        "import sys; from frostline.report.assemble import main\n"
        f"main([{str(sweep)!r}]); assert not {{'torch', 'transformers'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    code = (
        "import sys\nfrom frostline.report.assemble import parse\ntry: parse(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'pyarrow', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_table_holds_means_intervals_and_ratios(tmp_path, command):
    for freeze, seed, f1, fit, trunk in (
        ("none", 1, 0.8, 20.0, 0.0), ("none", 2, 0.9, 30.0, 0.0), ("head", 1, 0.6, 1.0, 9.0),
        ("head", 2, 0.7, 1.0, 0.0),
    ):  # fmt: skip
        timing = {"fit_seconds": fit, "trunk_seconds": trunk, "total_seconds": 40.0}
        metrics = {"test/f1": f1, "test/accuracy": f1, "val/f1": f1}
        write_cell(tmp_path / f"{freeze}{seed}", freeze, seed, metrics=metrics, timing=timing)
    head, _, none, trunk = rows_of(command("report.py", tmp_path, "--format", "markdown").out)
    assert head == [
        "freeze", "lr", "seeds", "F1", "accuracy", "kept", "fit s", "trunk s", "speed-up", "with trunk", "trainable",
        "memory",
    ]  # fmt: skip
    half = 12.706 * 0.05  # Student's t with one degree of freedom × standard error
    assert none[:8] == ["none", "2e-5", "2", f"0.850 ± {half:.3f}", f"0.850 ± {half:.3f}", "100.0 %", "25.0", "0.0"]
    # Training alone is 25 times as fast; with 9 s of trunk shared by two cells, 25 / (1 + 4.5).
    assert trunk[3:] == [
        f"0.650 ± {half:.3f}", f"0.650 ± {half:.3f}", "76.5 %", "1.0", "9.0", "25×", "4.5×", "770", "1.2 GB",
    ]  # fmt: skip


def test_half_way_it_says_what_is_missing(sweep, command):
    running, failed, killed = sorted(ledger.cells(sweep))[:3]
    for folder in (running, failed, killed):
        (folder / "metrics.json").unlink()
    ledger.record(running, ledger.RUNNING)
    ledger.record(failed, ledger.FAILED, "the loss is nan at step 3: lower optimizer.lr (it is 9.0)")
    ledger.record(killed, ledger.RUNNING)  # but nobody holds its folder any more
    with ledger.claim(running, ledger.read_json(running / ledger.STATE).get("id"), "hydra.sweep.dir"):
        outcome = command("report.py", sweep)
    assert outcome.status == 0
    assert (
        "15 of 18 cells have results; 1 failed, 1 interrupted, 1 running. What they would add is missing" in outcome.out
    )
    page = (sweep / "report.html").read_text()
    assert f"{failed.name}: the loss is nan at step 3" in page


def test_several_sweeps_make_one_report(tmp_path, command):
    write_sweep(tmp_path / "one", {"none": 0.1}, seeds=[1, 2])
    write_sweep(tmp_path / "two", {"none": 0.1}, seeds=[3])
    write_sweep(tmp_path / "two", {"head": 0.4}, seeds=[1, 2, 3])
    outcome = command("report.py", tmp_path / "one", tmp_path / "two", "--out", "both", "--format", "html")
    assert outcome.status == 0, outcome.err
    assert re.search(r"^ none +2e-5 +3 ", outcome.out, re.M)
    assert (tmp_path / "both" / "report.html").exists()
    assert not (tmp_path / "one" / "report.html").exists()
    # The folder that holds both, and one of them named twice, are the same report.
    again = command("report.py", tmp_path, tmp_path / "one", "--out", "elsewhere")
    assert again.out.replace("elsewhere", "both") == outcome.out


def test_of_a_cell_that_was_run_twice_the_later_counts(tmp_path, command):
    for name, f1, time in (("late", 0.9, "2026-01-02T00:00:00"), ("early", 0.5, "2026-01-01T00:00:00")):
        folder = write_cell(tmp_path / name, seed=7, metrics={"test/f1": f1, "test/accuracy": f1, "val/f1": f1})
        ledger.write_json(folder / "state.json", {"state": "finished", "reason": None, "time": time})
    outcome = command("report.py", tmp_path)
    assert f"{tmp_path}/early was run again: {tmp_path}/late counts in its place." in outcome.out
    assert re.search(r"^ none +2e-5 +1 +0\.900 ", outcome.out, re.M)


def test_a_cell_is_the_same_by_its_content_hash(tmp_path, command):
    write_cell(tmp_path / "a", seed=1, id="f00", cell="optimizer.weight_decay=0.01")
    write_cell(tmp_path / "b", seed=1, id="f00", cell="")
    write_cell(tmp_path / "c", seed=2, id="f01", cell="")
    outcome = command("report.py", tmp_path)
    assert outcome.out.count("was run again") == 1
    assert re.search(r"^ none +2e-5 +2 ", outcome.out, re.M)


def test_one_learning_rate_for_all_depths_is_warned_of(tmp_path, command):
    write_sweep(tmp_path / "same", DEPTHS)
    text = command("report.py", tmp_path / "same").out
    assert "all depths were trained at one learning rate, 2e-5" in text
    assert "experiment=depth_study compares each depth at its own best rate." in text
    write_sweep(tmp_path / "own", {"none": 0.1})
    write_sweep(tmp_path / "own", {"head": 0.4}, lr=1e-3)
    assert "one learning rate" not in command("report.py", tmp_path / "own").out
    write_sweep(tmp_path / "single", {"none": 0.1})
    assert "one learning rate" not in command("report.py", tmp_path / "single").out


def test_a_depths_setting_is_chosen_by_validation_never_by_test(tmp_path, command):
    for seed in (1, 2):
        for lr, val, test in ((2e-5, 0.6, 0.9), (1e-3, 0.7, 0.5)):
            metrics = {"val/f1": val, "test/f1": test, "test/accuracy": test}
            write_cell(tmp_path / f"{lr}{seed}", "head", seed, lr=lr, metrics=metrics)
    text = command("report.py", tmp_path).out
    assert re.search(r"^ head +1e-3 +2 +0\.500 ", text, re.M)
    assert (
        "reviews, freeze=head: 2 settings were run; shown is the one with the best mean validation F1 "
        "(lr 1e-3, batch size 16, max length 128)." in text
    )


def test_settings_that_only_the_cells_name_tells_are_kept_apart(tmp_path, command):
    for decay, val in (("0.1", 0.6), ("0.01", 0.7)):
        metrics = {"val/f1": val, "test/f1": val, "test/accuracy": val}
        write_cell(tmp_path / decay, cell=f"data=[a,b],optimizer.weight_decay={decay},seed=1", metrics=metrics)
    assert "optimizer.weight_decay 0.01)" in command("report.py", tmp_path).out


def test_a_grid_is_listed_apart_and_is_no_part_of_the_table(tmp_path, command):
    for lr, val in ((2e-5, 0.5), (1e-3, 0.7)):
        write_cell(tmp_path / f"grid{lr}", "head", lr=lr, tested=False, val_f1=val)
        write_cell(tmp_path / f"gridnone{lr}", "none", lr=lr, tested=False, val_f1=val)
    write_cell(tmp_path / "final", "head", lr=1e-3)
    text = command("report.py", tmp_path).out
    assert re.search(r"^ head +1e-3 +1 ", text, re.M)
    assert not re.search(r"^ none ", text, re.M)
    assert "reviews: no tested run yet for freeze=none." in text
    assert "one learning rate" not in text
    page = (tmp_path / "report.html").read_text()
    rates = page[page.index('id="rates"') : page.index('id="cells"')]
    assert re.sub(r"\s+", " ", re.sub("<.*?>", " ", rates)).count("0.700 best") == 2


def test_patterns_are_depths_of_their_own(tmp_path, command):
    for i, train in enumerate(("[LayerNorm,classifier]", "[classifier]")):
        write_cell(tmp_path / str(i), "pattern", cell=f"freeze.train={train},seed=1")
    text = command("report.py", tmp_path).out
    assert "pattern [LayerNorm,classifier]" in text
    assert "pattern [classifier]" in text


def test_csv_has_a_row_for_each_cell_with_results(sweep, command):
    written = list(csv.DictReader(io.StringIO(command("report.py", sweep, "--format", "csv").out)))
    assert len(written) == 18
    for row in written:
        found = json.loads((Path(row["folder"]) / "metrics.json").read_text())
        assert float(row["test/f1"]) == found["metrics"]["test/f1"]
        assert int(row["parameters/trainable"]) == found["parameters"]["trainable"]
        assert "history" not in row
    assert not (sweep / "sweep.csv").exists()


def test_markdown_shows_names_as_they_are(tmp_path, command):
    write_cell(tmp_path / "a", data="a|b_c*d", cell="")
    text = command("report.py", tmp_path, "--format", "markdown").out
    assert r"a\|b\_c\*d" in text
    assert HOSTILE not in text


def test_latex_is_escaped_and_uses_booktabs(tmp_path, command):
    write_cell(tmp_path / "a", data="rotten_tomatoes 50% & #1 {~^$\\}", cell="")
    text = command("report.py", tmp_path, "--format", "latex", "--out", "table.tex")
    assert text.status == 0, text.err
    written = (tmp_path / "table.tex").read_text()
    name = r"rotten\_tomatoes 50\% \& \#1 \{\textasciitilde{}\textasciicircum{}\$\textbackslash{}\}"
    assert f"\\multicolumn{{12}}{{l}}{{{name}}} \\\\" in written
    assert written.index(r"\toprule") < written.index(r"\midrule") < written.index(r"\bottomrule")
    body = written[written.index(r"\toprule") :]
    assert not re.search(r"(?<!\\)[%#_]", body)
    for line in (line for line in body.splitlines() if re.match(r" +none ", line)):
        assert len(re.findall(r"(?<!\\)&", line)) == 11


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "its metrics.json cannot be read"),
        ("[]", "it is not an object"),
        ("\ud800", "its metrics.json cannot be read"),
        ('{"data": 3, "model": "m", "freeze": "none", "metrics": {}}', "no data in it"),
        ('{"data": "d", "model": "m", "freeze": "none"}', "no metrics in it"),
        ('{"data": "d", "model": "m", "freeze": "none", "metrics": {"test/f1": NaN}}', "its test/f1 is nan"),
        ("[" * 100_000, "its metrics.json cannot be read"),
    ],
)
def test_a_broken_metrics_file_is_named_and_left_out(sweep, command, content, message):
    broken = ledger.cells(sweep)[0]
    (broken / "metrics.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    outcome = command("report.py", sweep)
    assert outcome.status == 0
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"{broken}: left out, ")
    assert message in line
    assert "Traceback" not in outcome.out


@pytest.mark.parametrize("spoil", ["cut", "other columns", "unknown label", "no rows"])
def test_broken_predictions_are_named_and_not_paired(tmp_path, command, spoil):
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = write_sweep(tmp_path, {"none": 0.1, "head": 0.4}, seeds=[1]) / "data=reviews,freeze=head,seed=1"
    file = broken / "predictions.parquet"
    table = pq.read_table(file)
    if spoil == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif spoil == "other columns":
        pq.write_table(table.drop_columns(["label"]), file)
    elif spoil == "unknown label":
        pq.write_table(table.set_column(1, "label", pa.array(["never heard of"] * len(table))), file)
    else:
        pq.write_table(table.slice(0, 0), file)
    outcome = command("report.py", tmp_path)
    assert outcome.status == 0
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"{broken}: not compared text by text, its predictions.parquet cannot be read (")
    assert re.search(r"^ head ", outcome.out, re.M)  # its means are still shown


@pytest.mark.parametrize("results", [{}, {"timing": None, "memory": 3, "parameters": "x", "seed": [1], "lr": "fast"}])
def test_results_that_lack_figures_are_shown_without_them(tmp_path, command, results):
    folder = tmp_path / "a"
    folder.mkdir()
    metrics = {"data": "d", "model": "m", "freeze": "none", "metrics": {"test/f1": 0.5}, **results}
    ledger.write_json(folder / "metrics.json", metrics)  # and no state.json: a run folder that was copied
    outcome = command("report.py", tmp_path)
    assert outcome.status == 0, outcome.err
    assert re.search(r"^ none +– +1 +0\.500 +– ", outcome.out, re.M)


def test_where_there_is_nothing_to_report_a_line_says_why(tmp_path, command):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, state, reason in (("run", ledger.RUNNING, None), ("fail", ledger.FAILED, "the loss is nan")):
        (tmp_path / "unfinished" / name).mkdir(parents=True)
        ledger.record(tmp_path / "unfinished" / name, state, reason)
    for arguments, message in [
        (["nowhere"], "nowhere does not exist: give a sweep's folder, such as multirun/2026-11-23/15-00-00"),
        (["empty"], "empty holds no run (no state.json, no metrics.json): give a sweep's folder"),
        (["file"], "file is not a folder: give a sweep's folder"),
        (["unfinished"], "none of 2 cells has results yet: 1 failed, 1 interrupted (fail: the loss is nan)"),
    ]:
        outcome = command("report.py", *arguments)
        assert outcome.status == 1
        assert outcome.out == ""
        assert len(outcome.err.splitlines()) == 1
        assert message in outcome.err
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_folder_among_others_is_told_and_the_rest_reported(sweep, command, tmp_path):
    outcome = command("report.py", "nowhere", sweep)
    assert outcome.status == 0
    assert outcome.err.startswith("nowhere does not exist")
    assert (sweep / "report.html").exists()
    assert not (tmp_path / "nowhere").exists()


def test_a_place_that_cannot_be_written_is_one_line(sweep, command, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (
        ["--out", "file"],
        ["--out", "file/x.md", "--format", "markdown"],
        ["--out", "no/x", "--format", "csv"],
    ):
        outcome = command("report.py", sweep, *arguments)
        assert outcome.status == 1
        assert len(outcome.err.splitlines()) == 1
        assert "cannot be written" in outcome.err
    assert command("report.py", sweep, "--margin", "2").err.startswith("margin=2: give a difference in F1")
    assert not list(tmp_path.glob(".*"))


def test_the_sweep_level_run_is_read_by_tensorboards_own_reader(sweep, command):
    command("report.py", sweep)
    reader = EventAccumulator(str(sweep / "report"), size_guidance={"images": 0, "tensors": 0})
    reader.Reload()
    images = reader.Tags()["images"]
    assert "report/F1 by depth and data set" in images
    assert {f"report/{data}/Confusion matrix" for data in ("reviews", "topics")} <= set(images)
    shown = reader.Images(images[0])[0]
    assert shown.encoded_image_string.startswith(b"\x89PNG")
    assert shown.width > 300
    texts = {tag: reader.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in reader.Tags()["tensors"]}
    assert "On reviews" in texts["report/answer"]
    assert ["none", "2e-5", "3"] in [row[:3] for row in rows_of(texts["report/table"])]


def test_a_report_written_again_takes_the_place_of_the_first(sweep, command):
    def files():
        return sorted(str(file.relative_to(sweep)) for file in sweep.rglob("*") if "=" not in str(file))

    command("report.py", sweep)
    page, (count, cells) = (sweep / "report.html").read_bytes(), (len(files()), ledger.cells(sweep))
    (sweep / "report" / "notes.txt").write_text("somebody's own")
    assert command("report.py", sweep).status == 0
    assert (sweep / "report.html").read_bytes() == page
    assert len(files()) == count + 1
    assert ledger.cells(sweep) == cells


def test_a_failure_on_the_way_leaves_the_old_page(sweep, monkeypatch):
    report.write([sweep], sweep)
    before = (sweep / "report.html").read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="No space left on device"):
        report.write([sweep], sweep)
    assert (sweep / "report.html").read_bytes() == before
    assert not list(sweep.glob(".*"))


class Page(HTMLParser):
    """A page's tags, ids and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.targets, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("aria-labelledby", "href"):
                self.targets += [target.removeprefix("#") for target in value.split()]

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_labelled_and_asks_nothing_of_the_network(sweep):
    text = report.write([sweep], sweep).html()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)
    assert not re.search(r"(https?:)?//\w", text)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert [tag for tag, _ in page.tags if tag in ("h1", "main", "header")] == ["header", "h1", "main"]
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "svg":
            assert attributes["role"] == "img"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0"
    count = {
        tag: sum(found == tag for found, _ in page.tags) for tag in ("svg", "figure", "details", "table", "caption")
    }
    assert count["svg"] == count["figure"] == count["details"] == 7
    assert count["table"] == count["caption"]


def test_pictures_are_coloured_by_the_page_and_keep_text_as_text(sweep):
    for picture in report.build([sweep]).pictures:
        root = ET.fromstring(picture.svg)
        assert not re.findall(r"#[0-9a-f]{6}\b", picture.svg), picture.key
        words = {element.text for element in root.iter("text")}
        assert words & {"none", "negative", "positive", "a", "epoch"}
        assert [child.tag for child in root][:2] == ["title", "desc"]


def luminance(colour):
    """Relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mixed(front, back, alpha):
    pairs = [(int(front[i : i + 2], 16), int(back[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(alpha * a + (1 - alpha) * b):02x}" for a, b in pairs)


def test_everything_can_be_read_in_light_dark_and_print():
    css = (Path(report.__file__).with_name("page.css")).read_text()
    modes = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
    assert len(modes) == 3
    for mode in modes:
        colours = {name: "#" + "".join(c * 2 for c in v[1:]) if len(v) == 4 else v for name, v in mode.items()}
        for text in ("ink", "faint", "accent", "warm"):
            assert contrast(colours[text], colours["paper"]) >= 4.5, (text, colours)
        for text in ("ink", "accent", "warm"):
            assert contrast(colours[text], colours["raised"]) >= 4.5, (text, colours)
        assert contrast(colours["ink"], mixed(colours["heat"], colours["paper"], 0.5)) >= 4.5
        for line in ("heat", *(name for name in colours if name.startswith("series"))):
            assert contrast(colours[line], colours["paper"]) >= 3, (line, colours)


def test_whatever_comes_from_data_is_escaped(tmp_path):
    name = f"{HOSTILE}\x00 $x_1$ \\frac [bold] {{{{ 7 * 7 }}}}"
    write_sweep(tmp_path / "s", {"none": 0.1, "top2": 0.2}, names=(HOSTILE, '"quote" & $math', "ok"), data="plain")
    for seed in (1, 2):
        write_cell(tmp_path / "s" / f"x{seed}", "none", seed, data=name, model=name)
        write_cell(tmp_path / "s" / f"y{seed}", name, seed, data=name, model=name, versions={name: name})
    failed = tmp_path / "s" / "<b>failed&amp;"
    failed.mkdir()
    ledger.record(failed, ledger.FAILED, f"{HOSTILE}\nsecond line")
    found = report.write([tmp_path / "s"], tmp_path / "s")
    page = Page(found.html())
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "[bold]" in found.text()  # nor is it rich's markup
    assert "<script" not in found.markdown()


def test_curves_confusion_and_grid_are_left_out_where_there_is_nothing_to_show(tmp_path):
    write_cell(tmp_path / "a", history=[{"epoch": 1, "val/f1": 0.5}])
    write_cell(tmp_path / "b", "head", history="broken")
    titles = {picture.title for picture in report.build([tmp_path]).pictures}
    assert not any("while training" in title for title in titles)
    assert "Learning rates tried" not in report.build([tmp_path]).html()


def test_the_pareto_front_holds_what_nothing_beats(tmp_path):
    from frostline.report.pictures import front

    for freeze, f1, fit in (("none", 0.8, 30), ("top4", 0.79, 40), ("top2", 0.75, 9), ("head", 0.75, 10)):
        timing = {"fit_seconds": fit, "trunk_seconds": 0.0}
        write_cell(tmp_path / freeze, freeze, metrics={"test/f1": f1, "val/f1": f1}, timing=timing)
    depths = report.build([tmp_path]).groups[0].depths
    assert [depth.name for depth in front(depths)] == ["top2", "none"]


def test_a_real_sweep_is_reported_as_it_was_run(train, command, tmp_path):
    assert train("-m", "freeze=none,head", "seed=1,2", "hydra.sweep.dir=sweep").status == 0
    outcome = command("report.py", "sweep", "--out", "out")
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert re.search(r"^ head +2e-5 +2 ", outcome.out, re.M)
    found = report.build([tmp_path / "sweep"])
    for depth in found.groups[0].depths:
        for cell in depth.cells:
            kept = found.predictions[cell.folder]
            ours = report_f1(kept)
            assert ours == pytest.approx(cell.metric("test/f1"), abs=1e-6)


def report_f1(kept):
    from frostline.report import bootstrap

    return bootstrap.f1(np.ones((1, len(kept.labels))), kept.labels, kept.predicted[None], len(kept.names))[0, 0]
