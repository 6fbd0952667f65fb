from django.urls import path

from validation import (
    views,
    views_agreement,
    views_campaigns,
    views_guests,
    views_intake,
    views_public,
    views_vote,
)

app_name = "validation"
urlpatterns = [
    path("campaigns/", views_campaigns.campaigns, name="campaigns"),
    path("campaigns/new/", views_campaigns.new_campaign, name="new_campaign"),
    path("campaigns/<int:pk>/", views_campaigns.campaign, name="campaign"),
    path("campaigns/<int:pk>/open/", views_campaigns.set_open, {"is_open": True}, name="open"),
    path("campaigns/<int:pk>/close/", views_campaigns.set_open, {"is_open": False}, name="close"),
    path("campaigns/<int:pk>/photos/<int:photo_pk>/withdraw/", views_campaigns.withdraw, name="withdraw"),
    path("campaigns/<int:pk>/rules/", views_campaigns.edit, name="edit"),
    path("campaigns/<int:pk>/revoke/", views_campaigns.revoke, name="revoke"),
    path("campaigns/<int:pk>/people/", views_campaigns.people, name="people"),
    *(
        path(
            f"campaigns/<int:pk>/people/<int:person_pk>/{decision}/",
            views_campaigns.decide,
            {"decision": decision},
            name=decision.replace("-", "_"),
        )
        for decision in views_campaigns.DECISIONS
    ),
    path("campaigns/<int:pk>/known/", views_campaigns.known, name="known"),
    path("join/<str:token>/", views_guests.join, name="join"),
    path("vote/", views_vote.vote_index, name="vote_index"),
    path("vote/<int:pk>/", views_vote.vote, name="vote"),
    path("vote/language/", views_vote.language, name="language"),
    path("vote/<int:pk>/undo/", views_vote.undo, name="undo"),
    path("vote/<int:pk>/next/", views_vote.next_questions, name="next_questions"),
    path("vote/<int:pk>/votes/", views_vote.give_vote, name="give_vote"),
    path("vote/<int:pk>/take-back/", views_vote.take_back, name="take_back"),
    path("vote/<int:pk>/more/", views_vote.say_more, name="say_more"),
    path("agreement/", views_agreement.agreement, name="agreement"),
    path("agreement/photos/", views_agreement.votes, name="votes"),
    path("agreement/<int:pk>/mend/", views_agreement.mend, name="mend"),
    path("agreement/<int:pk>/models/", views_agreement.models, name="models"),
    path("campaigns/<int:pk>/share/", views_public.share, name="share"),
    path("campaigns/<int:pk>/publish/", views_public.publish, {"is_public": True}, name="publish"),
    path("campaigns/<int:pk>/unpublish/", views_public.publish, {"is_public": False}, name="unpublish"),
    path("campaigns/<int:pk>/votes.csv", views_public.export, {"kind": "csv"}, name="export_csv"),
    path("campaigns/<int:pk>/votes.json", views_public.export, {"kind": "json"}, name="export_json"),
    path("campaigns/<int:pk>/agreement.svg", views_public.figure, name="figure"),
    path("public/<str:token>/", views_public.public, name="public"),
    path("intakes/", views_intake.intakes, name="intakes"),
    path("intakes/new/", views_intake.new, name="new_intake"),
    path("intakes/<int:pk>/", views_intake.intake, name="intake"),
    path("intakes/<int:pk>/give-up/", views_intake.give_up, name="give_up"),
    path("photos/<int:pk>/", views_intake.photo, name="photo_page"),
    path("photos/<int:pk>/withdraw/", views_intake.withdraw, name="withdraw_everywhere"),
    path("photos/<int:pk>/correct/", views_intake.correct, name="correct"),
    path("corrections/train/", views_intake.train_on_corrections, name="train_on_corrections"),
    path("photos/<int:pk>.jpg", views.photo, name="photo"),
]
