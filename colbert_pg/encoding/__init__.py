"""Text to token vectors: the encoder, what the library asks of one, and a memory for queries.

Everything here works without a database. PyTorch is loaded when an encoder is made, and not before.
"""

from __future__ import annotations

from colbert_pg.encoding._chunking import Chunk
from colbert_pg.encoding._encoder import (
    DEFAULT_MODEL,
    LOCAL_MODEL,
    Encoder,
    Token,
    TruncationWarning,
    pool,
)
from colbert_pg.encoding._models import (
    TextEncoder,
    TokenText,
    fingerprint_of,
    offsets,
    same_model,
    takes_pictures,
    takes_texts,
)
from colbert_pg.encoding._patches import Patch
from colbert_pg.encoding._pictures import Picture, open_picture, picture_below
from colbert_pg.encoding._query_cache import QueryCache, cached

__all__ = [
    "DEFAULT_MODEL",
    "LOCAL_MODEL",
    "Chunk",
    "Encoder",
    "Patch",
    "Picture",
    "QueryCache",
    "TextEncoder",
    "Token",
    "TokenText",
    "TruncationWarning",
    "cached",
    "fingerprint_of",
    "offsets",
    "open_picture",
    "picture_below",
    "pool",
    "same_model",
    "takes_pictures",
    "takes_texts",
]
