"""Settings that generators leave in text entries."""

import json

import pytest

from recon_detect import read_claims
from recon_detect.claims.texts import LONGEST_PROMPT
from tests.claims.files import encoded, exif, png

A1111 = (
    "a cat, <lora:x:1>\nwith a hat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, CFG scale: 7, "
    "Model hash: cc6cb27103, Model: v1-5-pruned, Version: v1.9.3"
)
LIKE_A1111 = "AUTOMATIC1111 or a program that writes like it"
CPP = "a cat\nSteps: 20, Model: , Version: stable-diffusion.cpp"
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"positive": ["8", 0], "negative": ["7", 0], "model": ["4", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base.safetensors"}},
    "5": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "4x.pth"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly"}},
    "8": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}},
    "9": {"class_type": "Text Multiline", "inputs": {"text": "a red cat"}},
}
WORKFLOW = {
    "nodes": [
        {"type": "UNETLoader", "widgets_values": ["flux1-dev.safetensors", "default"]},
        {"type": "CLIPTextEncode", "widgets_values": ["a drawn cat"]},
        {"type": "Note"},
    ]
}
INVOKE = {"app_version": "4.2", "model": {"name": "juggernaut", "hash": "x"}, "positive_prompt": "an invoked cat"}
INVOKE_2 = {"model_weights": "sd-1.5", "image": {"prompt": [{"prompt": "an old cat", "weight": 1}]}}
SWARM = {"sui_image_params": {"prompt": "a swarm", "model": "sd3"}}
NOVELAI = {"Software": "NovelAI", "Source": "Stable Diffusion XL", "Description": "a novel cat", "Comment": "{}"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"parameters": A1111}, (LIKE_A1111, "v1-5-pruned", "a cat, <lora:x:1> with a hat")),
        ({"parameters": CPP}, ("stable-diffusion.cpp", None, "a cat")),
        ({"prompt": json.dumps(GRAPH), "workflow": "{}"}, ("ComfyUI", "sd_xl_base.safetensors", "a red cat")),
        ({"workflow": json.dumps(WORKFLOW)}, ("ComfyUI", "flux1-dev.safetensors", "a drawn cat")),
        ({"invokeai_metadata": json.dumps(INVOKE)}, ("InvokeAI", "juggernaut", "an invoked cat")),
        ({"sd-metadata": json.dumps(INVOKE_2)}, ("InvokeAI", "sd-1.5", "an old cat")),
        ({"Dream": '"a dream" -s 50'}, ("InvokeAI", None, '"a dream" -s 50')),
        ({"parameters": json.dumps(SWARM)}, ("SwarmUI", "sd3", "a swarm")),
        (NOVELAI, ("NovelAI", "Stable Diffusion XL", "a novel cat")),
    ],
)  # fmt: skip
def test_entries_of_png(texts, expected):
    claims = read_claims(png(texts))
    assert (claims.generation.program, claims.generation.model, claims.generation.prompt) == expected
    assert claims.says_generated and not claims.silent


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + A1111.encode("utf-16-be"),
        b"UNICODE\0" + A1111.encode("utf-16-le"),
        b"ASCII\0\0\0" + A1111.encode(),
        A1111.encode(),
    ],
)
def test_user_comments_of_exif(kind, comment):
    generation = read_claims(encoded(kind, exif=exif({}, comment))).generation
    assert (generation.model, generation.prompt) == ("v1-5-pruned", "a cat, <lora:x:1> with a hat")


def test_comments_as_json_by_program_and_model():
    comment = b"ASCII\0\0\0" + json.dumps({"mflux_version": "0.15", "model": "Qwen", "prompt": "a cat"}).encode()
    generation = read_claims(png(exif=exif({}, comment))).generation
    assert (generation.program, generation.model, generation.prompt) == ("mflux", "Qwen", "a cat")


def test_webp_of_comfyui_has_its_graph_in_the_tags_of_the_camera():
    tags = exif({0x0110: f"prompt:{json.dumps(GRAPH)}", 0x010F: f"workflow:{json.dumps(WORKFLOW)}"})
    claims = read_claims(encoded("WEBP", exif=tags))
    assert claims.generation.prompt == "a red cat" and claims.camera is None


@pytest.mark.parametrize(
    "texts",
    [
        {"Comment": "Steps to the beach"},
        {"prompt": "where to go"},
        {"parameters": "{}"},
        {"prompt": "[1, 2"},
        {"Comment": '{"prompt": "without program or model"}'},
        {"workflow": '{"nodes": 3}'},
        {"Software": "GIMP"},
    ],
)
def test_other_texts_are_no_settings_of_a_generator(texts):
    claims = read_claims(png(texts))
    assert claims.generation is None and not claims.says_generated


def test_prompts_are_cut():
    generation = read_claims(png({"parameters": "cat " * 1000 + "\nSteps: 1"})).generation
    assert len(generation.prompt) == LONGEST_PROMPT and generation.prompt.endswith("...")


def test_a_graph_with_a_circle_ends():
    circle = {str(n): {"class_type": "TextEncode", "inputs": {"a": [str((n + 1) % 500), 0]}} for n in range(500)}
    assert read_claims(png({"prompt": json.dumps(circle)})).generation.prompt is None
