from django.apps import AppConfig


class ServingConfig(AppConfig):
    name = "serving"

    def ready(self) -> None:
        from jobs import keeper
        from serving import for_trainer, for_validation, posts
        from trainer.registry import dependents
        from validation.campaigns import checker

        dependents.register(for_trainer.ModelsInUse())
        checker.register(for_validation.Verdicts())
        keeper.every_round(posts.forget_old)
