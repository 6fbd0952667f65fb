"""A passkey in a real browser, with Chromium's virtual authenticator: added, then it signs in alone.

On the way the pages that only a person between two steps sees are looked at as all others are.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.test_every_page import AXE, CUT, PHONE, WIDE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def look(page: Page) -> None:
    """As test_every_page does, without loading the page again: it may be one that is seen once."""
    page.wait_for_load_state()
    faults = []
    for size in (WIDE, PHONE):
        for colours in ("light", "dark"):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=colours)
            page.evaluate(AXE_SCRIPT)
            faults += page.evaluate(AXE, {}) + page.evaluate(CUT)
    assert not faults, (page.url, faults)


def sign_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def test_passkey_is_added_and_signs_in_alone(
    page_for: Callable[..., Page], user_for: Callable[..., User]
) -> None:
    user = user_for("curator")
    page = page_for("stranger", bypass_csp=True)
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    device |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})

    sign_in(page, "curator")
    expect(page.get_by_role("link", name="curator")).to_be_visible()
    page.goto("/people/me/sign-in/")
    look(page)
    page.get_by_role("link", name="Add one").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    look(page)
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_label("Sign in with this passkey alone")).to_be_visible()
    look(page)
    page.get_by_label("Sign in with this passkey alone").check()
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    look(page)
    for path in ("codes/new/", "app/", f"passkeys/{Authenticator.objects.get(type='webauthn').pk}/remove/"):
        page.goto(f"/people/me/sign-in/{path}")
        look(page)

    sign_out(page)
    page.goto("/login/")
    look(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("link", name="curator")).to_be_visible()

    sign_out(page)
    TOTP.activate(user, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    sign_in(page, "curator")  # by the password: then the passkey is the second factor
    expect(page.get_by_role("heading", name="Your second factor")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("link", name="curator")).to_be_visible()
    page.goto("/people/me/sign-in/app/remove/")
    for path in ("/login/again/passkey/", "/login/again/code/"):
        page.goto(path)
        look(page)
