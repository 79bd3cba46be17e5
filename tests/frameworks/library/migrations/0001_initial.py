"""The models, with pgvector and colbert_pg before them, and indexes after."""

import uuid
from typing import ClassVar

import pgvector.django.halfvec
import pgvector.django.vector
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.deletion import CASCADE
from pgvector.django import VectorExtension

from colbert_pg.django.operations import CreateLateInteractionIndex, InstallColbert


def vectors() -> ArrayField:
    return ArrayField(pgvector.django.vector.VectorField(dimensions=32), null=True)


def halves() -> ArrayField:
    return ArrayField(
        pgvector.django.halfvec.HalfVectorField(dimensions=32), db_column="Half vectors", null=True
    )


def key() -> models.Field:
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


class Migration(migrations.Migration):
    initial = True

    operations: ClassVar = [
        VectorExtension(),
        InstallColbert(),
        migrations.CreateModel(
            "Author",
            fields=[
                ("id", key()),
                ("name", models.TextField()),
                ("country", models.TextField(default="")),
            ],
        ),
        migrations.CreateModel("Tag", fields=[("id", key()), ("name", models.TextField())]),
        migrations.CreateModel(
            "Document",
            fields=[
                ("id", key()),
                ("content", models.TextField()),
                ("lang", models.TextField(default="en")),
                ("published", models.DateField(null=True)),
                ("added", models.DateTimeField(null=True)),
                ("price", models.DecimalField(decimal_places=2, max_digits=6, null=True)),
                ("reference", models.UUIDField(null=True)),
                ("data", models.JSONField(default=dict)),
                ("digest", models.BinaryField(null=True)),
                ("words", ArrayField(models.TextField(), default=list)),
                (
                    "author",
                    models.ForeignKey(
                        "library.author", CASCADE, null=True, related_name="documents"
                    ),
                ),
                ("tags", models.ManyToManyField("library.tag")),
                ("embeddings", vectors()),
            ],
        ),
        migrations.CreateModel(
            "Report",
            fields=[
                (
                    "document_ptr",
                    models.OneToOneField(
                        "library.document",
                        CASCADE,
                        auto_created=True,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("year", models.IntegerField(default=2000)),
            ],
            bases=("library.document",),
        ),
        migrations.CreateModel(
            "Note",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("content", models.TextField()),
                ("halves", halves()),
                ("title", vectors()),
            ],
            options={"db_table": "library 'note'"},
        ),
        migrations.CreateModel("Plain", fields=[("id", key())]),
        CreateLateInteractionIndex("document"),
        CreateLateInteractionIndex("note", "halves", method="exact"),
        CreateLateInteractionIndex("Note", "title", method="hnsw", options={"candidates": 50}),
    ]
