"""Examples of answers, for the description of the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

ENTRY: dict[str, Any] = {
    "id": 7,
    "key": "t/toyshop",
    "name": "toyshop",
    "name_ru": "магазин игрушек",
    "level1": "indoor",
    "level2": "shopping_and_dining",
    "label": "shopping",
    "status": "confirmed",
    "sense": "toyshop.n.01",
    "synset": "toyshop",
    "hypernym_sense": "shop.n.01",
    "hypernym": "shop",
    "note": "",
    "version": 4,
    "change": 31,
    "changed_by": "ann",
    "changed_at": "2026-11-23T14:52:08Z",
}
MOVES: dict[str, Any] = {
    "before": 1,
    "after": 3,
    "kinds": [{"kind": "moved", "classes": 2}],
    "photos_relabelled": 214,
    "steps": [
        {
            "before": "shopping",
            "after": "art",
            "classes": 2,
            "photos": 214,
            "examples": ["s/shoe_shop", "t/toyshop"],
        }
    ],
    "stale": [
        {
            "name": "SUN397, fine-tuned ResNet",
            "url": "/trainer/runs/4/",
            "release": 1,
            "photos": 214,
            "model": "SUN397, fine-tuned ResNet",
            "model_url": "/trainer/models/3/",
            "active": True,
        }
    ],
    "emptied": [],
    "first": ["art"],
    "moves": [
        {
            "scene_key": "s/shoe_shop",
            "kind": "moved",
            "before": "shopping",
            "after": "art",
            "detail": "",
            "photos": 101,
        },
        {
            "scene_key": "t/toyshop",
            "kind": "moved",
            "before": "shopping",
            "after": "art",
            "detail": "hypernym shop.n.01 → building.n.01",
            "photos": 113,
        },
    ],
    "next": None,
}
STALE = "2 of these classes were changed in the meantime. Nothing was saved."


def _answer(name: str, value: dict[str, Any], code: int = 200) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[str(code)])


ENTRIES_PAGE = _answer("A page", {"next": None, "results": [ENTRY]})
SAVED_ONE = _answer("Saved", ENTRY)
SAVED_MANY = _answer("Saved", {"change": 31, "results": [ENTRY]})
STALE_ENTRIES = _answer("Somebody else saved first", {"detail": STALE, "current": [ENTRY]}, 409)
UNDONE = _answer("Undone", {"change": 31, "restored": [7, 9], "kept": []})
COMPARED = _answer("Shops moved to art", MOVES)
UNPUBLISHED = _answer("Not published yet", MOVES | {"after": None, "seen": "0f3a9c51d2e4b687"})
