"""Tiny models that take pictures, with random weights, and files of pages to try them on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

_WORDS = ["Question", "Query", "Describe", "the", "image", "a", "cat", "dog", ":", ".", "user"]
_SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def save_colpali(path: Path, dimensions: int = 128) -> None:
    """ColPali as transformers saves it: squares of 32 pixels, 16 patches, a prompt after them."""
    from transformers import ColPaliConfig, ColPaliForRetrieval, ColPaliProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    markers = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    tokenizer = _tokenizer(["<pad>", "<unk>", "<bos>", "<eos>"], **markers)
    pictures = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    pictures.image_seq_length = 16  # type: ignore[attr-defined]
    processor = ColPaliProcessor(pictures, tokenizer)
    processor.save_pretrained(path)
    config = ColPaliConfig(
        embedding_dim=dimensions,
        vlm_config={
            "model_type": "paligemma",
            "image_token_index": processor.image_token_id,
            "projection_dim": 32,
            "text_config": {
                "model_type": "gemma",
                "vocab_size": len(tokenizer),
                "num_key_value_heads": 1,
                "head_dim": 16,
                "num_image_tokens": 16,
                **_SIZE,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "image_size": 32,
                "patch_size": 8,
                "projection_dim": 32,
                **_SIZE,
            },
        },
    )
    torch.manual_seed(0)
    ColPaliForRetrieval(config).save_pretrained(path)


def save_colqwen2(path: Path, dimensions: int = 128, side: int = 64) -> None:
    """ColQwen2 as transformers saves it: as many patches as a picture needs, padded on the left."""
    from transformers import ColQwen2Config, ColQwen2ForRetrieval, ColQwen2Processor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
        Qwen2VLImageProcessorPil,
    )

    ends = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    markers = [*ends, "<|image_pad|>", "<|video_pad|>"]
    tokenizer = _tokenizer(
        [*markers, "<unk>"],
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=markers,
        padding_side="left",
    )
    pictures = Qwen2VLImageProcessorPil(patch_size=8, min_pixels=16 * 16, max_pixels=side * side)
    ColQwen2Processor(pictures, tokenizer).save_pretrained(path)
    number = tokenizer.convert_tokens_to_ids
    config = ColQwen2Config(
        embedding_dim=dimensions,
        vlm_config={
            "model_type": "qwen2_vl",
            "image_token_id": number("<|image_pad|>"),
            "video_token_id": number("<|video_pad|>"),
            "vision_start_token_id": number("<|vision_start|>"),
            "vision_end_token_id": number("<|vision_end|>"),
            "text_config": {
                "model_type": "qwen2_vl_text",
                "vocab_size": len(tokenizer),
                **_SIZE,
                "num_key_value_heads": 1,
                "bos_token_id": None,
                "eos_token_id": None,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [2, 3, 3],
                },
            },
            "vision_config": {
                "depth": 2,
                "embed_dim": 32,
                "hidden_size": 32,
                "num_heads": 2,
                "mlp_ratio": 2,
                "patch_size": 8,
            },
        },
    )
    torch.manual_seed(0)
    ColQwen2ForRetrieval(config).save_pretrained(path)


def save_colmodernvbert(path: Path) -> None:
    """ColModernVBERT as transformers saves it: tiles of 32 pixels, 4 patches each."""
    from transformers import (
        ColModernVBertConfig,
        ColModernVBertForRetrieval,
        ColModernVBertProcessor,
    )
    from transformers.models.idefics3.image_processing_pil_idefics3 import (
        Idefics3ImageProcessorPil,
    )

    markers = ["<global-img>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    tokenizer = _tokenizer(
        ["<pad>", "<unk>", *markers], pad_token="<pad>", additional_special_tokens=markers
    )
    pictures = Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    processor = ColModernVBertProcessor(pictures, tokenizer, image_seq_len=4)
    processor.save_pretrained(path)
    config = ColModernVBertConfig(
        vlm_config={
            "model_type": "modernvbert",
            "image_token_id": processor.image_token_id,
            "pixel_shuffle_factor": 2,
            "text_config": {
                "model_type": "modernbert",
                "vocab_size": len(tokenizer),
                "pad_token_id": 0,
                "bos_token_id": None,
                "eos_token_id": None,
                "cls_token_id": None,
                "sep_token_id": None,
                **_SIZE,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "image_size": 32,
                "patch_size": 8,
                **_SIZE,
            },
        },
    )
    torch.manual_seed(0)
    ColModernVBertForRetrieval(config).save_pretrained(path)


def save_gemma3(path: Path) -> None:
    """A model of pictures and of texts, with a chat template: squares of 32 pixels, 4 patches."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from transformers import Gemma3Config, Gemma3Model, Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    markers = {"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<img>"}
    tokenizer = _tokenizer(
        ["<pad>", "<unk>", *markers.values()], pad_token="<pad>", extra_special_tokens=markers
    )
    pictures = Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
    template = (
        "{% for message in messages %}{{ message['role'] }} {% if message['content'] is string %}"
        "{{ message['content'] }}{% else %}{% for part in message['content'] %}"
        "{{ '<boi>' if part['type'] == 'image' else part['text'] }}"
        "{% endfor %}{% endif %}{% endfor %}"
    )
    processor = Gemma3Processor(pictures, tokenizer, chat_template=template, image_seq_length=4)
    number = tokenizer.convert_tokens_to_ids
    config = Gemma3Config(
        image_token_index=number("<img>"),
        boi_token_index=number("<boi>"),
        eoi_token_index=number("<eoi>"),
        mm_tokens_per_image=4,
        text_config={
            "vocab_size": len(tokenizer),
            "num_key_value_heads": 1,
            "head_dim": 16,
            **_SIZE,
        },
        vision_config={
            "model_type": "siglip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            **_SIZE,
        },
    )
    torch.manual_seed(0)
    base = path / "base"
    processor.save_pretrained(base)
    Gemma3Model(config).save_pretrained(base)
    name = "token_embeddings"
    dense = Dense(32, 128, bias=False, activation_function=None, module_input_name=name)
    modules = [Transformer(str(base)), dense, Normalize(module_input_name=name)]
    MultiVectorEncoder(modules=modules, device="cpu").save(str(path))
    shutil.rmtree(base)


def pdf(*texts: str) -> bytes:
    """A PDF file with a page for each text; an empty text makes an empty page."""
    count = len(texts)
    pages = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{pages}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(texts):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        drawing = f"BT /F 24 Tf 20 40 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream")
    return _file(objects, "")


def locked_pdf() -> bytes:
    """A PDF file that says it is encrypted, by a password that nobody knows."""
    key = "00" * 32
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [] /Count 0 >>",
        f"<< /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>",
    ]
    return _file(objects, f"/Encrypt 3 0 R /ID [<{key}> <{key}>]")


def _file(objects: list[str], trailer: str) -> bytes:
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R"
    return content + f"{end} {trailer} >>\nstartxref\n{len(content)}\n%%EOF\n".encode()


def _tokenizer(markers: list[str], **options: Any) -> Any:
    vocabulary = {word: number for number, word in enumerate([*markers, *_WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=tokenizer, unk_token="<unk>", **options)
