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


def launch(benches: Sequence[Bench], title: str, host: str, port: int) -> str:
    """Start the server, not blocking; returns its address. OSError where the port is taken."""
    theme = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONO).set(
        button_primary_background_fill=BLUE,
        button_primary_background_fill_hover=BLUE,
        checkbox_background_color_selected=BLUE,
    )
    _, address, _ = page(benches, title).launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False,
        theme=theme, css=(Path(__file__).parent / "page.css").read_text(), footer_links=[], show_error=True,
    )  # fmt: skip
    return address


def page(benches: Sequence[Bench], title: str) -> gr.Blocks:
    """The components and what happens when one is used."""
    by_name = {bench.data: bench for bench in benches}
    first = benches[0]
    with gr.Blocks(title=title, analytics_enabled=False) as blocks:
        gr.Markdown(f"# {_plain(title)}\n{_subtitle(benches)}")
        data = gr.Radio(list(by_name), value=first.data, label="Data set", visible=len(benches) > 1)
        text = gr.Textbox(label="Text", placeholder="Type a sentence, then Enter", lines=1, max_lines=8,
                          max_length=LONGEST, submit_btn=False, autofocus=True, elem_id="text")  # fmt: skip
        pair = gr.Textbox(label="Second text", visible=first.pairs, lines=1, max_length=LONGEST, elem_id="pair")
        with gr.Row():
            ask = gr.Button("What do they say?" if len(first.judges) > 1 else "What is it?", variant="primary",
                            elem_id="ask", scale=0, min_width=200)  # fmt: skip
            why = gr.Checkbox(find_spec("captum") is not None, label="Shade the words that decided", container=False,
                              interactive=find_spec("captum") is not None)  # fmt: skip
        said = gr.HTML(cards(first.judges), elem_id="said", padding=False)
        samples = gr.Dataset(components=[text, pair] if first.pairs else [text], samples=_samples(first),
                             label="From the test split", visible=bool(first.examples), elem_id="samples")  # fmt: skip

        def opinions(name: str, given: str, second: str, explained: bool) -> Iterator[str]:
            yield from _opinions(by_name[name].judges, given, second if by_name[name].pairs else None, explained)

        def chosen(name: str) -> tuple:
            bench = by_name[name]
            return (
                gr.Dataset(samples=_samples(bench), visible=bool(bench.examples)),
                gr.Textbox(visible=bench.pairs),
                cards(bench.judges),
            )

        def sample(values: list[str]) -> tuple[str, str]:
            return values[0], values[1] if len(values) > 1 else ""

        asked = {"fn": opinions, "inputs": [data, text, pair, why], "outputs": said, "show_progress": "minimal"}
        for event in (ask.click, text.submit, pair.submit):
            event(**asked, api_visibility="private")
        data.change(chosen, data, [samples, pair, said], api_visibility="private")
        samples.click(sample, samples, [text, pair], api_visibility="private").then(**asked, api_visibility="private")
    return blocks


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


def _samples(bench: Bench) -> list[list[str]]:
    return [list(example) for example in bench.examples]


def _subtitle(benches: Sequence[Bench]) -> str:
    if max(len(bench.judges) for bench in benches) == 1:
        return "One trained run. What it was trained at such a cost to say about a sentence of yours:"
    return "One sentence, judged by every freeze depth of this sweep, and what each of them cost to train."


def _plain(text: str) -> str:
    """Without what Markdown or HTML would read as markup."""
    return "".join(character if character.isalnum() or character in " ./-_=,:" else " " for character in text)
