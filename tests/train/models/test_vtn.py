import json

import pytest
import torch
import torch.distributed
from helpers.models.golden_weights import GOLDEN, golden_inputs, golden_logits, golden_state
from torch.nn.parallel import DistributedDataParallel
from torchvision.models import resnet18

from shards.errors import InputError
from shards.format.recipe import DEFAULT, RECIPES, REFERENCE
from train.models.resnet import TRUNK_LAYERS, FeatureExtractor, freeze, load_imagenet
from train.models.vtn import VTN, ModelSettings, normalized

MODELS = ["VTN_HCPF", "VTN_HCPF_D"]


def small_model(name="VTN_HCPF", recipe=DEFAULT, **settings) -> VTN:
    """A small ResNet and encoder, in evaluation mode; the same weights each time."""
    torch.manual_seed(0)
    small = {"cnn": "small", "sequence_length": 2, "num_layers": 1, "num_heads": 2, "embed_size": 32}
    return VTN(ModelSettings(name, num_classes=5, **{**small, **settings}), recipe).eval()


def small_inputs(model: VTN, batch=2) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    length = model.settings.sequence_length
    crops = [torch.randn(batch, length, 2, 3, 32, 32, generator=random) for _ in range(2)]
    pose = torch.randn(batch, length, 106, generator=random)
    return [crops[0], pose, crops[1]] if model.settings.with_depth else [crops[0], pose]


