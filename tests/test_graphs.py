"""Training steps as recorded graphs: the plain run's digits, or plain steps and the reason.

What needs no GPU is tried with a stand-in that works as a graph does: nothing happens while it is recorded, and when
replayed it reads the tensors it was recorded with. Where there is a GPU, real graphs run, too.
"""

import logging
from argparse import Namespace

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Trainer, seed_everything

from frostline.data.batches import BucketedBatches, TokenizedTexts, loader
from frostline.errors import InputError
from frostline.freeze.callback import Freeze
from frostline.freeze.policy import Top
from frostline.freeze.schedule import Auto
from frostline.model import graphs
from frostline.model.classifier import Classifier
from frostline.model.graphs import Graphs
from frostline.model.inputs import encoder_inputs
from frostline.model.optim import LinearDecayAdamW
from frostline.trainer import wants_graphs
from frostline.trunk.kept import KeptTexts

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Recorder:
    """Records as `graphs.Recorder` does, without a GPU: `wrong` is what becomes of each loss."""

    def __init__(self, wrong=lambda loss: loss) -> None:
        self.wrong = wrong
        self.begun = self.recorded = 0

    def __call__(self):
        self.begun += 1
        return self.record

    def record(self, work):
        self.recorded += 1
        return lambda: self.wrong(work())


@pytest.fixture
def texts():
    """60 texts of 3 to 20 tokens, two labels."""
    rng = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 21, (60,), generator=rng)
    ids = torch.randint(5, 20, (int(lengths.sum()),), generator=rng).numpy()
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]).numpy()
    return TokenizedTexts(ids, offsets, torch.arange(60).numpy() % 2, pad_id=0, padded_lengths=(8, 16, 24))


@pytest.fixture
def fit(tiny_network, texts, tmp_path):
    """Train three epochs in batches of 8 (the last has 4), with dropout; returns the classifier's weights."""

    def run(recorder=None, accelerator="cpu", **options):
        seed_everything(0, verbose=False)
        classifier = Classifier(tiny_network("bert", dropout=0.1), LinearDecayAdamW(lr=1e-3))
        if recorder:
            classifier.fast_step = Graphs(classifier, 8, recorder)
        trainer = Trainer(
            max_epochs=3, accelerator=accelerator, devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=[Freeze(Top(n=2))],
            default_root_dir=tmp_path, gradient_clip_val=1.0, **options,
        )  # fmt: skip
        trainer.fit(classifier, loader(texts, BucketedBatches(texts.lengths, 8, seed=0)))
        assert classifier.fast_step is None
        return {name: value.cpu() for name, value in classifier.network.state_dict().items()}

    return run


def test_recorded_steps_end_where_plain_ones_do(fit):
    recorder = Recorder()
    torch.testing.assert_close(fit(recorder), fit())
    assert recorder.recorded == 3  # each of three lengths once; never the last batch's shape


def test_so_do_those_in_mixed_precision(fit, caplog):
    recorder, start = Recorder(), fit(max_steps=1)
    with caplog.at_level(logging.WARNING):
        found, plain = fit(recorder, precision="bf16-mixed"), fit(precision="bf16-mixed")
    assert "CUDA graphs" not in caplog.text
    assert recorder.recorded == 3
    found, plain, start = (torch.cat([w.flatten().float() for w in of.values()]) for of in (found, plain, start))
    assert (found - plain).norm() < 0.1 * (plain - start).norm()


def test_what_cannot_be_recorded_is_plain_and_told_once(fit, caplog):
    class Refuses(Recorder):
        def record(self, work):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with caplog.at_level(logging.WARNING):
        weights = fit(Refuses())
    torch.testing.assert_close(weights, fit(), rtol=0, atol=0)
    told = [record.message for record in caplog.records if "CUDA graphs" in record.message]
    assert len(told) == 1
    assert "operation not permitted when stream is capturing more" in told[0]


