"""The LightningModule gives the encoder's own loss and the field's own metrics."""

import pytest
import torch

from frostline.model.classifier import Classifier, quality
from frostline.model.optim import LinearDecayAdamW


@pytest.fixture
def batch():
    ids = torch.tensor([[2, 6, 7, 3], [2, 8, 3, 0]])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": torch.tensor([1, 0])}


def test_the_loss_is_the_encoders_own(tiny_network, batch):
    network = tiny_network("bert").eval()
    logits = Classifier(network, LinearDecayAdamW())(batch)
    theirs = network(**batch)
    torch.testing.assert_close(logits, theirs.logits)
    torch.testing.assert_close(torch.nn.functional.cross_entropy(logits, batch["labels"]), theirs.loss)


def test_two_labels_score_the_positive_one_and_more_score_all_by_weight():
    from sklearn.metrics import f1_score

    guess, truth = torch.tensor([1, 0, 1, 1, 0, 1]), torch.tensor([1, 0, 0, 1, 1, 0])
    two = quality(2, "test/")(guess, truth)
    assert two["test/f1"] == pytest.approx(f1_score(truth, guess))
    guess, truth = torch.tensor([0, 1, 2, 2, 1, 0, 0]), torch.tensor([0, 1, 1, 2, 2, 0, 0])
    more = quality(3, "test/")(guess, truth)
    assert more["test/f1"] == pytest.approx(f1_score(truth, guess, average="weighted"))
    assert more["test/f1_macro"] == pytest.approx(f1_score(truth, guess, average="macro"))
