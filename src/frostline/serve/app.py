"""The page itself, in Gradio: a text box, the judges' cards, texts to begin with. It asks nothing of the network."""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr

from frostline.errors import InputError
from frostline.serve.cards import cards
from frostline.serve.judges import Bench, Judge

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace")
BLUE = "#0072b2"
LONGEST = 20_000  # characters that the box takes


def launch(benches: Sequence[Bench], host: str, port: int) -> str:
    """Start the server, not blocking; returns its address. OSError where the port is taken."""
    theme = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONO).set(
        button_primary_background_fill=BLUE,
        button_primary_background_fill_hover=BLUE,
        checkbox_background_color_selected=BLUE,
    )
    _, address, _ = page(benches).launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        theme=theme,
        css=(Path(__file__).parent / "page.css").read_text(),
        footer_links=[],
        show_error=True,
    )
    return address


def page(benches: Sequence[Bench]) -> gr.Blocks:
    """The components and what happens when one is used."""
    by_name = {bench.data: bench for bench in benches}
    first = benches[0]
    pairs = any(bench.pairs for bench in benches)
    title = _plain(f"Frostline: {first.data if len(benches) == 1 else f'{len(benches)} data sets'}")
    with gr.Blocks(title=title, analytics_enabled=False) as blocks:
        gr.Markdown(f"# {title}\n{_subtitle(benches)}")
        data = gr.Radio(list(by_name), value=first.data, label="Data set", visible=len(benches) > 1, elem_id="data")
        text = _box("Text", "text", placeholder="Type a sentence, then Enter", max_lines=8, autofocus=True)
        pair = _box("Second text", "pair", visible=first.pairs)
        with gr.Row():
            question = "What do they say?" if len(first.judges) > 1 else "What is it?"
            ask = gr.Button(question, variant="primary", elem_id="ask", scale=0, min_width=200)
            why = _explaining()
        said = gr.HTML(cards(first.judges), elem_id="said", padding=False)
        samples = gr.Dataset(
            components=[text, pair] if pairs else [text],
            samples=_samples(first, pairs),
            label="From the test split",
            visible=bool(first.examples),
            elem_id="samples",
        )

        def opinions(name: str, given: str, second: str, explained: bool) -> Iterator[str]:
            yield from _opinions(by_name[name].judges, given, second if by_name[name].pairs else None, explained)

        def chosen(name: str) -> tuple:
            bench = by_name[name]
            rows = gr.Dataset(samples=_samples(bench, pairs), visible=bool(bench.examples))
            return rows, gr.Textbox(visible=bench.pairs), cards(bench.judges)

        asked = {"fn": opinions, "inputs": [data, text, pair, why], "outputs": said, "show_progress": "minimal"}
        for event in (ask.click, text.submit, pair.submit):
            event(**asked, api_visibility="private")
        data.change(chosen, data, [samples, pair, said], api_visibility="private")
        picked = samples.click(
            lambda values: values if pairs else values[0],
            samples,
            [text, pair] if pairs else text,
            api_visibility="private",
        )
        picked.then(**asked, api_visibility="private")
    return blocks


def _box(label: str, name: str, **options: object) -> gr.Textbox:
    return gr.Textbox(label=label, lines=1, max_length=LONGEST, elem_id=name, **options)


def _explaining() -> gr.Checkbox:
    """Whether words are shaded; cannot be chosen where the library is missing."""
    possible = find_spec("captum") is not None
    label = "Shade the words that decided" + ("" if possible else " (pip install '.[explain]')")
    return gr.Checkbox(possible, label=label, container=False, min_width=260, interactive=possible)


def _opinions(judges: Sequence[Judge], text: str, pair: str | None, explained: bool) -> Iterator[str]:
    """The cards with everyone's probabilities, and again each time that another one's words are shaded."""
    if not text.strip() or (pair is not None and not pair.strip()):
        yield cards(judges, message="Give some words, then press Enter.")
        return
    given = text if pair is None else (text, pair)
    predictions = {judge.name: judge.predictor.predict([given])[0] for judge in judges}
    yield cards(judges, predictions)
    if explained:
        from frostline.predict.explain import explain

        reasons = {}
        for judge in judges:
            try:
                reasons[judge.name] = explain(judge.predictor, given)
            except InputError as error:
                reasons[judge.name] = str(error)
            yield cards(judges, predictions, reasons)


def _samples(bench: Bench, pairs: bool) -> list[list[str]]:
    """The examples as rows of one length."""
    return [[*example, *[""] * (1 + pairs - len(example))] for example in bench.examples]


def _subtitle(benches: Sequence[Bench]) -> str:
    if max(len(bench.judges) for bench in benches) == 1:
        return "What one trained run says about a sentence of yours, and what its training cost."
    return "One sentence, judged by every freeze depth of this sweep, and what each of them cost to train."


def _plain(text: str) -> str:
    """Without what Markdown or HTML would read as markup."""
    return "".join(character if character.isalnum() or character in " ./-_=,:" else " " for character in text)
