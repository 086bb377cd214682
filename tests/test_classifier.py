"""The LightningModule gives the encoder's own loss and the field's own metrics."""

import pytest
import torch
from pytorch_lightning import Trainer
from torch.utils.data import DataLoader

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


@pytest.fixture
def first_means(tiny_network, batch, tmp_path):
    """What AdamW keeps of the gradients after one step on this device, as one vector."""

    def run(precision, accelerator="cpu", **clipping):
        classifier = Classifier(tiny_network("bert"), LinearDecayAdamW())
        trainer = Trainer(
            default_root_dir=tmp_path, accelerator=accelerator, devices=1, precision=precision, max_steps=1, **clipping,
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(classifier, DataLoader([{**batch, "index": torch.arange(2)}], batch_size=None))
        return torch.cat([state["exp_avg"].flatten() for state in trainer.optimizers[0].state.values()])

    return run


SHARE = 0.1  # of the first gradient in AdamW's mean: 1 - 0.9


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
def test_the_step_takes_gradients_clipped_at_the_norm(precision, first_means):
    means = first_means(precision, gradient_clip_val=0.01)
    assert means.norm().item() == pytest.approx(SHARE * 0.01, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_on_a_gpu_too(precision, first_means):
    means = first_means(precision, "gpu", gradient_clip_val=0.01)
    assert means.norm().item() == pytest.approx(SHARE * 0.01, rel=1e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_one_by_one_where_that_is_asked(precision, first_means):
    means = first_means(precision, gradient_clip_val=0.01, gradient_clip_algorithm="value")
    assert means.abs().max().item() == pytest.approx(SHARE * 0.01, rel=1e-3)