@pytest.mark.parametrize("name", ["VTN_HCPF", pytest.param("VTN_HCPF_D", marks=pytest.mark.slow)])
def test_logits_are_the_references(name):
    model = VTN(ModelSettings(name, num_classes=226), REFERENCE).eval()
    model.load_state_dict(golden_state(model))
    # Half the time of the usual layout on a CPU.
    model.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = model(*golden_inputs(name))
    # Measured on a CPU, in either layout: at most 1.4e-6, of logits up to 4.
    torch.testing.assert_close(logits, golden_logits(name), atol=1e-4, rtol=0)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_named_and_shaped_as_in_the_reference(name, recipe):
    with torch.device("meta"):
        state = VTN(ModelSettings(name, num_classes=226), recipe).state_dict()
    expected = json.loads((GOLDEN / f"state_dict_{name}.json").read_text())
    assert {key: list(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize(("recipe", "is_nan"), [(REFERENCE, True), (DEFAULT, False)], ids=["reference", "default"])
def test_constant_features_give_nan_under_the_reference_recipe_only(recipe, is_nan):
    model = small_model(recipe=recipe)
    with torch.no_grad():
        for value in model.feature_extractor.state_dict().values():
            value.zero_()
    crops, pose = small_inputs(model)
    logits = model(crops, torch.zeros_like(pose))
    assert logits.isnan().all() if is_nan else logits.isfinite().all()
    logits.sum().backward()
    assert any(parameter.grad.isnan().any() for parameter in model.parameters()) == is_nan


def test_normalised_features_have_mean_0_and_unbiased_std_1():
    features = 3 + 2 * torch.randn(4, 6, 50)
    for bare in (True, False):
        out = normalized(features, bare)
        torch.testing.assert_close(out.mean(-1), torch.zeros(4, 6), atol=1e-5, rtol=0)
        torch.testing.assert_close(out.std(-1), torch.ones(4, 6), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("recipe", "own"), [(REFERENCE, False), (DEFAULT, True)], ids=["reference", "default"])
def test_depth_goes_through_the_recipes_resnet(recipe, own):
    model = small_model("VTN_HCPF_D", recipe)
    inputs = small_inputs(model)
    with torch.inference_mode():
        before = model(*inputs)
        model.feature_extractor_d.resnet[0].weight.mul_(-1)
        assert torch.equal(model(*inputs), before) != own
        # In both, depth counts.
        crops, pose, depth = inputs
        assert not torch.allclose(model(crops, pose, -depth), model(*inputs), atol=1e-3)


def test_hands_and_frames_are_kept_apart():
    model = small_model(embed_size=512)
    crops, _ = small_inputs(model)
    features = model.feature_extractor(crops)
    assert features.shape == (2, 2, 1024)
    for b, t, hand in [(0, 0, 0), (0, 1, 1), (1, 0, 1)]:
        alone = model.feature_extractor(crops[b : b + 1, t : t + 1, hand : hand + 1])[0, 0]
        torch.testing.assert_close(features[b, t, 512 * hand : 512 * (hand + 1)], alone, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", MODELS)
def test_one_frame_is_a_sequence(name):
    model = small_model(name, sequence_length=1)
    assert model(*small_inputs(model)).shape == (2, 5)
    assert model(*small_inputs(model, batch=1)).isfinite().all()


def test_embedding_convolution_equals_the_references_order():
    model = small_model(embed_size=24, num_heads=4)
    crops, _ = small_inputs(model)
    extractor = model.feature_extractor
    convolved = extractor.pointwise_conv(extractor.resnet(crops.flatten(0, 2))).mean((2, 3))
    torch.testing.assert_close(extractor(crops), convolved.reshape(2, 2, 48))
    assert model(*small_inputs(model)).shape == (2, 5)


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_autocast_is_close_and_keeps_float32_statistics(name):
    model = small_model(name)
    inputs = small_inputs(model)
    dtypes = []
    for module in (model.bottle_mm, model.feature_extractor.pointwise_conv):
        module.register_forward_pre_hook(lambda _, args: dtypes.append(args[0].dtype))
    with torch.inference_mode():
        expected = model(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(*inputs)
    # The pooled features and the normalised ones, without and with autocast.
    assert dtypes == [torch.float32] * 4
    assert logits.dtype == torch.float32
    # 8 bits of mantissa; on the golden inputs the largest difference was 0.028 of logits with a spread of 1.4.
    assert (logits - expected).abs().max() < 0.1 * expected.std()
    assert not torch.equal(logits, expected)


def test_channels_last_gives_the_same_logits():
    model = small_model()
    inputs = small_inputs(model)
    with torch.inference_mode():
        expected = model(*inputs)
        last = model.to(memory_format=torch.channels_last)(*inputs)
    torch.testing.assert_close(last, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_compiles_to_one_graph():
    model = small_model("VTN_HCPF_D")
    inputs = small_inputs(model)
    # The graph is what the model decides; inductor, which makes code from it, takes a minute here.
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(*inputs), model(*inputs), atol=1e-4, rtol=0)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_distributed_training_sees_a_gradient_of_every_trainable_parameter(recipe, tmp_path):
    model = small_model("VTN_HCPF_D", recipe).train()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        distributed = DistributedDataParallel(model)
        # A parameter without a gradient shows at the second step, as an error.
        for _ in range(2):
            distributed(*small_inputs(model)).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    idle = [name for name, value in model.named_parameters() if value.grad is None]
    unused = recipe.depth_through_colour_cnn
    assert bool(idle) == unused
    assert all(name.startswith("feature_extractor_d.") for name in idle)


@pytest.mark.parametrize("layers", [0, 5])
def test_freezing_keeps_weights_and_statistics_of_the_first_layers_only(layers):
    model = small_model("VTN_HCPF_D").train()
    freeze(model, layers)
    model.eval().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model(*small_inputs(model)).square().sum().backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        _, is_trunk, layer = name.partition(".resnet.")
        if is_trunk:
            assert torch.equal(value, before[name]) == (int(layer[0]) < layers), name


def test_imagenet_weights_come_from_a_file(tmp_path):
    resnet = resnet18(weights=None)
    torch.save(resnet.state_dict(), tmp_path / "resnet18.pth")
    model = small_model("VTN_HCPF_D", cnn="rn18")
    load_imagenet(model, str(tmp_path / "resnet18.pth"))
    for extractor in (model.feature_extractor, model.feature_extractor_d):
        assert torch.equal(extractor.resnet[0].weight, resnet.conv1.weight)
        assert torch.equal(extractor.resnet[7][1].bn2.running_var, resnet.layer4[1].bn2.running_var)
        images = torch.randn(1, 3, 32, 32)
        features = resnet.eval().avgpool(extractor.resnet.eval()(images)).flatten(1)
        torch.testing.assert_close(resnet.fc(features), resnet(images))


def test_a_checkpoint_with_a_name_that_is_no_text_gives_its_resnet(tmp_path):
    other, model = small_model(), small_model()
    torch.save({"model": {5: torch.ones(1)} | other.state_dict()}, tmp_path / "best.pt")
    load_imagenet(model, str(tmp_path / "best.pt"))
    assert torch.equal(model.feature_extractor.resnet[0].weight, other.feature_extractor.resnet[0].weight)


def test_imagenet_weights_of_another_resnet_are_refused(tmp_path):
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    with torch.device("meta"):
        model = VTN(ModelSettings("VTN_HCPF", num_classes=5, cnn="rn34"), DEFAULT)
    with pytest.raises(InputError, match=r"resnet18\.pth: .* missing: layer1\.2\.bn1\.bias"):
        load_imagenet(model, str(tmp_path / "resnet18.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list\.pth: holds no weights"):
        load_imagenet(model, str(tmp_path / "list.pth"))


def test_a_damaged_file_of_imagenet_weights_is_refused(tmp_path):
    """Torch does not look at the checksums, and another number is as finite."""
    path = tmp_path / "resnet18.pth"
    resnet = resnet18(weights=None)
    torch.save(resnet.state_dict(), path)
    data = path.read_bytes()
    weights = resnet.layer1[0].conv1.weight.detach().numpy().tobytes()
    path.write_bytes(data.replace(weights, bytes([weights[0] ^ 1]) + weights[1:]))
    with pytest.raises(InputError, match=r"resnet18\.pth: damaged \(the checksum of "):
        load_imagenet(small_model(cnn="rn18"), str(path))


def test_imagenet_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"resnet18-.*\.pth: cannot be downloaded .* give the file's path") as refusal:
        load_imagenet(small_model(cnn="rn18"), "imagenet")
    assert "\n" not in refusal.value.message


def test_the_small_resnet_has_no_imagenet_weights(tmp_path):
    with pytest.raises(InputError, match="no ImageNet weights of the small ResNet; give --cnn-weights none"):
        load_imagenet(small_model(), "imagenet")
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match=r"resnet18\.pth: "):
        load_imagenet(small_model(), str(tmp_path / "resnet18.pth"))


@pytest.mark.parametrize("side", [32, 65])
def test_the_small_resnet_halves_five_times_as_its_elders_do(side):
    crops = torch.randn(2, 3, side, side)
    shapes = {}
    for cnn in ("rn18", "small"):
        trunk = FeatureExtractor(cnn, 16).resnet.eval()
        shapes[cnn] = [len(trunk), *(trunk[:layers](crops).shape[2:] for layers in range(1, TRUNK_LAYERS + 1))]
    assert shapes["small"] == shapes["rn18"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "VTN"}, "VTN_HCPF or VTN_HCPF_D"),
        ({"cnn": "rn50"}, "rn18 or rn34 or small"),
        ({"embed_size": 33, "num_heads": 4}, "width 66 is no multiple of 4 heads"),
        ({"num_heads": 0}, "num_heads 0"),
        ({"dropout": 1.0}, r"dropout 1\.0"),
    ],
)
def test_settings_that_make_no_model_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        ModelSettings(**{"name": "VTN_HCPF", "num_classes": 5, **change})


def test_inputs_that_do_not_fit_are_refused():
    model = small_model("VTN_HCPF_D")
    crops, pose, depth = small_inputs(model)
    with pytest.raises(ValueError, match="1 frames for a model of 2"):
        model(crops[:, :1], pose[:, :1], depth[:, :1])
    with pytest.raises(ValueError, match="VTN_HCPF_D takes depth crops"):
        model(crops, pose)
    with pytest.raises(ValueError, match="VTN_HCPF takes no depth crops"):
        small_model()(crops, pose, depth)


def test_classifier_dropout_is_the_settings():
    model = small_model(dropout=0.5)
    x = torch.ones(1, 2, 64)
    model.classifier.train()
    assert not torch.equal(model.classifier(x), model.classifier(x))
    assert small_model().train().classifier.dropout.p == 0.0
