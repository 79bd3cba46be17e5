"""``LateInteractionAdmin``: models with token vectors in Django's admin.

@admin.register(Document)
class DocumentAdmin(LateInteractionAdmin):
    text_field = "content"
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin

from colbert_pg.django.encoding import encoder
from colbert_pg.django.expressions import is_token_vectors


class LateInteractionAdmin(ModelAdmin):
    """Leaves token vectors out of lists and forms, where nobody could read or write them.

    A field of them that cannot be NULL is encoded when its text is saved. Where it can be, the text
    is left to workers, if the index names it.

    Attributes:
        text_field: the field of text that is encoded.
    """

    text_field = "content"

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).defer(*self._vectors())

    def get_exclude(self, request: Any, obj: Any = None) -> list[str]:
        return [*(super().get_exclude(request, obj) or ()), *self._vectors()]

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        needed = [n for n in self._vectors() if not self.model._meta.get_field(n).null]
        if needed and (not change or self.text_field in form.changed_data):
            (vectors,) = encoder().encode_documents([getattr(obj, self.text_field)])
            for name in needed:
                setattr(obj, name, vectors)
        super().save_model(request, obj, form, change)

    def _vectors(self) -> list[str]:
        return [f.name for f in self.model._meta.concrete_fields if is_token_vectors(f)]
