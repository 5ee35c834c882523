"""RDD's latent score against a rewrite in NumPy, on a small random pipeline of Stable Diffusion."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from recon_detect import load_detector
from recon_detect.errors import WeightsError, WeightsMissing
from recon_detect.settings import Inversion
from tests.conftest import enliven


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder as diffusers writes it, with a predictor of noise."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("pipelines") / "sd"
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(16, 16), norm_num_groups=8, layers_per_block=1, scaling_factor=0.5,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    enliven(vae, 1.5).save_pretrained(folder / "vae")
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=8, norm_num_groups=8,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    enliven(unet, 3).save_pretrained(folder / "unet")
    DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    (tmp_path_factory.getbasetemp() / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    (tmp_path_factory.getbasetemp() / "merges.txt").write_text("#version: 0.2\n")
    files = [str(tmp_path_factory.getbasetemp() / name) for name in ("vocab.json", "merges.txt")]
    CLIPTokenizer(*files, model_max_length=6).save_pretrained(folder / "tokenizer")
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).write_bytes((tmp_path_factory.getbasetemp() / name).read_bytes())
    if not (special := folder / "tokenizer" / "special_tokens_map.json").exists():  # transformers 5 writes none
        special.write_text("{}")
    config = CLIPTextConfig(
        vocab_size=2, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=6, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


@pytest.fixture
def slow(pipeline):
    """S_image * S_latent^2 of (3, H, W) in [-1, 1], by NumPy but for the networks."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    vae = AutoencoderKL.from_pretrained(pipeline / "vae").eval()
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet").eval()
    with torch.inference_mode():
        prompt = CLIPTextModel.from_pretrained(pipeline / "text_encoder").eval()(torch.tensor([[0] + [1] * 5]))[0]
    velocity = (
        json.loads((pipeline / "scheduler" / "scheduler_config.json").read_text())["prediction_type"] != "epsilon"
    )
    betas = (torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).double().numpy()
    a = np.cumprod(1 - betas)[50]

    def call(network, *arguments, **options):
        with torch.inference_mode():
            return network(*(torch.from_numpy(np.ascontiguousarray(x)).float()[None] for x in arguments), **options)

    def mse(x):
        latents = call(vae.encode, x).latent_dist.mode()[0].numpy()
        decoded = call(vae.decode, latents).sample[0].clamp(-1, 1).double().numpy()
        return ((x - decoded) ** 2).mean()

    def predicted_badly(z):
        generator = torch.Generator().manual_seed(0)
        errors = []
        for _ in range(4):
            noise = torch.randn(z.shape, generator=generator).double().numpy()
            noisy = np.sqrt(a) * z + np.sqrt(1 - a) * noise
            found = call(unet, noisy, timestep=50, encoder_hidden_states=prompt).sample[0].double().numpy()
            found = np.sqrt(a) * found + np.sqrt(1 - a) * noisy if velocity else found
            errors.append(((found - noise) ** 2).mean())
        return np.mean(errors)

    def score(x):
        def hfi(y):
            return mse(y) - mse(np.stack([ndimage.gaussian_filter(c, 0.8, mode="mirror", radius=1) for c in y]))

        z = call(vae.encode, x).latent_dist.mode()[0].double().numpy() * 0.5
        s_latent = predicted_badly(np.rot90(z, axes=(1, 2))) - predicted_badly(z)
        return -(hfi(x) - 0.5 * hfi(np.rot90(x, axes=(1, 2)))) * s_latent**2

    return score


def set_prediction(pipeline, kind):
    path = pipeline / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": kind}))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_scores_equal_a_slow_rewrite(pipeline, kind, request):
    set_prediction(pipeline, kind)
    slow = request.getfixturevalue("slow")
    # With detail: of smooth pictures a blur changes so little that float32 keeps three digits of the difference.
    images = [np.random.default_rng(n).integers(0, 256, (32, 48, 3), np.uint8) for n in range(2)]
    detector = load_detector("rdd-latent", models=pipeline, distance="l2", device="cpu")
    result = detector.score(images, progress=False).raise_for_errors()
    expected = [slow(image.transpose(2, 0, 1) / 127.5 - 1) for image in images]
    # The square of a difference of two errors: 1e-5 with some kernels for convolutions, 2e-5 with those of AVX2.
    assert np.allclose(result.scores, expected, rtol=1e-4, atol=0) and np.ptp(expected) > 0
    assert [model.name for model in result.run.models] == [str(pipeline), f"{pipeline}:unet"]


