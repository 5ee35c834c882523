"""Settings that generators leave in text entries: program, model and prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from recon_detect.claims.claims import Generation
from recon_detect.images.heard import printable

LONGEST_PROMPT, LONGEST_NAME = 300, 100
# Inputs of nodes of ComfyUI that name the model, and that hold text.
_MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name")
_LOADERS = re.compile(r"(checkpoint|unet|diffusion.?model).*load|load.*(checkpoint|unet|diffusion.?model)", re.I)
_TEXT_INPUTS = ("text", "prompt", "string", "value", "t5xxl", "text_g", "clip_l")
_MODEL_FILE = re.compile(r"\.(safetensors|ckpt|gguf|sft)$", re.I)
# Links that are followed from the sampler to the text.
_MOST_NODES = 200
# The last line of `parameters` (AUTOMATIC1111 and those that write like it).
_STEPS = re.compile(r"^[ \t]{0,8}Steps: \d", re.I | re.M)
_FIELD = re.compile(r"\b(Model|Version|Model hash): *([^,\n]*)", re.I)
_PROMPT_KEYS = ("prompt", "positive_prompt", "positivePrompt", "Prompt")
_MODEL_KEYS = ("model", "model_name", "model_weights", "base_model", "Model")


def read_texts(texts: Mapping[str, str]) -> Generation | None:
    """The settings of the first generator whose entries are recognised; None where there are none."""
    return next(filter(None, _generations(texts)), None)


def _generations(texts: Mapping[str, str]) -> Iterator[Generation | None]:
    yield _novelai(texts)
    for keyword, program in (("invokeai_metadata", "InvokeAI"), ("sd-metadata", "InvokeAI"), ("Dream", "InvokeAI")):
        if keyword in texts:
            yield _of_json(texts[keyword], program) or _generation(program, None, texts[keyword])
    yield _comfyui(_json(texts.get("prompt", "")), _json(texts.get("workflow", "")))
    for keyword in ("parameters", "UserComment", "comment", "Comment", "ImageDescription"):
        if keyword in texts:
            yield _swarmui(texts[keyword]) or _parameters(texts[keyword]) or _of_json(texts[keyword])


def _generation(program: str | None, model: Any, prompt: Any) -> Generation:
    def line(value: Any, longest: int) -> str | None:
        return printable(value, longest) or None if isinstance(value, str) else None

    return Generation(line(program, LONGEST_NAME), line(model, LONGEST_NAME), line(prompt, LONGEST_PROMPT))


def _json(text: str) -> Any:
    """Parses a text as JSON; None where it is none, or nested so deep that it is made to harm."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None


def _novelai(texts: Mapping[str, str]) -> Generation | None:
    if texts.get("Software") != "NovelAI":
        return None
    return _generation("NovelAI", texts.get("Source"), texts.get("Description"))


def _of_json(text: str, program: str | None = None) -> Generation | None:
    """Settings as one object of JSON: InvokeAI, mflux, and others whose keys say what they hold."""
    content = _json(text)
    if not isinstance(content, dict):
        return None
    image = content.get("image")
    prompts = [source.get(key) for source in (content, image) if isinstance(source, dict) for key in _PROMPT_KEYS]
    prompt = next(filter(None, prompts), None)
    if isinstance(prompt, list):  # of InvokeAI 2: several with weights
        prompt = " ".join(
            part["prompt"] for part in prompt if isinstance(part, dict) and isinstance(part.get("prompt"), str)
        )
    model = next(filter(None, map(content.get, _MODEL_KEYS)), None)
    if isinstance(model, dict):
        model = model.get("name") or model.get("model_name")
    if program is None:
        program = next((key.removesuffix("_version") for key in content if key.endswith("_version")), None)
        if not isinstance(prompt, str) or not (program or isinstance(model, str)):
            return None
    return _generation(program, model, prompt)


def _swarmui(text: str) -> Generation | None:
    content = _json(text)
    settings = content.get("sui_image_params") if isinstance(content, dict) else None
    return _generation("SwarmUI", settings.get("model"), settings.get("prompt")) if isinstance(settings, dict) else None


def _parameters(text: str) -> Generation | None:
    """Text as AUTOMATIC1111 writes it: the prompt, a negative prompt, and a line that begins with ``Steps:``."""
    starts = [match.start() for match in _STEPS.finditer(text)]
    if not starts:
        return None
    fields = {name.lower(): value.strip() for name, value in _FIELD.findall(text[starts[-1] :])}
    version = fields.get("version", "")
    program = next((name for name in ("stable-diffusion.cpp", "ComfyUI", "Fooocus") if name in version), None)
    prompt = text[: starts[-1]].split("\nNegative prompt:")[0]
    return _generation(program or "AUTOMATIC1111 or a program that writes like it", fields.get("model"), prompt)


def _comfyui(prompt: Any, workflow: Any) -> Generation | None:
    """The graph of ComfyUI as it was run, or else as it was drawn."""
    nodes = {key: node for key, node in prompt.items() if isinstance(node, dict)} if isinstance(prompt, dict) else {}
    if any(isinstance(node.get("inputs"), dict) and "class_type" in node for node in nodes.values()):
        return _generation("ComfyUI", _graph_model(nodes), _graph_prompt(nodes))
    drawn = workflow.get("nodes") if isinstance(workflow, dict) else None
    if not isinstance(drawn, list):
        return None
    values = [*_widgets(drawn)]
    model = next((value for _, value in values if _MODEL_FILE.search(value)), None)
    text = next((value for kind, value in values if "TextEncode" in kind), None)
    return _generation("ComfyUI", model, text)


def _widgets(nodes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Type of node and text, of the values that nodes hold."""
    for node in nodes:
        if isinstance(node, dict) and isinstance(values := node.get("widgets_values"), list):
            yield from ((str(node.get("type")), value) for value in values if isinstance(value, str))


def _inputs(node: Any) -> Mapping[str, Any]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}


def _graph_model(nodes: Mapping[str, Any]) -> Any:
    by_name = [
        inputs[name]
        for node in nodes.values()
        if _LOADERS.search(str(node.get("class_type"))[:LONGEST_NAME])
        for inputs in (_inputs(node),)
        for name in _MODEL_INPUTS
        if name in inputs
    ]
    return next((name for name in by_name if isinstance(name, str)), None)


def _graph_prompt(nodes: Mapping[str, Any]) -> str | None:
    """The text nearest to a sampler's input ``positive``; of guiders without one, any text that is encoded."""
    starts = [link for node in nodes.values() if (link := _linked(_inputs(node).get("positive")))]
    starts += [key for key, node in nodes.items() if "TextEncode" in str(node.get("class_type"))]
    waiting, seen = starts[::-1], set[str]()
    while waiting and len(seen) < _MOST_NODES:
        key = waiting.pop()
        if key in seen or key not in nodes:
            continue
        seen.add(key)
        inputs = _inputs(nodes[key])
        for name in _TEXT_INPUTS:
            if isinstance(text := inputs.get(name), str) and text.strip():
                return text
        waiting += reversed([link for value in inputs.values() if (link := _linked(value))])
    return None


def _linked(value: Any) -> str | None:
    """The node that an input takes its value from."""
    return value[0] if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) else None
