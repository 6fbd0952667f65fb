"""What campaigns need of serving: to understand authors' hashtags, and to check them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from serving.checking import check
from serving.spelling import understand
from trainer.models import TrainedModel
from validation.campaigns.checker import Said


class Verdicts:
    def understand(self, words: Collection[str], vocabulary: Sequence[str]) -> dict[str, str]:
        meanings = {word: understand(word, vocabulary).hashtag for word in words}
        return {word: hashtag for word, hashtag in meanings.items() if hashtag}

    def check(
        self, photos: Sequence[tuple[bytes, Sequence[str]]], model: TrainedModel
    ) -> list[dict[str, Said]]:
        posts = check(photos, model=model)
        return [
            {answer.hashtag: Said(answer.verdict, answer.probability) for answer in post.answers}
            for post in posts
        ]
