"""Freezing at work in a real trainer: gradients, modes, the optimizer, checkpoints."""

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from frostline.errors import InputError
from frostline.freeze.callback import Freeze, apply, check_gradients, set_modes
from frostline.freeze.policy import Embeddings, Head, Nothing, Pattern, Top
from frostline.freeze.table import part_rows
from frostline.model.anatomy import Anatomy
from frostline.model.classifier import Classifier
from frostline.model.optim import LinearDecayAdamW


class Watch(pl.Callback):
    """Notes what a person would want to know at a training step."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        network = pl_module.network
        self.training = {name for name, module in network.named_modules() if module.training}
        self.gradients = {name for name, p in network.named_parameters() if p.grad is not None}
        self.optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}


def fit(network, policy, batches, tmp_path, **options):
    """Train for a few steps as a run would; returns what was watched."""
    watch = Watch()
    trainer = pl.Trainer(
        callbacks=[Freeze(policy), watch], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu", **{"max_steps": 3, **options},
    )  # fmt: skip
    trainer.fit(Classifier(network, LinearDecayAdamW(lr=1e-2)), batches)
    return watch, trainer


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra", "modernbert"])
@pytest.mark.parametrize("policy", [Nothing(), Head(), Top(n=1), Embeddings()], ids=lambda p: p.name)
def test_trained_parameters_move_and_frozen_ones_do_not(family, policy, tiny_network, batches, tmp_path):
    network = tiny_network(family)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    watch, _ = fit(network.eval(), policy, batches, tmp_path)
    trains = policy.trains(Anatomy.of(network))
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {n for n, t in trains.items() if t}
    assert watch.gradients == {name for name, trainable in trains.items() if trainable}
    for name, parameter in network.named_parameters():
        moved = not torch.equal(parameter, before[name])
        assert moved == trains[name], name
        assert (id(parameter) in watch.optimized) == trains[name], name


def test_trainable_modules_have_dropout_and_frozen_ones_have_not(tiny_network, batches, tmp_path):
    network = tiny_network("bert").eval()  # as from_pretrained returns it
    watch, _ = fit(network, Top(n=1), batches, tmp_path)
    on = {name for name in watch.training if isinstance(network.get_submodule(name), nn.Dropout)}
    layer = "bert.encoder.layer.2"
    assert {"dropout", f"{layer}.attention.self.dropout", f"{layer}.output.dropout"} <= on
    assert all(name == "dropout" or name.startswith(layer) for name in on)
    assert "bert.encoder.layer.2.attention.self" in watch.training  # reads its own mode for the attention's dropout
    assert "bert.encoder.layer.1.attention.self" not in watch.training
    assert "bert.embeddings" not in watch.training


def test_without_the_callback_nothing_would_have_dropout(tiny_network, batches, tmp_path):
    """The trap that set_modes is there for; if Lightning changes, this tells."""
    network, watch = tiny_network("bert").eval(), Watch()
    trainer = pl.Trainer(
        max_steps=1, callbacks=[watch], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Classifier(network, LinearDecayAdamW()), batches)
    assert watch.training == set()


def test_modes_are_asserted_again_each_epoch(tiny_network, batches, tmp_path):
    network = tiny_network("bert")

    class Disturb(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            pl_module.eval()

    watch = Watch()
    trainer = pl.Trainer(
        max_epochs=2, callbacks=[Freeze(Head()), Disturb(), watch], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Classifier(network, LinearDecayAdamW()), batches)
    assert "dropout" in watch.training


def test_trunk_dropout_is_dropout_everywhere(tiny_network, batches, tmp_path):
    network = tiny_network("bert").eval()
    watch, _ = fit(network, Head(trunk_dropout=True), batches, tmp_path)
    assert watch.training == {name for name, _ in network.named_modules()}


def test_a_dropout_between_parts_goes_with_its_own_part(tiny_network):
    """GPT-2 keeps the embeddings' dropout beside its layers, so that the module around it holds several parts."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=30, pad_token_id=0)
    network = GPT2ForSequenceClassification(config)
    anatomy = Anatomy.of(network)
    apply(Top(n=1), network, anatomy)
    set_modes(network, anatomy)
    assert not network.transformer.drop.training
    assert network.transformer.h[1].mlp.dropout.training
    assert not network.transformer.h[0].mlp.dropout.training


