"""The kernels for AMD processors against torch's own: the same logits, losses, gradients, and share of zeros."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from frostline.errors import InputError
from frostline.model import dropout as dropout_module
from frostline.model import kernels


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 20, (6, 12), generator=rng)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 1, 0, 1, 0])}


def step(network, batch):
    """Loss, logits and gradients of one batch."""
    network.zero_grad()
    output = network(**batch)
    output.loss.backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"loss": output.loss.detach(), "logits": output.logits.detach(), **gradients}


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra", "modernbert"])
def test_logits_and_gradients_are_torchs_own(family, tiny_network, batch):
    network = tiny_network(family).eval()
    plain = step(network, batch)
    names = list(network.state_dict())
    assert kernels.use("amd", network) == "amd"
    assert any(isinstance(module, kernels.Linear) for module in network.modules())
    assert list(network.state_dict()) == names
    torch.testing.assert_close(step(network, batch), plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_without_gradients_sums_and_gelu_come_with_the_products(family, tiny_network, batch):
    network = tiny_network(family).eval()
    plain, before = counted(network, batch)
    kernels.use("amd", network)
    fast, after = counted(network, batch)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)
    layers = network.config.num_hidden_layers
    assert before["aten::add"] - after["aten::add"] == 2 * layers
    assert before["aten::gelu"] - after.get("aten::gelu", 0) == layers


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_query_key_and_value_are_one_product(family, tiny_network, batch):
    network = tiny_network(family).eval()
    kernels.use("amd", network)
    after = counted(network, batch)[1]
    products = sum(count for name, count in after.items() if name.startswith("mkldnn::_linear_pointwise"))
    linear = [name for name, module in network.named_modules() if isinstance(module, kernels.Linear)]
    assert products == len(linear) - 2 * network.config.num_hidden_layers


@pytest.mark.parametrize("trains", ["query.weight", "value.bias", "key"])
def test_of_query_key_and_value_some_may_be_frozen(trains, tiny_network, batch):
    network = tiny_network("bert").eval()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains in name)
    plain = step(network, batch)
    kernels.use("amd", network)
    fast = step(network, batch)
    assert any(trains in name for name in plain)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)


def counted(network, batch):
    """Logits without gradients, and how often each operation was called for them."""
    with torch.no_grad(), torch.profiler.profile() as profile:
        logits = network(**batch).logits
    return logits, {event.key: event.count for event in profile.key_averages()}


def test_weights_by_columns_give_the_same_and_come_back(tiny_network, batch):
    network = tiny_network("bert").eval()
    kernels.use("amd", network)
    weight = network.get_submodule("bert.encoder.layer.0.intermediate.dense").weight
    place, values = weight.data_ptr(), weight.detach().clone()
    with torch.no_grad():
        plain = network(**batch).logits
        with suppress(KeyboardInterrupt), kernels.by_columns(network):
            assert weight.stride() == (1, len(weight))
            torch.testing.assert_close(weight.detach(), values, rtol=0, atol=0)
            torch.testing.assert_close(network(**batch).logits, plain)
            raise KeyboardInterrupt
    assert weight.data_ptr() == place
    assert weight.is_contiguous()
    torch.testing.assert_close(weight.detach(), values, rtol=0, atol=0)


def test_torchs_own_layers_are_left_alone(tiny_network):
    network = tiny_network("bert")
    with kernels.by_columns(network):
        assert all(parameter.is_contiguous() for parameter in network.parameters())


@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 5), (1, 5), (3, 1, 1, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_any_shape_and_any_strides(shape, bias):
    plain = nn.Linear(5, 3, bias=bias)
    fast = nn.Sequential(nn.Linear(5, 3, bias=bias))
    fast[0].load_state_dict(plain.state_dict())
    kernels.use("amd", fast)
    x = torch.randn(shape[::-1]).permute(*range(len(shape) - 1, -1, -1))
    for layer in (plain, fast):
        layer(x).square().sum().backward()
    torch.testing.assert_close(fast(x), plain(x))
    torch.testing.assert_close(fast[0].weight.grad, plain.weight.grad)
    if bias:
        torch.testing.assert_close(fast[0].bias.grad, plain.bias.grad)


@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 7, 5)])
def test_what_it_gives_may_be_changed_in_place(shape):
    """As Longformer's attention does with its queries."""
    layer = nn.Sequential(nn.Linear(5, 3))
    kernels.use("amd", layer)
    x = torch.randn(shape)
    out = layer(x)
    out /= 2
    out.sum().backward()
    expected = x.reshape(-1, 5).sum(0).expand(3, 5) / 2
    torch.testing.assert_close(layer[0].weight.grad, expected)


