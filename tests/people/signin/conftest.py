"""A mail server and an OpenID Connect provider, both small fakes on the loopback: none can be had here."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import jwt
import pytest
from allauth.account.models import EmailAddress
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

SITE = "https://tags.example.org"


@pytest.fixture
def can_mail(settings: Settings) -> None:
    settings.EMAIL_URL, settings.SITE_URL = "smtp://mail.example.org", SITE


@pytest.fixture
def with_address(user_for: Callable[..., User]) -> Callable[..., User]:
    def make(role: str, name: str = "", address: str = "", verified: bool = True) -> User:
        user = user_for(role, name or role)
        email = address or f"{user.username}@example.org"
        EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
        return user

    return make


class FakeMailServer:
    """Speaks SMTP; keeps what it takes, and refuses with 451 while `is_ill`."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_ill = False
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, words: str) -> None:
                self.wfile.write(f"{words}\r\n".encode())

            def handle(self) -> None:
                self.say("220 fake")
                while line := self.rfile.readline():
                    word = line.split(b" ")[0].strip().upper()
                    if word == b"QUIT":
                        return self.say("221 bye")
                    if word == b"MAIL" and outer.is_ill:
                        self.say("451 come back later")
                    elif word == b"DATA":
                        self.say("354 go on")
                        text = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            text += part
                        outer.taken.append(text.decode())
                        self.say("250 taken")
                    else:
                        self.say("250 ok")
                return None

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mail_server(settings: Settings, can_mail: None) -> Iterator[FakeMailServer]:
    fake = FakeMailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", fake.port
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeProvider:
    """Signs everybody in as `person`, by tokens with a real signature."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {"sub": "7", "email": "ann@example.org", "email_verified": True}
        self.token: dict[str, Any] = {}  # what its token says otherwise
        self.key = KEY
        self.asked: dict[str, list[str]] = {}  # for a token
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(outer.answers()[urlparse(self.path).path])

            def do_POST(self) -> None:
                outer.asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.answer({"access_token": "a", "token_type": "Bearer", "id_token": outer.id_token()})

            def answer(self, facts: dict[str, Any]) -> None:
                body = json.dumps(facts).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def id_token(self) -> str:
        now = int(time.time())
        facts = {
            "iss": self.issuer,
            "aud": "scenetag",
            "sub": self.person["sub"],
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode(facts | self.token, self.key, algorithm="RS256", headers={"kid": "1"})

    def answers(self) -> dict[str, dict[str, Any]]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/me",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            },
            "/keys": {"keys": [key | {"kid": "1", "alg": "RS256"}]},
            "/me": self.person,
        }

    def sign_in(self, client: Client, state: str = "", **more: str) -> Any:
        """What a browser does: to the provider, and back with a code."""
        start = client.get("/login/with/oidc/", more)
        asked = parse_qs(urlparse(start["Location"]).query)
        return client.get("/login/with/oidc/back/", {"code": "c", "state": state or asked["state"][0]})


@pytest.fixture
def provider(settings: Settings) -> Iterator[FakeProvider]:
    fake = FakeProvider()
    settings.OIDC_ISSUER, settings.OIDC_NAME = fake.issuer, "Example ID"
    app = {"provider_id": "oidc", "name": "Example ID", "client_id": "scenetag", "secret": "s"}
    app["settings"] = {"server_url": fake.issuer, "oauth_pkce_enabled": True}  # type: ignore[assignment]
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