@pytest.mark.parametrize("wrong", [lambda loss: loss * 1.1, lambda loss: loss * float("nan")])
def test_graphs_with_another_loss_are_not_used_and_leave_nothing_behind(wrong, fit, caplog):
    with caplog.at_level(logging.WARNING):
        weights = fit(Recorder(wrong))
    torch.testing.assert_close(weights, fit(), rtol=0, atol=0)
    assert "they give a loss of" in caplog.text


def test_a_step_that_is_not_fused_is_plain(fit, caplog):
    with caplog.at_level(logging.WARNING):
        weights = fit(Recorder(), gradient_clip_algorithm="value")
    torch.testing.assert_close(weights, fit(gradient_clip_algorithm="value"), rtol=0, atol=0)
    assert "step is not fused" in caplog.text


def test_graphs_do_not_outlive_a_change_of_what_trains(tiny_network, texts):
    classifier, recorder = Classifier(tiny_network("bert"), LinearDecayAdamW()), Recorder()
    optimizer = classifier.recipe.optimizer(classifier.parts())
    classifier.trainer = Namespace(optimizers=[optimizer], gradient_clip_val=None, gradient_clip_algorithm=None)
    step, batch = Graphs(classifier, 8, recorder), texts[list(range(8))]

    def steps():
        for _ in range(3):
            if (loss := step(batch)).requires_grad:
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()

    steps()
    assert (recorder.begun, recorder.recorded) == (1, 1)
    next(classifier.network.parameters()).requires_grad = False
    steps()
    assert (recorder.begun, recorder.recorded) == (2, 2)
    classifier.rest = lambda *_, **__: classifier.network(**encoder_inputs(batch)).logits  # another trunk
    steps()
    assert (recorder.begun, recorder.recorded) == (3, 3)


def test_runs_that_are_long_enough_are_recorded_unless_their_policy_looks_at_gradients():
    trainer = {"accelerator": "auto", "devices": 1, "cuda_graphs": "auto", "gradient_checkpointing": False}
    cfg = OmegaConf.create({"trainer": trainer, "data": {"batch_size": 16}})
    gpu = torch.device("cuda")
    assert wants_graphs(cfg, Top(n=2), gpu, graphs.WORTH_STEPS)
    assert not wants_graphs(cfg, Top(n=2), gpu, graphs.WORTH_STEPS - 1)
    assert not wants_graphs(cfg, Auto(), gpu, graphs.WORTH_STEPS)
    cfg.trainer.cuda_graphs = True
    with pytest.raises(InputError, match="freeze=auto looks at the gradients"):
        wants_graphs(cfg, Auto(), gpu, graphs.WORTH_STEPS)


def test_one_vector_a_text_is_one_shape_whatever_the_lengths(texts):
    values = torch.randn(len(texts), 16).numpy()
    vectors, tokens = (KeptTexts(texts, values, per_text=True, with_ids=with_ids) for with_ids in (False, True))
    batches = [0, 1, 2], texts.lengths.argsort()[-3:].tolist()
    shapes = [{n: t.shape for n, t in graphs.needed(vectors[batch]).items()} for batch in batches]
    assert shapes[0] == shapes[1]
    assert shapes[0].keys() == {"kept", "attention_mask", "labels"}
    torch.testing.assert_close(graphs.needed(tokens[[0]])["attention_mask"], tokens[[0]]["attention_mask"])


def test_a_hidden_token_is_the_samples_alone(texts):
    batch = texts[[0, 1]]
    mask = batch["attention_mask"].clone()
    assert graphs.with_a_gap(batch)["attention_mask"][0, -1] == 0
    torch.testing.assert_close(batch["attention_mask"], mask)


@on_gpu
def test_real_graphs_end_where_plain_steps_do(fit, caplog):
    recorded = []

    class Real(graphs.Recorder):
        def __call__(self, work):
            recorded.append(work)
            return super().__call__(work)

    with caplog.at_level(logging.WARNING):
        weights = fit(Real, "gpu")
    assert "CUDA graphs" not in caplog.text
    assert len(recorded) == 3
    torch.testing.assert_close(weights, fit(accelerator="gpu"), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(weights, fit(Real, "gpu"), rtol=0, atol=0)
