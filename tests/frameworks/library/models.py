"""A library: documents with everything that a filter may be about."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from pgvector.django import HalfVectorField, VectorField

from colbert_pg.django import LateInteractionManager


class Author(models.Model):
    name = models.TextField()
    country = models.TextField(default="")


class Tag(models.Model):
    name = models.TextField()


class Document(models.Model):
    content = models.TextField()
    lang = models.TextField(default="en")
    published = models.DateField(null=True)
    added = models.DateTimeField(null=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    reference = models.UUIDField(null=True)
    data = models.JSONField(default=dict)
    digest = models.BinaryField(null=True)
    words = ArrayField(models.TextField(), default=list)
    author = models.ForeignKey(Author, models.CASCADE, null=True, related_name="documents")
    tags = models.ManyToManyField(Tag)
    embeddings = ArrayField(VectorField(dimensions=32), null=True)

    objects = LateInteractionManager()


class Report(Document):
    """A table of its own, whose vectors are in the other."""

    year = models.IntegerField(default=2000)


class Note(models.Model):
    """A uuid for a key, halves, two fields of vectors, names to be quoted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    content = models.TextField()
    halves = ArrayField(HalfVectorField(dimensions=32), null=True, db_column="Half vectors")
    title = ArrayField(VectorField(dimensions=32), null=True)

    objects = LateInteractionManager()

    class Meta:
        db_table = "library 'note'"


class Plain(models.Model):
    """Nothing to search."""

    objects = LateInteractionManager()
