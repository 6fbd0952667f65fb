from django.urls import path

from validation.views import agreement, campaigns, guests, intake, own, photos, public, vote

app_name = "validation"
urlpatterns = [
    path("campaigns/", campaigns.campaigns, name="campaigns"),
    path("campaigns/new/", campaigns.new_campaign, name="new_campaign"),
    path("campaigns/<int:pk>/", campaigns.campaign, name="campaign"),
    path("campaigns/<int:pk>/open/", campaigns.set_open, {"is_open": True}, name="open"),
    path("campaigns/<int:pk>/close/", campaigns.set_open, {"is_open": False}, name="close"),
    path("campaigns/<int:pk>/photos/<int:photo_pk>/withdraw/", campaigns.withdraw, name="withdraw"),
    path("campaigns/<int:pk>/rules/", campaigns.edit, name="edit"),
    path("campaigns/<int:pk>/revoke/", campaigns.revoke, name="revoke"),
    path("campaigns/<int:pk>/people/", campaigns.people, name="people"),
    *(
        path(
            f"campaigns/<int:pk>/people/<int:person_pk>/{decision}/",
            campaigns.decide,
            {"decision": decision},
            name=decision.replace("-", "_"),
        )
        for decision in campaigns.DECISIONS
    ),
    path("campaigns/<int:pk>/known/", campaigns.known, name="known"),
    path("join/<str:token>/", guests.join, name="join"),
    path("vote/", vote.vote_index, name="vote_index"),
    path("vote/<int:pk>/", vote.vote, name="vote"),
    path("vote/mine/", own.my_votes, name="my_votes"),
    path("vote/language/", vote.language, name="language"),
    path("vote/<int:pk>/undo/", vote.undo, name="undo"),
    path("vote/<int:pk>/next/", vote.next_questions, name="next_questions"),
    path("vote/<int:pk>/votes/", vote.give_vote, name="give_vote"),
    path("vote/<int:pk>/take-back/", vote.take_back, name="take_back"),
    path("vote/<int:pk>/more/", vote.say_more, name="say_more"),
    path("agreement/", agreement.agreement, name="agreement"),
    path("agreement/photos/", agreement.votes, name="votes"),
    path("agreement/<int:pk>/mend/", agreement.mend, name="mend"),
    path("agreement/<int:pk>/models/", agreement.models, name="models"),
    path("campaigns/<int:pk>/share/", public.share, name="share"),
    path("campaigns/<int:pk>/publish/", public.publish, {"is_public": True}, name="publish"),
    path("campaigns/<int:pk>/unpublish/", public.publish, {"is_public": False}, name="unpublish"),
    path("campaigns/<int:pk>/votes.csv", public.export, {"kind": "csv"}, name="export_csv"),
    path("campaigns/<int:pk>/votes.json", public.export, {"kind": "json"}, name="export_json"),
    path("campaigns/<int:pk>/agreement.svg", public.figure, name="figure"),
    path("public/<str:token>/", public.public, name="public"),
    path("intakes/", intake.intakes, name="intakes"),
    path("intakes/new/", intake.new, name="new_intake"),
    path("intakes/<int:pk>/", intake.intake, name="intake"),
    path("intakes/<int:pk>/give-up/", intake.give_up, name="give_up"),
    path("photos/<int:pk>/", intake.photo, name="photo_page"),
    path("photos/<int:pk>/withdraw/", intake.withdraw, name="withdraw_everywhere"),
    path("photos/<int:pk>/correct/", intake.correct, name="correct"),
    path("corrections/train/", intake.train_on_corrections, name="train_on_corrections"),
    path("photos/<int:pk>.jpg", photos.photo, name="photo"),
]
