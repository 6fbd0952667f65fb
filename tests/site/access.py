"""Who may do what at which address; tests/site/test_access.py compares every answer of the site with it.

A new address needs a line: its name, and for each method who may use it. HEAD goes with GET. Whoever may do
something at an address of the API may ask for its OPTIONS.
"""

from __future__ import annotations

# Not signed in; signed in without a role; came by the campaign's link; the roles of hashtags_site/roles.py.
ROLES = ("stranger", "nobody", "guest", "validator", "viewer", "curator", "admin", "administrator", "network")

EVERYBODY = set(ROLES)
MEMBERS = EVERYBODY - {"stranger"}
PEOPLE = MEMBERS - {"guest"}
ADMINISTRATOR = {"administrator"}
LOOK = {"viewer", "curator", "admin"} | ADMINISTRATOR
CURATOR = {"curator"} | ADMINISTRATOR
ADMIN = {"admin"} | ADMINISTRATOR
VOTE = {"validator", "guest"}
MODERATE = CURATOR | ADMIN
SUGGEST = ADMIN | {"network"}


def get(who: set[str]) -> dict[str, set[str]]:
    return {"GET": who}


def post(who: set[str]) -> dict[str, set[str]]:
    return {"POST": who}


def put(who: set[str]) -> dict[str, set[str]]:
    return {"PUT": who}


def patch(who: set[str]) -> dict[str, set[str]]:
    return {"PATCH": who}


def delete(who: set[str]) -> dict[str, set[str]]:
    return {"DELETE": who}