def test_the_error_of_noise_in_latents_is_that_of_rdd(pipeline, picture):
    """The same function at another time; of an image, not of its turned latents."""
    set_prediction(pipeline, "epsilon")
    detector = load_detector("lare", models=pipeline, device="cpu")
    x = torch.from_numpy(picture(32, 48).transpose(2, 0, 1).copy())[None] / 127.5 - 1
    with torch.inference_mode():
        expected = detector.evidence(x).noise_error(time=0.2, draws=4).item()
    assert detector.score(picture(32, 48)).scores[0] == pytest.approx(-expected, rel=1e-6)


@pytest.fixture
def slow_deep(pipeline):
    """Mean square of (3, H, W) less its deeper reconstruction, through the first `real_step` of the times."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    vae = AutoencoderKL.from_pretrained(pipeline / "vae").eval()
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet").eval()
    encoder = CLIPTextModel.from_pretrained(pipeline / "text_encoder").eval()
    a = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)

    def score(x, stride, real_step, velocity):
        with torch.inference_mode():
            prompt = encoder(torch.tensor([[0] + [1] * 5]))[0]
            z = vae.encode(torch.from_numpy(x)[None].float()).latent_dist.mode().double() * 0.5
            signals = [1.0, *a[::stride]]

            def noise(z, index):
                found = unet(z.float(), index * stride, encoder_hidden_states=prompt).sample.double()
                signal = a[index * stride]
                return signal**0.5 * found + (1 - signal) ** 0.5 * z if velocity else found

            def move(z, found, now, then):
                return then**0.5 * (z - (1 - now) ** 0.5 * found) / now**0.5 + (1 - then) ** 0.5 * found

            for index in range(real_step):
                z = move(z, noise(z, index), signals[index], signals[index + 1])
            for index in reversed(range(real_step)):
                z = move(z, noise(z, index), signals[index + 1], signals[index])
            decoded = vae.decode(z.float() / 0.5).sample[0].clamp(-1, 1).double().numpy()
        return -((x - decoded) ** 2).mean()

    return score


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_deeper_reconstructions_equal_a_slow_rewrite(pipeline, picture, slow_deep, kind):
    set_prediction(pipeline, kind)
    image = picture(32, 48)
    x = image.transpose(2, 0, 1) / 127.5 - 1
    for inversion, real_step in ((Inversion(10), 10), (Inversion(20, real_step=3), 3)):
        detector = load_detector("deep", models=pipeline, distance="l2", device="cpu", inversion=inversion)
        found = detector.score(image, progress=False).raise_for_errors()
        expected = slow_deep(x, 1000 // inversion.steps, real_step, kind == "v_prediction")
        assert found.scores[0] == pytest.approx(expected, rel=1e-4)
        assert found.run.inversion == inversion
    # The autoencoder's own error is another one, from the same pass.
    both = load_detector(["deep", "aeroblade"], models=pipeline, distance="l2", device="cpu").score(image)[0]
    assert both.scores["deep"].value != both.scores["aeroblade"].value


def test_the_prompt_counts(pipeline, picture):
    set_prediction(pipeline, "epsilon")
    none, some = (
        load_detector("deep", models=pipeline, distance="l2", device="cpu", inversion=Inversion(5, prompt=prompt))
        for prompt in ("", "<|endoftext|> <|startoftext|>")
    )
    assert none.run_info.fingerprint != some.run_info.fingerprint
    assert none.score(picture()).scores[0] != some.score(picture()).scores[0]


def test_batches_do_not_matter(pipeline, picture):
    set_prediction(pipeline, "epsilon")
    images = [picture(32, 32, seed=n) for n in range(3)]
    one, all_ = (
        load_detector("rdd-latent", models=pipeline, distance="l2", device="cpu", batch_size=size).score(
            images, progress=False
        )
        for size in (1, 3)
    )
    assert np.allclose(one.scores, all_.scores, rtol=1e-3)


def test_what_is_no_pipeline_is_refused_with_what_is_missing(pipeline, kl_model, shared_weights):
    set_prediction(pipeline, "sample")
    with pytest.raises(WeightsError, match="predicts 'sample'; expected a model that predicts noise or velocity"):
        load_detector("rdd-latent", models=pipeline, distance="l2")
    with pytest.raises(WeightsMissing, match="expected unet/config.json, as in a pipeline of diffusers"):
        load_detector("rdd-latent", models=kl_model, distance="l2")
    with pytest.raises(WeightsMissing, match="taesd: an autoencoder without a diffusion model"):
        load_detector("rdd-latent", models="taesd", distance="l2")
