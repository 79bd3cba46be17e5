"""What the libraries under the encoder say by themselves."""

from __future__ import annotations

import logging


def quiet_models() -> None:
    """Keep the libraries under the encoder from telling of every model that they load.

    A level that the program has set for their logger stays.
    """
    logger = logging.getLogger("sentence_transformers")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
    try:
        from transformers.utils.logging import disable_progress_bar
    except ImportError:
        return  # the encoder says better what is missing
    disable_progress_bar()  # type: ignore[no-untyped-call]