ACCESS: dict[str, dict[str, set[str]]] = {
    "home": get(MEMBERS),
    "setup": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "search": get(LOOK),
    "login": get(EVERYBODY) | post(EVERYBODY),
    "logout": post(MEMBERS),
    # --- the sign-in; its names are allauth's
    "account_login": get(EVERYBODY) | post(EVERYBODY),
    "account_logout": post(MEMBERS),
    "mfa_authenticate": get(EVERYBODY) | post(EVERYBODY),
    "mfa_login_webauthn": get(EVERYBODY) | post(EVERYBODY),
    "openid_connect_login": get(EVERYBODY),
    "openid_connect_callback": get(EVERYBODY),
    "account_reset_password": get(EVERYBODY) | post(EVERYBODY),
    "account_reset_password_done": get(EVERYBODY),
    "account_confirm_email": get(EVERYBODY) | post(EVERYBODY),
    "account_reauthenticate": get(PEOPLE) | post(PEOPLE),
    "mfa_reauthenticate": get(PEOPLE) | post(PEOPLE),
    "mfa_reauthenticate_webauthn": get(PEOPLE) | post(PEOPLE),
    "mfa_index": get(PEOPLE),
    "mfa_activate_totp": get(PEOPLE) | post(PEOPLE),
    "mfa_deactivate_totp": get(PEOPLE) | post(PEOPLE),
    "mfa_add_webauthn": get(PEOPLE) | post(PEOPLE),
    "mfa_remove_webauthn": get(PEOPLE) | post(PEOPLE),
    "mfa_view_recovery_codes": get(PEOPLE),
    "mfa_generate_recovery_codes": get(PEOPLE) | post(PEOPLE),
    "account_email": get(PEOPLE) | post(PEOPLE),
    "health": get(EVERYBODY),
    "live": get(EVERYBODY),
    "ready": get(EVERYBODY),
    "doctor": get(ADMIN),
    "metrics": get(ADMIN),  # and who has the token, or is in a network of the settings
    "favicon.ico": get(EVERYBODY),
    "schema": get(EVERYBODY),
    "api": get(EVERYBODY),
    "api_reference": get(EVERYBODY),
    # --- mapping: everybody who may look sees it; curators change it
    "mapping:entries": get(LOOK),
    "mapping:entry": get(LOOK) | post(CURATOR),
    "mapping:unpublished": get(CURATOR),
    "mapping:bulk": post(CURATOR),
    "mapping:bulk_undo": post(CURATOR),
    "mapping:groups": get(CURATOR),
    "mapping:evidence": get(CURATOR),
    "mapping:queue": get(CURATOR),
    "mapping:decide": post(CURATOR),
    "mapping:undo": post(CURATOR),
    "mapping:queue_hashtags": get(CURATOR),
    "mapping:queue_path": get(CURATOR),
    "mapping:assistants": get(LOOK),
    "mapping:hashtags": get(LOOK),
    "mapping:block_hashtag": post(CURATOR),
    "mapping:upload_counts": post(CURATOR),
    "mapping:import_counts": get(CURATOR) | post(CURATOR),
    "mapping:hashtag_figure": get(LOOK),
    "mapping:export_hashtags": get(LOOK),
    "mapping:exchange": get(LOOK),
    "mapping:export": get(LOOK),
    "mapping:upload": post(CURATOR),
    "mapping:import": get(CURATOR) | post(CURATOR),
    "mapping:opinions": get(LOOK),
    "mapping:start_opinion": post(CURATOR),
    "mapping:opinion": get(LOOK),
    "mapping:fill_opinion": post(CURATOR),
    "mapping:delete_opinion": get(CURATOR) | post(CURATOR),
    "mapping:settle": get(LOOK),
    "mapping:settle_one": post(CURATOR),
    "mapping:take_over": get(CURATOR) | post(CURATOR),
    "mapping:releases": get(LOOK),
    "mapping:compare": get(LOOK),
    "mapping:publish": get(CURATOR) | post(CURATOR),
    "mapping:release": get(LOOK),
    # --- photo sets, runs, models
    "trainer:photo_sets": get(LOOK),
    "trainer:new_photo_set": get(ADMIN) | post(ADMIN),
    "trainer:photo_set": get(LOOK),
    "trainer:photo": get(LOOK),
    "trainer:small_photo": get(LOOK),
    "trainer:runs": get(LOOK),
    "trainer:new_run": get(ADMIN) | post(ADMIN),
    "trainer:new_run_rate": get(ADMIN),
    "trainer:new_run_rate_figure": get(ADMIN),
    "trainer:compare": get(LOOK),
    "trainer:compare_figure": get(LOOK),
    "trainer:run": get(LOOK),
    "trainer:run_figure": get(LOOK),
    "trainer:run_photos": get(LOOK),
    "trainer:download_run": get(LOOK),
    "trainer:run_notes": get(ADMIN) | post(ADMIN),
    "trainer:export": post(ADMIN),
    "trainer:delete_run": get(ADMIN) | post(ADMIN),
    "trainer:sweeps": get(LOOK),
    "trainer:new_sweep": get(ADMIN) | post(ADMIN),
    "trainer:sweep": get(LOOK),
    "trainer:cancel_sweep": post(ADMIN),
    "trainer:retry_sweep": post(ADMIN),
    "trainer:delete_sweep": get(ADMIN) | post(ADMIN),
    "trainer:open_board": post(LOOK),
    "trainer:board": get(LOOK) | post(LOOK),  # TensorBoard reads by POST
    "trainer:models": get(LOOK),
    "trainer:roll_back": post(ADMIN),
    "trainer:model": get(LOOK),
    "trainer:promote": get(ADMIN) | post(ADMIN),
    "trainer:import_model": get(ADMIN) | post(ADMIN),
    "trainer:download_model": get(LOOK),
    "trainer:relabel_model": post(ADMIN),
    "trainer:rename_model": post(ADMIN),
    "trainer:delete_model": get(ADMIN) | post(ADMIN),
    "trainer:suggest": get(SUGGEST) | post(SUGGEST),
    "serving:check": get(SUGGEST) | post(SUGGEST),
    # --- campaigns and photos: admins; the dashboard: everybody who may look
    "validation:campaigns": get(LOOK),
    "validation:new_campaign": get(ADMIN) | post(ADMIN),
    "validation:new_authors_campaign": get(ADMIN) | post(ADMIN),
    "validation:votes_needed": get(ADMIN),
    "validation:campaign": get(LOOK),
    "validation:authors": get(ADMIN),
    "validation:export_authors": get(ADMIN),
    "validation:open": post(ADMIN),
    "validation:close": post(ADMIN),
    "validation:withdraw": post(ADMIN),
    "validation:edit": get(ADMIN) | post(ADMIN),
    "validation:revoke": post(ADMIN),
    "validation:people": get(ADMIN),
    "validation:pause": post(ADMIN),
    "validation:unpause": post(ADMIN),
    "validation:set_aside": post(ADMIN),
    "validation:bring_back": post(ADMIN),
    "validation:known": get(ADMIN) | post(ADMIN),
    "validation:agreement": get(LOOK),
    "validation:votes": get(LOOK),
    "validation:mend": get(LOOK),
    "validation:models": get(LOOK),
    "validation:thresholds": get(LOOK),
    "validation:take_over": post(ADMIN),
    "validation:make_up_votes": post(ADMIN),
    "validation:remove_made_up_votes": post(ADMIN),
    "validation:agreement_figure": get(LOOK),
    "validation:curve": get(LOOK),
    "validation:share": get(LOOK),
    "validation:publish": post(ADMIN),
    "validation:unpublish": post(ADMIN),
    "validation:export_csv": get(LOOK),
    "validation:export_json": get(LOOK),
    "validation:figure": get(LOOK),
    "validation:public": get(EVERYBODY),
    "validation:intakes": get(ADMIN),
    "validation:new_intake": get(ADMIN) | post(ADMIN),
    "validation:intake": get(ADMIN),
    "validation:give_up": post(ADMIN),
    "validation:uploads": post(ADMIN) | {"OPTIONS": ADMIN},
    "validation:upload": get(ADMIN) | patch(ADMIN) | delete(ADMIN),  # one's own
    "validation:throw_away": post(ADMIN),
    "validation:photos": get(ADMIN),
    "validation:archive": post(ADMIN),
    "validation:unarchive": post(ADMIN),
    "validation:delete_campaign": get(ADMIN) | post(ADMIN),
    "validation:preview": get(LOOK),
    "validation:photo_page": get(LOOK),
    "validation:withdraw_everywhere": post(ADMIN),
    "validation:correct": post(ADMIN),
    "validation:train_on_corrections": post(ADMIN),
    "validation:photo": get(LOOK | VOTE),
    # --- voting: validators everywhere, guests in their campaign
    "validation:join": get(VOTE | {"stranger"}) | post(VOTE | {"stranger"}),
    "validation:vote_index": get(VOTE),
    "validation:vote": get(VOTE) | post(VOTE),
    "validation:language": post(EVERYBODY),
    "validation:my_votes": get({"validator"}),
    "validation:undo": post(VOTE),
    "validation:next_questions": get(VOTE),
    "validation:give_vote": post(VOTE),
    "validation:take_back": post(VOTE),
    "validation:say_more": post(VOTE),
    # --- suggestions in use
    "serving:in_use": get(LOOK),
    "serving:acceptance_csv": get(LOOK),
    "serving:in_use_figure": get(LOOK),
    "serving:trials": get(LOOK),
    "serving:start_trial": post(ADMIN),
    "serving:stop_trial": post(ADMIN),
    "serving:posts": get(MODERATE),
    "serving:ask_about_posts": get(ADMIN) | post(ADMIN),
    "serving:export_posts": get(MODERATE),
    "serving:look_at_post": post(MODERATE),
    "serving:delete_author": post(MODERATE),
    # --- jobs
    "jobs:jobs": get(LOOK),
    "jobs:job": get(LOOK),
    "jobs:cancel": post(ADMIN),
    "jobs:retry": post(ADMIN),
    "jobs:retry_shard": post(ADMIN),
    # --- people, tokens
    "people:people": get(ADMINISTRATOR),
    "people:invite": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "people:withdraw": post(ADMINISTRATOR),
    "people:person": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "people:deactivate": post(ADMINISTRATOR),
    "people:activate": post(ADMINISTRATOR),
    "people:set_address": post(ADMINISTRATOR),
    "people:take_away_factor": post(ADMINISTRATOR),
    "people:make_reset": post(ADMINISTRATOR),
    "people:teams": get(ADMINISTRATOR),
    "people:new_team": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "people:team": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "people:put_in_team": post(ADMINISTRATOR),
    "people:take_out_of_team": post(ADMINISTRATOR),
    "people:delete_team": post(ADMINISTRATOR),
    "people:join": get({"stranger"}) | post({"stranger"}),
    "people:reset": get(EVERYBODY) | post(EVERYBODY),
    "people:me": get(PEOPLE) | post(PEOPLE),
    "people:password": get(PEOPLE) | post(PEOPLE),
    "people:history": get(ADMINISTRATOR),
    "people:export_history": get(ADMINISTRATOR),
    "people:tokens": get(ADMINISTRATOR),
    "people:new_token": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "people:token": get(ADMINISTRATOR),
    "people:revoke_token": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    # --- hooks and notices
    "notices:notices": get(LOOK),
    "notices:count": get(LOOK),
    "notices:mark_read": post(LOOK),
    "notices:mail": get(LOOK) | post(LOOK),
    "notices:hooks": get(ADMINISTRATOR),
    "notices:new_hook": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "notices:hook": get(ADMINISTRATOR),
    "notices:switch_on": post(ADMINISTRATOR),
    "notices:switch_off": post(ADMINISTRATOR),
    "notices:delete_hook": get(ADMINISTRATOR) | post(ADMINISTRATOR),
    "notices:test_hook": post(ADMINISTRATOR),
    # --- API
    "api_suggest": post(SUGGEST),
    "api_feedback": post(SUGGEST),
    "api_check": post(SUGGEST),
    "api_suggest_stream": post(SUGGEST),
    "api_model": get(SUGGEST),
    "api_runs": get(LOOK),
    "api_models": get(LOOK),
    "api_campaigns": get(LOOK),
    "api_campaign": get(LOOK),
    "api_votes": get(LOOK),
    "api_posts": get(MODERATE),
    "api_entries": get(LOOK),
    "api_entry": get(LOOK) | put(CURATOR),
    "api_suggestions": get(CURATOR),
    "api_decisions": post(CURATOR),
    "api_undo": post(CURATOR),
    "api_hashtags": get(LOOK),
    "api_releases": get(LOOK) | post(CURATOR),
    "api_labels": get(LOOK),
    "api_compare": get(LOOK),
    "api_unpublished": get(LOOK),
    "api_export": get(LOOK),
    "api_import": post(CURATOR),
}

