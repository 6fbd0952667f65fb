# A new database gets this one in place of those that it replaces: docs/decisions/0057-squashed-migrations.md

import django.db.models.deletion
import django.db.models.manager
import simple_history.models
from django.conf import settings
from django.db import migrations, models


TABLES = ("mapping_release", "mapping_releaselabel")
MESSAGE = "a release of the mapping cannot be changed"


def add_triggers(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE FUNCTION mapping_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
    for table in TABLES:
        # Deleting a curator's account sets published_by to NULL, which changes nothing that was decided.
        columns = "release_id, scene_key, label, sense, synset, hypernym_sense, hypernym"
        if table == "mapping_release":
            columns = "number, note, published_at"
        action = (
            "EXECUTE FUNCTION mapping_refuse_change()"
            if vendor == "postgresql"
            else f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OF {columns} ON {table} FOR EACH ROW {action}"
        )


def drop_triggers(apps, schema_editor):
    on = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER {table}_frozen" + (f" ON {table}" if on else ""))
    if on:
        schema_editor.execute("DROP FUNCTION mapping_refuse_change()")


NAME = "mapping_release_publisher_frozen"
TABLE = "mapping_release"


def add_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        action = "EXECUTE FUNCTION mapping_refuse_change()"
    else:
        action = "BEGIN SELECT RAISE(ABORT, 'a release of the mapping cannot be changed'); END"
    schema_editor.execute(
        f"CREATE TRIGGER {NAME} BEFORE UPDATE OF published_by_id ON {TABLE} FOR EACH ROW "
        f"WHEN (NEW.published_by_id IS NOT NULL) {action}"
    )


def drop_trigger(apps, schema_editor):
    on = f" ON {TABLE}" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER {NAME}{on}")


class Migration(migrations.Migration):

    replaces = [
        ('mapping', '0001_initial'),
        ('mapping', '0002_releases_cannot_change'),
        ('mapping', '0003_posts_counted_exactly'),
        ('mapping', '0004_acts_and_opinions'),
        ('mapping', '0005_publisher_cannot_change'),
        ('mapping', '0006_entries_by_opinion_and_status'),
        ('mapping', '0007_authors_words'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SceneClass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=100, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('name_ru', models.CharField(blank=True, max_length=100)),
                ('level1', models.CharField(blank=True, max_length=50)),
                ('level2', models.CharField(blank=True, max_length=100)),
            ],
            options={
                'verbose_name_plural': 'scene classes',
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='Hashtag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=50, unique=True)),
                ('posts', models.PositiveBigIntegerField()),
                ('source', models.CharField(max_length=200)),
                ('counted_on', models.CharField(max_length=20)),
                ('blocked', models.BooleanField(default=False)),
                ('blocked_why', models.CharField(blank=True, max_length=200)),
                ('in_vocabulary', models.BooleanField(default=True)),
            ],
            options={
                'ordering': ['-posts', 'name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('name', 'other'), _negated=True), name='hashtag_not_other')],
            },
        ),
        migrations.CreateModel(
            name='HistoricalHashtag',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=50)),
                ('posts', models.PositiveBigIntegerField()),
                ('source', models.CharField(max_length=200)),
                ('counted_on', models.CharField(max_length=20)),
                ('blocked', models.BooleanField(default=False)),
                ('blocked_why', models.CharField(blank=True, max_length=200)),
                ('in_vocabulary', models.BooleanField(default=True)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical hashtag',
                'verbose_name_plural': 'historical hashtags',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Opinion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.CharField(choices=[('decide', 'decided'), ('group', 'confirmed as a group'), ('cluster', 'given to a cluster'), ('table', 'changed in the table'), ('import', 'imported'), ('settle', 'settled between opinions')], max_length=10)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('before', models.JSONField(default=dict)),
                ('undone_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('undone_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('opinion', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to='mapping.opinion')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['by', '-id'], name='change_by_newest')],
            },
        ),
        migrations.CreateModel(
            name='Release',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(unique=True)),
                ('note', models.CharField(max_length=500)),
                ('published_at', models.DateTimeField(auto_now_add=True)),
                ('published_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-number'],
                'permissions': [('publish_release', 'Can publish a release of the mapping')],
            },
        ),
        migrations.CreateModel(
            name='ReleaseLabel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scene_key', models.CharField(max_length=100)),
                ('label', models.CharField(max_length=50)),
                ('sense', models.CharField(blank=True, max_length=100)),
                ('synset', models.CharField(blank=True, max_length=100)),
                ('hypernym_sense', models.CharField(blank=True, max_length=100)),
                ('hypernym', models.CharField(blank=True, max_length=100)),
                ('release', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='labels', to='mapping.release')),
            ],
            options={
                'ordering': [models.OrderBy(models.F('scene_key'))],
                'constraints': [models.UniqueConstraint(fields=('release', 'scene_key'), name='one_label_per_class')],
            },
        ),
        migrations.CreateModel(
            name='MappingEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sense', models.CharField(blank=True, max_length=100)),
                ('synset', models.CharField(blank=True, max_length=100)),
                ('hypernym_sense', models.CharField(blank=True, max_length=100)),
                ('hypernym', models.CharField(blank=True, max_length=100)),
                ('status', models.CharField(choices=[('undecided', 'Undecided'), ('imported', 'Imported'), ('confirmed', 'Confirmed')], default='undecided', max_length=10)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('version', models.PositiveIntegerField(default=1)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('change', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='entries', to='mapping.change')),
                ('changed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('hashtag', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='mapping.hashtag')),
                ('opinion', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='mapping.opinion')),
                ('scene_class', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='mapping.sceneclass')),
            ],
            options={
                'verbose_name_plural': 'mapping entries',
                'ordering': ['scene_class__key'],
                'base_manager_name': 'everywhere',
                'indexes': [models.Index(fields=['opinion', 'status'], name='entry_by_opinion_and_status')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('opinion__isnull', True)), fields=('scene_class',), name='one_entry_per_class'), models.UniqueConstraint(fields=('opinion', 'scene_class'), name='one_answer_per_opinion'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'undecided'), _negated=True), ('hashtag__isnull', True), _connector='OR'), name='entry_undecided_has_no_hashtag')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('everywhere', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='HistoricalMappingEntry',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('sense', models.CharField(blank=True, max_length=100)),
                ('synset', models.CharField(blank=True, max_length=100)),
                ('hypernym_sense', models.CharField(blank=True, max_length=100)),
                ('hypernym', models.CharField(blank=True, max_length=100)),
                ('status', models.CharField(choices=[('undecided', 'Undecided'), ('imported', 'Imported'), ('confirmed', 'Confirmed')], default='undecided', max_length=10)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('version', models.PositiveIntegerField(default=1)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('change', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mapping.change')),
                ('changed_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('hashtag', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mapping.hashtag')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('opinion', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mapping.opinion')),
                ('scene_class', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mapping.sceneclass')),
            ],
            options={
                'verbose_name': 'historical mapping entry',
                'verbose_name_plural': 'historical mapping entries',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.RunPython(add_triggers, drop_triggers),
        migrations.RunPython(add_trigger, drop_trigger),
    ]
