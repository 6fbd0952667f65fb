from django.apps import AppConfig


class ValidationConfig(AppConfig):
    name = "validation"

    def ready(self) -> None:
        from jobs import keeper
        from jobs.registry import register
        from mapping import doubts, hashtags
        from trainer.registry import asked, dependents
        from trainer.runs import unlabelled
        from validation import for_mapping, for_trainer, made_up
        from validation.campaigns import predicting
        from validation.photos import intake, intake_shards, store, uploads

        register(predicting.PREDICT, predicting.predict, shards=predicting.predicting)
        register(intake.INTAKE, intake.take_all_in, shards=intake_shards.preparing)
        register(made_up.KIND, made_up.let_vote, shards=predicting.predicting)
        dependents.register(for_trainer.JudgedModels())
        asked.register(for_trainer.AskedPeople())
        unlabelled.register("campaign", for_trainer.CampaignPhotos())
        doubts.register(for_mapping.Voters())
        hashtags.after_blocking(for_mapping.follow_blocking)
        store.after_withdrawing(made_up.forget_copy_of)
        keeper.every_round(uploads.throw_old_away)
