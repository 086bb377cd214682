"""The report's page in a real browser: it stays inside a phone, prints, and runs nothing that data smuggles in."""

import html
import re
import shutil
import subprocess

import pytest
from made_cells import write_cell, write_sweep

from frostline.report import assemble as report
from frostline.sweep import ledger

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome is installed here"),
]
# Puts the page into a frame of a given width and writes what it measures into the document.
MEASURE = """<!doctype html><iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>
<pre id="found"></pre><script>onload = () => {{
  const frame = document.querySelector('iframe').contentDocument, root = frame.documentElement.clientWidth;
  const wide = [...frame.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg, .skip')
    && e.getBoundingClientRect().right > root + 1).map(e => e.outerHTML.slice(0, 80));
  const hidden = [...frame.querySelectorAll('.scroll')].filter(e => getComputedStyle(e).overflowX != 'auto').length;
  document.querySelector('#found').textContent =
    JSON.stringify({{over: frame.documentElement.scrollWidth - root, wide: wide, hidden: hidden, title: frame.title}});
}}</script>"""


def browse(tmp_path, page, *options):
    """Headless Chromium's answer to a page's file."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", *options]
    done = subprocess.run([BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture
def page(tmp_path):
    """A report with long names, failed cells and hostile labels."""
    hostile = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    sweep = tmp_path / "sweep"
    write_sweep(sweep, {"none": 0.1, "top2": 0.15, "head": 0.4}, names=(hostile, "positive"))
    write_sweep(sweep, {"none": 0.1, "head": 0.4}, data="a_data_set_with_a_rather_long_name_" * 3)
    write_cell(sweep / ("x" * 110), freeze=hostile, data=hostile)
    failed = sweep / "failed"
    failed.mkdir()
    ledger.record(failed, ledger.FAILED, f"{hostile} {'long' * 60}")
    report.write([sweep], sweep)
    return sweep / "report.html"


def test_nothing_from_data_runs_or_becomes_markup(page, tmp_path):
    dom = browse(tmp_path, page, "--dump-dom")
    assert "<title>How deep to freeze: sweep</title>" in dom
    assert not re.search(r"<(img|script)", dom)
    assert "&lt;script&gt;" in dom


def test_what_a_real_sweep_takes_from_data_stays_text(train, command, tmp_path):
    """Texts, labels and the names of a file, a data set, a model and the sweep's folder that are markup."""
    hostile = "<img src=x onerror=document.title='run'>"
    script = "<script>document.title='run'</script>"
    rows = "".join(
        f'"{script} text {i} {word}",{label}\n'
        for i in range(20)
        for word, label in (("good", hostile), ("bad", script))
    )
    (tmp_path / f"{hostile}.csv").write_text(f"text,label\n{rows}")
    sweep = tmp_path / hostile
    given = [
        f'data.path="{hostile}.csv"',
        f'data.name="{hostile}"',
        f'model.name="{script}"',
        f'hydra.sweep.dir="{sweep}"',
    ]

    outcome = train("-m", *given, "freeze=head,none", "trainer.max_steps=2")
    again = command("report.py", sweep)

    assert (outcome.status, again.status) == (0, 0), outcome.err + again.err
    dom = browse(tmp_path, sweep / "report.html", "--dump-dom")
    assert f"<title>How deep to freeze: {html.escape(hostile, quote=False)}</title>" in dom
    assert not re.search(r"<(img|script)", dom)
    assert "&lt;script&gt;document.title='run'" in dom


@pytest.mark.parametrize("width", [320, 390, 820])
def test_the_page_never_scrolls_sideways(page, tmp_path, width):
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(MEASURE.format(width=width, page=html.escape(page.read_text())))
    found = re.search(r'<pre id="found">(.*?)</pre>', browse(tmp_path, wrapper, "--dump-dom"))[1]
    title = '"title":"How deep to freeze: sweep"'
    assert html.unescape(found) == f'{{"over":0,"wide":[],"hidden":0,{title}}}'


def test_it_prints(page, tmp_path):
    pdf = tmp_path / "report.pdf"
    browse(tmp_path, page, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    assert pdf.read_bytes().startswith(b"%PDF")
