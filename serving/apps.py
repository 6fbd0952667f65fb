from django.apps import AppConfig


class ServingConfig(AppConfig):
    name = "serving"

    def ready(self) -> None:
        from jobs import keeper
        from serving import for_trainer, posts
        from trainer.registry import dependents

        dependents.register(for_trainer.ModelsInUse())
        keeper.every_round(posts.forget_old)
