"""Late interaction in Django: ``Document.objects.search("who wrote the first compiler?", k=10)``.

A model has an array of pgvector's fields and the manager of this package, and
``colbert_pg.django`` is in ``INSTALLED_APPS``. Migrations use :mod:`colbert_pg.django.operations`.

    class Document(models.Model):
        content = models.TextField()
        embeddings = ArrayField(VectorField(dimensions=128), null=True)

        objects = LateInteractionManager()
"""

from __future__ import annotations

from colbert_pg.django.encoding import encoder
from colbert_pg.django.expressions import MaxSim
from colbert_pg.django.search import LateInteractionManager, LateInteractionQuerySet

__all__ = ["LateInteractionManager", "LateInteractionQuerySet", "MaxSim", "encoder"]
