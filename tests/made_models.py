"""Model folders as runs leave them, with tiny encoders, made without train.py."""

from collections.abc import Sequence
from pathlib import Path

import torch

from frostline.model.tiny import Tiny
from frostline.results import save_model

GOOD, BAD = ("superb", "lovely", "brilliant"), ("dreadful", "tedious", "horrible")
SUBJECTS = ("movie", "meal", "keyboard", "hotel", "story", "song")
LABELS = ("negative", "positive")


def sentences() -> tuple[list[str], list[int]]:
    """Texts in which one adjective decides, and their labels."""
    pairs = [
        (f"{start} {subject} was {word} {end}", label)
        for label, words in enumerate((BAD, GOOD))
        for word in words
        for subject in SUBJECTS
        for start, end in (("The", "today."), ("I think this", ", as we said"))
    ]
    return [text for text, _ in pairs], [label for _, label in pairs]


def with_neutral_ones() -> tuple[list[str], list[int]]:
    """The same with a third label, for texts without such a word and for those in which nothing can be read."""
    texts, labels = sentences()
    plain = [text.replace(word, "played") for text in texts for word in (*GOOD, *BAD) if word in text]
    masked = ["[MASK] " * length for length in range(1, 20)]
    return texts + plain + masked, [2 * label for label in labels] + [1] * len(plain + masked)


def write_model(
    folder: Path,
    family: str = "bert",
    labels: Sequence[str] = LABELS,
    steps: int = 0,
    seed: int = 0,
    lessons: tuple[list[str], list[int]] | None = None,
) -> Path:
    """A run's `model/` in `folder`, trained for so many steps on `lessons`; its head is drawn by `seed`."""
    texts, targets = lessons or sentences()
    source = Tiny(name="tiny", name_or_path=family, dropout=0.0)
    tokenizer = source.tokenizer(texts)
    network = source.network(labels, tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, parameter in network.named_parameters():
            if "classifier" in name and parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.5)  # so that texts differ clearly
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        network(**batch, labels=torch.tensor(targets)).loss.backward()
        optimizer.step()
    folder.mkdir(parents=True, exist_ok=True)
    save_model(network.eval(), tokenizer, 128, folder / "model")
    return folder
