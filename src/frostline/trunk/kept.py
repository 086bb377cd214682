"""Texts as their trunk's kept outputs, in place of token ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from frostline.data.batches import TokenizedTexts


@dataclass(frozen=True)
class KeptTexts(Dataset):
    """`values` of shape (tokens, hidden), a row for each token of `texts` in order, or (texts, hidden).

    They are a file's mapped pages, or after `hold` a tensor on the device.

    Indexed with a list of positions it gives a batch: `kept` (batch, length, hidden) or (batch, hidden),
    `attention_mask` (batch, length), `labels` and `index` (batch,), and the token ids too `with_ids`. What stands
    behind a text's end is some other token's row, which the mask hides.
    """

    texts: TokenizedTexts
    values: np.ndarray | torch.Tensor
    per_text: bool
    with_ids: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> np.ndarray:
        """Class indices, of shape (texts,)."""
        return self.texts.labels

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, special tokens included."""
        return self.texts.lengths

    @property
    def on_device(self) -> bool:
        """Whether `hold` was called."""
        return isinstance(self.values, torch.Tensor)

    def hold(self, device: torch.device) -> "KeptTexts":
        """The same with all values on `device`, so that no batch of them is copied there."""
        return replace(self, values=torch.from_numpy(np.array(self.values)).to(device))

    def _take(self, rows: np.ndarray) -> torch.Tensor:
        if self.on_device:
            return self.values[torch.from_numpy(rows).to(self.values.device)]
        return torch.from_numpy(self.values[rows])

    def __getitem__(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        rows, source, mask = self.texts.layout(positions)
        kept = self._take(rows if self.per_text else source)
        if self.with_ids:
            return {**self.texts[positions], "kept": kept}
        return {
            "kept": kept,
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            "labels": torch.from_numpy(self.texts.labels[rows]),
            "index": torch.from_numpy(rows.astype(np.int64)),
        }
