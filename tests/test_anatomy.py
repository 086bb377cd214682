"""Where each encoder family keeps its parts."""

import pytest
from torch import nn

from frostline.errors import InputError
from frostline.model.anatomy import Anatomy, max_positions, parameter_counts

# For each family: a parameter of each part that is easily put into the wrong one.
TELLING = {
    "bert": {
        "bert.embeddings.token_type_embeddings.weight": "embeddings",
        "bert.encoder.layer.2.output.LayerNorm.bias": "layer.2",
        "bert.pooler.dense.weight": "pooler",
        "classifier.weight": "head",
    },
    "distilbert": {
        "distilbert.embeddings.LayerNorm.weight": "embeddings",
        "distilbert.transformer.layer.0.attention.q_lin.weight": "layer.0",
        "pre_classifier.weight": "head",
        "classifier.bias": "head",
    },
    "roberta": {
        "roberta.embeddings.position_embeddings.weight": "embeddings",
        "roberta.encoder.layer.1.attention.self.key.bias": "layer.1",
        "classifier.dense.weight": "head",
        "classifier.out_proj.bias": "head",
    },
    "electra": {
        "electra.embeddings_project.weight": "embeddings",
        "electra.encoder.layer.0.intermediate.dense.weight": "layer.0",
        "classifier.out_proj.weight": "head",
    },
    "modernbert": {
        "model.embeddings.tok_embeddings.weight": "embeddings",
        "model.layers.2.mlp.Wi.weight": "layer.2",
        "model.final_norm.weight": "pooler",
        "head.dense.weight": "head",
        "classifier.weight": "head",
    },
}


@pytest.mark.parametrize("family", TELLING)
def test_each_parameter_belongs_to_its_part(family, tiny_network):
    anatomy = Anatomy.of(tiny_network(family))
    assert {name: anatomy.group(name) for name in TELLING[family]} == TELLING[family]
    assert anatomy.layer_count == 3
    assert anatomy.groups[0] == "embeddings"
    assert anatomy.groups[-1] == "head"


@pytest.mark.parametrize("family", TELLING)
def test_each_layer_holds_the_same_number_of_parameters_but_modernberts_first(family, tiny_network):
    network = tiny_network(family)
    anatomy = Anatomy.of(network)
    sizes = [
        sum(p.numel() for name, p in network.named_parameters() if anatomy.group(name) == f"layer.{i}")
        for i in range(3)
    ]
    assert sizes[1] == sizes[2] > 0
    assert sizes[0] == sizes[1] or family == "modernbert"  # its first layer has no norm before the attention


def test_ten_layers_are_not_mixed_up_by_their_digits(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert", layers=12))
    assert anatomy.group("bert.encoder.layer.1.output.dense.weight") == "layer.1"
    assert anatomy.group("bert.encoder.layer.11.output.dense.weight") == "layer.11"


def test_positions_that_roberta_never_uses_are_not_counted(tiny_network):
    assert max_positions(tiny_network("bert", max_length=64)) == 64
    assert max_positions(tiny_network("roberta", max_length=64)) == 64


def test_more_blocks_than_the_config_says_are_no_layers_but_a_head_is_there_all_the_same(tiny_network):
    network = tiny_network("bert")
    network.config.num_hidden_layers = 2
    anatomy = Anatomy.of(network)
    assert anatomy.groups == ["encoder", "head"]
    found = r"the config says 2 layers, and the module lists are bert\.encoder\.layer \(3\)"
    with pytest.raises(
        InputError, match=rf"^freeze=top1: tiny bert has no layers to be found: {found}; use freeze=head"
    ):
        anatomy.require_layers("top1")
    anatomy.require_head("head")


def test_a_network_without_a_base_model_has_no_head_to_be_found(tiny_network):
    network = tiny_network("bert")
    type(network).base_model_prefix, before = "elsewhere", type(network).base_model_prefix
    try:
        anatomy = Anatomy.of(network)
    finally:
        type(network).base_model_prefix = before
    assert anatomy.groups == ["encoder"]
    with pytest.raises(InputError, match=r"has no base model 'elsewhere' within; use freeze=none, or freeze=pattern"):
        anatomy.require_head("head")


def test_lists_one_after_the_other_are_one_stack_of_layers(tiny_network):
    network = tiny_network("bert")
    layers = network.bert.encoder.layer
    network.bert.encoder.layer = nn.ModuleList(layers[:1])
    network.bert.encoder.more = nn.ModuleList(layers[1:])
    anatomy = Anatomy.of(network)
    assert anatomy.layers == ("bert.encoder.layer.0", "bert.encoder.more.0", "bert.encoder.more.1")
    assert anatomy.group("bert.encoder.more.1.output.dense.weight") == "layer.2"


def test_counts_add_up(tiny_network):
    network = tiny_network("bert")
    for parameter in network.bert.embeddings.parameters():
        parameter.requires_grad = False
    counts = parameter_counts(network.named_parameters())
    assert counts["total"] == counts["trainable"] + counts["frozen"] == network.num_parameters()
    assert counts["frozen"] == network.bert.embeddings.word_embeddings.weight.numel() + (128 + 2 + 2) * 32
