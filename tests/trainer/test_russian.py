"""The trainer's pages in Russian: what their views and the engine say, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from trainer.models import TrainingRun

pytestmark = pytest.mark.django_db
RUSSIAN = {"Accept-Language": "ru"}


def test_pages_of_a_run_are_russian(client_for: Callable[..., Client], run: TrainingRun) -> None:
    client = client_for("admin")
    pages = {
        run.get_absolute_url(): ("Матрица ошибок", "Замороженная EfficientNet-Lite0", "отложенные фото: 20"),
        f"{run.get_absolute_url()}photos/?true=bar": ("с меткой #bar, сначала самые уверенные.",),
        "/trainer/runs/": ("Сначала новые", "Показать"),
        "/trainer/runs/new/": (
            "От 0 до 1",
            "Наибольшая скорость.",
            "изменено: %s",
            "Минуты на ноутбуке",
            "на 0,5 %",
        ),
        f"/trainer/runs/compare/?run={run.pk}": ("Основной запуск", "1 запуск."),
        run.photo_set.get_absolute_url(): ("Зарегистрирован", "Фото по хештегам"),
        f"{run.get_absolute_url()}delete/": ("Вместе с этим запуском навсегда удалятся:", "эпох"),
    }
    for path, all_words in pages.items():
        response = client.get(path, headers=RUSSIAN)
        page = " ".join(response.content.decode().replace("\u00a0", " ").split())
        assert response.status_code == 200, path
        for words in all_words:
            assert words in page, path


def test_errors_of_forms_are_russian(client_for: Callable[..., Client], run: TrainingRun) -> None:
    client = client_for("admin")
    sweep = client.post("/trainer/sweeps/new/", {}, headers=RUSSIAN)
    assert "Выберите хотя бы один рецепт." in sweep.content.decode()
    photos = client.post("/trainer/photo-sets/new/", {"name": "New"}, headers=RUSSIAN)
    assert "Укажите либо папку на сервере, либо архив tar." in photos.content.decode()
