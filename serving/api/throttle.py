"""How many photos a token may send in a while. Requests have one photo or many, so photos are counted."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from people.authentication import TokenRate
from people.models import Token
from serving.api.photos import FIELD, photos_of


class PhotoThrottle(TokenRate):
    """Takes a request whole or not at all: at the settings' rate, or at the token's own, which counts its
    requests elsewhere. Raises ValidationError if a request alone exceeds the rate.
    """

    num_requests: int
    duration: int
    history: list[float]
    own_rate = ""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.method != "POST":  # it gets no answer, and what it sends need not be a form
            return True
        self.own_rate = request.auth.rate if isinstance(request.auth, Token) else ""
        self.count = max(1, len(photos_of(request)))
        is_allowed: bool = ScopedRateThrottle.allow_request(self, request, view)
        if self.count > self.num_requests:
            words = f"These are {self.count} photos; this token may send {self.rate}."
            raise ValidationError({FIELD: [words]})
        return is_allowed

    def get_rate(self) -> str:
        return self.own_rate or str(super().get_rate())

    def throttle_success(self) -> bool:
        if len(self.history) + self.count > self.num_requests:
            return self.throttle_failure()
        self.history = [self.now] * self.count + self.history
        self.cache.set(self.key, self.history, self.duration)
        return True

    def wait(self) -> float | None:
        """Seconds until so many earlier photos are forgotten that this request fits."""
        surplus = len(self.history) + self.count - self.num_requests
        return float(self.duration - (self.now - self.history[-surplus])) if self.history else None