# Where a role may use the method, GET is answered by 200 and other methods by DONE, except here.
DONE = {200, 204, 302, 400, 404, 409, 415, 422}
ANSWERS = {
    "GET login": {200, 302},  # who is signed in is sent home
    "GET account_login": {200, 302},
    "GET mfa_authenticate": {302},  # no password was given before
    "GET mfa_login_webauthn": {302},
    "GET openid_connect_login": {404},  # none is configured
    "GET openid_connect_callback": {404},
    "POST account_confirm_email": {404},  # nobody has sent this link
    # First they show once more who they are; what they have none of is not found, or leads back.
    "GET mfa_reauthenticate": {302},
    "GET mfa_reauthenticate_webauthn": {302},
    "GET mfa_activate_totp": {302},
    "GET mfa_deactivate_totp": {404},
    "GET mfa_add_webauthn": {302},
    "GET mfa_remove_webauthn": {302},
    "GET mfa_view_recovery_codes": {404},
    "GET mfa_generate_recovery_codes": {302},
    "POST account_email": {403},  # the site sends no e-mail
    "GET mapping:delete_opinion": {200, 403},  # 403: it is another curator's
    "POST mapping:delete_opinion": DONE | {403},
    "POST mapping:fill_opinion": DONE | {403},
    "GET validation:authors": {404},  # the campaign is about predictions
    "GET validation:export_authors": {404},
    "GET mapping:import": {302},  # nothing is uploaded
    "GET mapping:import_counts": {302},
    "GET trainer:download_run": {404},  # the run has no report
    "GET trainer:board": {302},  # TensorBoard is not running
    "GET trainer:compare_figure": {404},  # no runs are chosen
    "GET trainer:new_run_rate_figure": {404},  # loss is no chart of it
    "GET validation:agreement_figure": {404},
    "GET serving:in_use_figure": {404},
    "GET home": {200, 302},  # a guest is sent to the ballot
    "GET validation:join": {200, 302},  # who may vote already is sent to the ballot
    "POST validation:uploads": {412},  # it is no request of tus
    "GET validation:upload": {404},  # it is another's
    "GET api_model": {503},  # no model is active
    "GET api_compare": {400},  # no releases are chosen
}