def test_a_frozen_parameter_with_a_gradient_stops_the_run(tiny_network):
    network = tiny_network("bert")
    anatomy = Anatomy.of(network)
    network(input_ids=torch.ones(2, 4, dtype=torch.long)).logits.sum().backward()
    apply(Head(), network, anatomy)
    with pytest.raises(InputError, match=r"frozen parameters have a gradient, such as bert\.embeddings"):
        check_gradients(network, anatomy)


def test_a_part_that_the_loss_does_not_reach_stops_the_run(tiny_network, batches, tmp_path):
    network = tiny_network("bert")
    network.bert.encoder.layer[2].register_forward_hook(lambda module, args, output: output.detach())
    with pytest.raises(InputError, match=r"layer\.1, layer\.2 should train but got no gradient in the first step"):
        fit(network, Pattern(train=["layer.[12]", "pooler", "classifier"]), batches, tmp_path)


def test_a_pooler_that_the_head_does_not_read_is_a_warning(tiny_network, batches, tmp_path, caplog):
    network = tiny_network("roberta")
    network.roberta.pooler = nn.Linear(32, 32)
    fit(network, Top(n=1), batches, tmp_path)
    assert any("roberta.pooler.weight, roberta.pooler.bias" in message for message in caplog.messages)


def test_one_unused_parameter_is_a_warning_that_names_it(tiny_network, batches, tmp_path, caplog):
    network = tiny_network("bert")
    network.classifier.register_parameter("spare", nn.Parameter(torch.zeros(3)))
    fit(network, Head(), batches, tmp_path)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [message for message in warnings if "classifier.spare" in message and "without a gradient" in message]


def test_the_table_counts_every_parameter_once(tiny_network):
    network = tiny_network("bert")
    anatomy = Anatomy.of(network)
    apply(Top(n=1), network, anatomy)
    rows = part_rows(network, anatomy)
    assert sum(total for _, total, _ in rows) == network.num_parameters()
    assert [(part, state) for part, _, state in rows] == [
        ("embeddings", "frozen"), ("layer.0", "frozen"), ("layer.1", "frozen"),
        ("layer.2", "trainable"), ("pooler", "trainable"), ("head", "trainable"),
    ]  # fmt: skip


def test_a_partly_trained_part_says_so(tiny_network):
    network = tiny_network("bert")
    anatomy = Anatomy.of(network)
    apply(Pattern(train=["LayerNorm"]), network, anatomy)
    states = {part: state for part, _, state in part_rows(network, anatomy)}
    assert states["layer.0"] == "partly (128 trainable)"
    assert states["head"] == "frozen"


def test_a_checkpoint_of_another_policy_is_refused(tiny_network, batches, tmp_path):
    _, trainer = fit(tiny_network("bert"), Top(n=1), batches, tmp_path)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    resumed = pl.Trainer(
        max_steps=6, callbacks=[Freeze(Head())], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"the checkpoint was made with freeze=top1, this run has freeze=head"):
        resumed.fit(
            Classifier(tiny_network("bert"), LinearDecayAdamW()), batches,
            ckpt_path=tmp_path / "last.ckpt", weights_only=True,
        )  # fmt: skip


def test_the_same_policy_goes_on_from_its_checkpoint(tiny_network, batches, tmp_path):
    _, trainer = fit(tiny_network("bert"), Top(n=1), batches, tmp_path)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    resumed = pl.Trainer(
        max_steps=6, callbacks=[Freeze(Top(n=1))], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    resumed.fit(
        Classifier(tiny_network("bert"), LinearDecayAdamW()), batches,
        ckpt_path=tmp_path / "last.ckpt", weights_only=True,
    )  # fmt: skip
    assert resumed.global_step == 6