def test_a_frozen_layer_hands_its_gradient_on_and_keeps_none():
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)).requires_grad_(False)
    kernels.use("amd", layers)
    x = torch.randn(3, 4, requires_grad=True)
    layers(x).sum().backward()
    torch.testing.assert_close(x.grad, (layers[1].weight @ layers[0].weight).sum(0).expand(3, 4))
    assert all(parameter.grad is None for parameter in layers.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_torchs_own(dtype):
    layer = nn.Sequential(nn.Linear(4, 2)).to(dtype)
    kernels.use("amd", layer)
    x = torch.randn(3, 4, dtype=dtype)
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer[0].weight, layer[0].bias), rtol=0, atol=0)


def test_under_autocast_the_products_are_autocasts():
    layer = nn.Sequential(nn.Linear(4, 2))
    kernels.use("amd", layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(3, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("vendor", "capability", "chosen"),
    [
        ("AuthenticAMD", "AVX512", "amd"),
        ("AuthenticAMD", "AVX2", "torch"),
        ("GenuineIntel", "AVX512", "torch"),
        (None, "DEFAULT", "torch"),
    ],
)
def test_auto_goes_by_the_processor(vendor, capability, chosen, monkeypatch):
    monkeypatch.setattr(kernels, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert kernels.choose("auto") == chosen


def test_an_unknown_choice_is_one_line():
    with pytest.raises(InputError, match="kernels=blas: use one of auto, torch, amd"):
        kernels.choose("blas")


@pytest.mark.parametrize("width", [1, 7, 384, 512, 1536])
def test_a_turned_matrix_is_the_transposed_one(width):
    rows = torch.randn(33, 2 * width)[:, :width]
    assert torch.equal(kernels._turned(rows), rows.t())
    assert kernels._turned(rows).is_contiguous()


@pytest.fixture(params=[0, None], ids=["padded", "unpadded"])
def embeddings(request):
    """Two alike, torch's own and the one for AMD processors."""
    plain, fast = nn.Embedding(50, 8, request.param), nn.Sequential(nn.Embedding(50, 8, request.param))
    fast[0].load_state_dict(plain.state_dict())
    kernels.use("amd", fast)
    return plain, fast[0]


def test_an_embeddings_gradient_is_torchs_own_at_every_step(embeddings):
    torch.manual_seed(1)
    places = set()
    for texts in (4, 2, 6):  # with other tokens, and fewer of them, each time
        ids, noise = torch.randint(0, 50, (texts, 5)), torch.randn(texts, 5, 8)
        for embedding in embeddings:
            embedding.zero_grad(set_to_none=True)
            embedding(ids).backward(noise)
        assert torch.equal(embeddings[1].weight.grad, embeddings[0].weight.grad)
        ids.fill_(1)  # as a loader does that writes its next batch into the same memory
        places.add(embeddings[1].weight.grad.data_ptr())
    assert len(places) == 1, "in the same memory"


def test_an_embeddings_gradient_may_be_added_to_where_processes_share_it(embeddings):
    """As their average is: then it is not 0 in other texts' rows either."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        for ids in (torch.tensor([[1, 2]]), torch.tensor([[3, 4]])):
            for embedding in embeddings:
                embedding.zero_grad(set_to_none=True)
                embedding(ids).sum().backward()
            assert torch.equal(embeddings[1].weight.grad, embeddings[0].weight.grad)
            embeddings[1].weight.grad.add_(1)
    finally:
        torch.distributed.destroy_process_group()


def test_an_embeddings_gradient_in_use_is_left_alone(embeddings):
    """Whether it is added to, used twice in a step, or held by somebody else."""
    ids = torch.tensor([[1, 2, 2, 0], [3, 1, 0, 0]])
    found = []
    for embedding in embeddings:
        (held,) = torch.autograd.grad(embedding(ids).sum(), embedding.weight)
        embedding(ids + 3).sum().backward()
        (embedding(ids).sum() + embedding(ids + 5).pow(2).sum()).backward()
        found.append((held, embedding.weight.grad))
    torch.testing.assert_close(found[1], found[0])


@pytest.fixture
def dropout():
    layer = nn.Sequential(nn.Dropout(0.1))
    kernels.use("amd", layer)
    return layer


def test_dropout_zeroes_its_share_and_keeps_the_mean(dropout):
    torch.manual_seed(0)
    x = torch.ones(1000, 1001)
    y = dropout(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.1, abs=0.002)
    assert y.mean().item() == pytest.approx(1, abs=0.002)
    assert len(y.unique()) == 2
    zeros = (y == 0).float()
    assert zeros.mean(0).std().item() == pytest.approx((0.1 * 0.9 / 1000) ** 0.5, rel=0.15), "columns are independent"
    both = (zeros[:, 1:] * zeros[:, :-1]).mean().item()
    assert both == pytest.approx(0.01, abs=0.0005), "neighbours are independent"


def test_dropout_goes_by_torchs_seed_and_differs_each_time(dropout):
    x = torch.ones(50, 7)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    torch.testing.assert_close(dropout(x), first, rtol=0, atol=0)
    assert not torch.equal(first, second)


def test_dropouts_gradient_passes_where_its_input_did(dropout):
    x = torch.ones(50, 7, requires_grad=True)
    y = dropout(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_dropout_rests_in_eval_mode(dropout):
    x = torch.ones(5, 7)
    assert torch.equal(dropout.eval()(x), x)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra"])
def test_attention_with_dropout_is_the_plain_one_but_for_what_is_dropped(family, tiny_network, batch, monkeypatch):
    """With noise that drops nothing, logits and gradients in train mode are those of eval mode."""
    network = tiny_network(family)
    batch["attention_mask"][1, 5:] = 0
    plain = step(network.eval(), batch)
    kernels.use("amd", network)
    drawn = []
    monkeypatch.setattr(dropout_module, "dropped", lambda values, stays, p: drawn.append(stays.shape) or values.clone())
    fast = step(network.train(), batch)
    assert any(len(shape) == 4 for shape in drawn), "attention drew its noise here"
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)


def test_attentions_gradients_are_those_of_its_formula():
    packed = torch.randn((3, 2, 3, 4, 5), dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    mask[0, :, :, 2:] = False
    stays = dropout_module.drawn((2, 3, 4, 4), 0.3)

    def attend(packed):
        return dropout_module._Attention.apply(packed, mask, 0.4, stays, 0.3)

    assert torch.autograd.gradcheck(attend, packed)
    query, key, value = packed
    shares = (query @ key.transpose(-1, -2) * 0.4).masked_fill(~mask, float("-inf")).softmax(-1)
    expected = dropout_module.dropped(shares, stays, 0.3) @ value
    torch.testing.assert_close(attend(packed), expected)


def test_the_saved_config_names_none_of_this(tiny_network, tmp_path):
    network = tiny_network("bert")
    kernels.use("amd", network)
    network.save_pretrained(tmp_path)
    assert "frostline" not in (tmp_path / "config.json").read_text()
