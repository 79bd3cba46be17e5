"""Pictures as models take them: decoded, upright, in RGB, and of a size that can be encoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from colbert_pg._extras import pip_install
from colbert_pg.errors import BadPicture

if TYPE_CHECKING:
    from PIL.Image import Image

Picture: TypeAlias = Union[str, Path, bytes, "Image"]

LEAST_SIDE = 8  # pixels; less is no picture of anything
MOST_PIXELS = 50_000_000  # 150 MB in RGB; a page of A4 at 600 dots an inch has 35 million


def open_picture(picture: Picture) -> Image:
    """A picture in RGB: turned upright as its camera noted, on white where it is transparent.

    The size is read before the picture is decoded, so that a huge one costs nothing.

    Raises:
        BadPicture: it cannot be read, is too small or too large, or has several pages.
        ImportError: Pillow is missing.
        TypeError: it is none of the types.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"pictures need Pillow: {pip_install('pages')}") from error

    if isinstance(picture, Image.Image):
        _refuse_size(*picture.size)
        return _on_white(picture)
    if not isinstance(picture, str | Path | bytes):
        raise TypeError(f"{type(picture).__name__} is neither a path, nor bytes, nor an image")
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as image,
        ):
            _refuse_size(*image.size)
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise BadPicture("a TIFF of several pages: save them as a PDF, or each by itself")
            return _on_white(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise BadPicture(f"more than {MOST_PIXELS:,} pixels: make it smaller") from error
    except UnidentifiedImageError as error:
        raise BadPicture(f"not a picture that can be read: {_kind(picture)}") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        reason = getattr(error, "strerror", None) or error
        raise BadPicture(f"not a picture that can be read: {reason}") from error


def picture_below(directory: Path, path: str) -> Path:
    """The file of a path that somebody has written into a table, if it is in the directory.

    The path is relative to the directory, and leads out of it neither by ``..`` nor by a link.

    Raises:
        BadPicture: it does, or there is no such file.
    """
    named = Path(path)
    try:
        root = directory.resolve()
        file = (root / named).resolve()
        there = file.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long; links that lead in a circle
        raise BadPicture(f"{path}: cannot be looked up in the directory of pictures") from error
    if named.is_absolute() or ".." in named.parts or not file.is_relative_to(root):
        raise BadPicture(f"{path}: outside the directory of pictures, which paths are relative to")
    if not there:
        raise BadPicture(f"{path}: no such file in the directory of pictures")
    return file


def _kind(picture: str | Path | bytes) -> str:
    """What a file is that Pillow does not know."""
    if isinstance(picture, bytes):
        start = picture[:1024]
    else:
        with Path(picture).open("rb") as file:
            start = file.read(1024)
    if b"%PDF-" in start:
        return "a PDF file, whose pages have to be rendered first, as colbert-pg load does"
    return "an empty file" if not start else "a file of an unknown format"


def _refuse_size(width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE:
        raise BadPicture(f"{width} x {height} pixels: less than {LEAST_SIDE} on a side")
    if width * height > MOST_PIXELS:
        raise BadPicture(
            f"{width} x {height} pixels: more than {MOST_PIXELS:,} in all, make it smaller"
        )


def _on_white(image: Image) -> Image:
    from PIL import Image as Pillow

    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Pillow.alpha_composite(Pillow.new("RGBA", layer.size, "white"), layer).convert("RGB")
