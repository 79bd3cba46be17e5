"""Late interaction in Django: ``Document.objects.search("who wrote the first compiler?", k=10)``.

A model has an array of pgvector's fields and the manager of this package, and
``colbert_pg.django`` is in ``INSTALLED_APPS``. Migrations install colbert_pg with
:mod:`colbert_pg.django.operations`.

    class Document(models.Model):
        content = models.TextField()
        embeddings = ArrayField(VectorField(dimensions=128), null=True)

        objects = LateInteractionManager()

        class Meta:
            indexes = [LateInteractionIndex(fields=["embeddings"])]
"""

from __future__ import annotations

from colbert_pg.django.encoding import encode_pending, encoder
from colbert_pg.django.expressions import MaxSim
from colbert_pg.django.indexes import LateInteractionIndex
from colbert_pg.django.search import LateInteractionManager, LateInteractionQuerySet

__all__ = [
    "LateInteractionIndex",
    "LateInteractionManager",
    "LateInteractionQuerySet",
    "MaxSim",
    "encode_pending",
    "encoder",
]
