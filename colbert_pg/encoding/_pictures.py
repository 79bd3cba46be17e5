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
        from PIL import Image, ImageOps
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
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        raise BadPicture(f"not a picture that can be read: {error}") from error


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
