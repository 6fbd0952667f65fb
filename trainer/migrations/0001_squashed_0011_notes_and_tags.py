# A new database gets this one in place of those that it replaces: docs/decisions/0057-squashed-migrations.md

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('trainer', '0001_initial'),
        ('trainer', '0002_photo_index'),
        ('trainer', '0003_runs_compared_and_registered'),
        ('trainer', '0004_model_target'),
        ('trainer', '0005_epochs_without_test'),
        ('trainer', '0006_promise'),
        ('trainer', '0007_label_folders'),
        ('trainer', '0008_class_looks'),
        ('trainer', '0009_derived_models'),
        ('trainer', '0010_relabelled'),
        ('trainer', '0011_notes_and_tags'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('jobs', '0005_shards'),
        ('mapping', '0007_authors_words'),
    ]

    operations = [
        migrations.CreateModel(
            name='TestSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('photos', models.PositiveIntegerField()),
                ('keys', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='PhotoSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('source', models.CharField(max_length=500)),
                ('root', models.CharField(blank=True, max_length=500)),
                ('report', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('job', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='photo_set', to='jobs.job')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='ScenePhoto',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label_folder', models.CharField(blank=True, max_length=200)),
                ('path', models.CharField(max_length=500)),
                ('sha256', models.CharField(max_length=64)),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('photo_set', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='photos', to='trainer.photoset')),
                ('scene_class', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='photos', to='mapping.sceneclass')),
            ],
            options={
                'ordering': ['path'],
                'indexes': [models.Index(fields=['photo_set', 'scene_class'], name='trainer_sce_photo_s_1445a5_idx')],
                'constraints': [models.UniqueConstraint(fields=('photo_set', 'sha256'), name='photo_once_in_a_set'), models.UniqueConstraint(fields=('photo_set', 'path'), name='path_once_in_a_set'), models.CheckConstraint(condition=models.Q(('scene_class', None), ('label_folder', ''), _connector='XOR'), name='class_or_label_folder')],
            },
        ),
        migrations.CreateModel(
            name='Sweep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='TrainedModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('is_derived', models.BooleanField(default=False)),
                ('imported_from', models.CharField(blank=True, max_length=200)),
                ('target_precision', models.FloatField(default=0.9)),
                ('promise', models.CharField(default='none', max_length=10)),
                ('manifest', models.JSONField(blank=True, default=dict)),
                ('card', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('derived_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='derived', to='trainer.trainedmodel')),
                ('job', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='model', to='jobs.job')),
                ('release', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='mapping.release')),
            ],
            options={
                'ordering': ['-created_at'],
                'permissions': [('suggest', 'Can ask for hashtag suggestions')],
            },
        ),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('promoted_at', models.DateTimeField(auto_now_add=True)),
                ('promoted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to='trainer.trainedmodel')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='TrainingRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('notes', models.TextField(blank=True, max_length=5000)),
                ('preset', models.CharField(max_length=50)),
                ('recipe', models.JSONField()),
                ('report', models.JSONField(blank=True, default=dict)),
                ('accuracy', models.FloatField(blank=True, null=True)),
                ('balanced_accuracy', models.FloatField(blank=True, null=True)),
                ('live', models.JSONField(blank=True, default=dict)),
                ('code_version', models.CharField(blank=True, max_length=50)),
                ('right', models.BinaryField(blank=True, null=True)),
                ('weights_removed_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('based_on', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='variants', to='trainer.trainingrun')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('job', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='run', to='jobs.job')),
                ('photo_set', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='trainer.photoset')),
                ('release', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='mapping.release')),
                ('sweep', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='runs', to='trainer.sweep')),
                ('test_set', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='runs', to='trainer.testset')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.AddField(
            model_name='trainedmodel',
            name='run',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='models', to='trainer.trainingrun'),
        ),
        migrations.CreateModel(
            name='RunTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=30)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tags', to='trainer.trainingrun')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(fields=('run', 'name'), name='tag_once_on_a_run')],
            },
        ),
        migrations.CreateModel(
            name='HeldOutPrediction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('true', models.CharField(max_length=50)),
                ('predicted', models.CharField(max_length=50)),
                ('confidence', models.FloatField()),
                ('photo', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='trainer.scenephoto')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='held_out', to='trainer.trainingrun')),
            ],
            options={
                'ordering': ['-confidence'],
                'indexes': [models.Index(fields=['run', 'true', 'predicted'], name='trainer_hel_run_id_9a586a_idx')],
                'constraints': [models.UniqueConstraint(fields=('run', 'photo'), name='photo_once_held_out')],
            },
        ),
        migrations.CreateModel(
            name='Epoch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('loss', models.FloatField()),
                ('test_loss', models.FloatField(blank=True, null=True)),
                ('accuracy', models.FloatField(blank=True, null=True)),
                ('balanced_accuracy', models.FloatField(blank=True, null=True)),
                ('lr', models.FloatField(blank=True, null=True)),
                ('photos_per_second', models.FloatField(blank=True, null=True)),
                ('train_accuracy', models.FloatField(blank=True, null=True)),
                ('seconds', models.FloatField(blank=True, null=True)),
                ('memory_mb', models.FloatField(blank=True, null=True)),
                ('gpu_memory_mb', models.FloatField(blank=True, null=True)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='epochs', to='trainer.trainingrun')),
            ],
            options={
                'ordering': ['number'],
                'constraints': [models.UniqueConstraint(fields=('run', 'number'), name='epoch_once_in_a_run')],
            },
        ),
        migrations.CreateModel(
            name='ClassLooks',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('backbone', models.CharField(max_length=50)),
                ('classes', models.PositiveIntegerField(default=0)),
                ('photos', models.PositiveIntegerField(default=0)),
                ('content', models.BinaryField(default=bytes)),
                ('looked_at', models.DateTimeField(blank=True, null=True)),
                ('job', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='looks', to='jobs.job')),
                ('photo_set', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='looks', to='trainer.photoset')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('photo_set', 'backbone'), name='looked_at_once_by_a_backbone')],
            },
        ),
        migrations.AddConstraint(
            model_name='trainedmodel',
            constraint=models.UniqueConstraint(condition=models.Q(('is_derived', False)), fields=('run', 'target_precision', 'promise'), name='one_export_per_target_and_promise'),
        ),
        migrations.AddConstraint(
            model_name='trainedmodel',
            constraint=models.UniqueConstraint(condition=models.Q(('job__isnull', False)), fields=('derived_from', 'release'), name='relabelled_once_with_a_release'),
        ),
    ]
