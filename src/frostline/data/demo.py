"""The demo data sets: texts made by the project's own seeded generator, so that nothing needs a download."""

from datasets import ClassLabel, Dataset, Features, Value

from frostline.data.demo_text import LABELS, generate
from frostline.data.text import TextData
from frostline.errors import InputError


class Demo(TextData):
    """Generated texts; the subclass names the kind, `text_seed` makes others of the same kind."""

    kind: str

    def __init__(self, train: int, validation: int, test: int, text_seed: int = 0, **options) -> None:
        if isinstance(validation, str):
            raise InputError(
                f"data.validation={validation}: the demo makes its own: use a number of texts, such as 300"
            )
        super().__init__(**options)
        self.sizes = {"train": train, "validation": validation, "test": test}
        self.text_seed = text_seed

    def load(self) -> dict[str, Dataset]:
        """The generated splits, or `data.path` where it is given."""
        if self.path is not None:
            return super().load()
        features = Features({"text": Value("string"), "label": ClassLabel(names=list(LABELS[self.kind]))})
        return {
            split: Dataset.from_dict({"text": [t for t, _ in rows], "label": [name for _, name in rows]}, features)
            for split, rows in generate(self.kind, self.text_seed, self.sizes).items()
        }


class DemoReviews(Demo):
    """Short reviews, negative or positive: negation, contrast, concession, distractors, a little label noise."""

    kind = "reviews"


class DemoTopics(Demo):
    """News-like snippets on overlapping topics, a little label noise."""

    kind = "topics"
