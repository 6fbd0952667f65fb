"""Gives names that stand here from before normalisation the spelling that every door gives them today.

Nothing is merged, because votes, photos and decisions belong to the row they were given to. Where names become
equal, the row that is used most gets the name and the others a number: café, café_2. The others of a hashtag
are blocked, so that nobody is offered the same hashtag twice. Releases keep naming the rows that they named.
"""

from collections import defaultdict

from django.db import migrations
from django.db.models import Count

from formats.names import normalize_hashtag, normalize_name, scene_key

OTHER = "other"  # the label of no hashtag, which none may bear
WORDS = ("name", "name_ru", "level1", "level2")  # of a scene class, beside its key
BATCH = 500


def distinct(name, taken, length):
    """The name, or the first with a number that is not taken."""
    name = name[:length] or "unnamed"
    numbered, number = name, 1
    while numbered in taken:
        number += 1
        numbered = f"{name[: length - len(str(number)) - 1]}_{number}"
    return numbered


def spell(rows, field, normalize, *, uses, reserved=()):
    """Normalise a unique field of the rows; uses: id → how often a row is used. Returns old name → new name."""
    length = rows.model._meta.get_field(field).max_length
    names = dict(rows.order_by("pk").values_list("pk", field))
    groups = defaultdict(list)
    for pk, name in names.items():
        groups[normalize(name)].append(pk)
    changed = {name: pks for name, pks in groups.items() if name in reserved or [names[pk] for pk in pks] != [name]}
    taken = {*reserved, *(groups.keys() - changed.keys())}
    new_names = {}
    for name, pks in changed.items():
        taken.add(new_name := distinct(name, taken, length))
        # The most used first; of equals the one that is spelled so already, then the oldest.
        first, *others = sorted(pks, key=lambda pk: (-uses.get(pk, 0), names[pk] != name, pk))
        new_names[first] = new_name
        for pk in others:
            taken.add(new_name := distinct(name, taken, length))
            new_names[pk] = new_name
    new_names = {pk: name for pk, name in new_names.items() if names[pk] != name}
    for pk in new_names:  # out of each other's way first: names are unique
        rows.filter(pk=pk).update(**{field: f"~{pk}"})
    for pk, name in new_names.items():
        rows.filter(pk=pk).update(**{field: name})
    return {names[pk]: name for pk, name in new_names.items()}


def count_uses(*querysets, field):
    """Id of the row that `field` names → rows of the query sets that name it."""
    uses = defaultdict(int)
    for rows in querysets:
        for pk, number in rows.order_by().values_list(field).annotate(n=Count("pk")):
            uses[pk] += number
    return uses


def spell_hashtags(apps):
    Hashtag = apps.get_model("mapping", "Hashtag")
    entries = apps.get_model("mapping", "MappingEntry")._base_manager.filter(hashtag__isnull=False)
    votes = apps.get_model("validation", "Vote").objects.all()
    new_names = spell(
        Hashtag.objects.all(),
        "name",
        normalize_hashtag,
        uses=count_uses(entries, votes, field="hashtag_id"),
        reserved={OTHER},
    )
    for old, new in new_names.items():
        name = normalize_hashtag(old)
        if new != name and name != OTHER and Hashtag.objects.filter(name=name).exists():
            why = f"Looks the same as #{name}, which is used more"
            Hashtag.objects.filter(name=new, blocked=False).update(blocked=True, blocked_why=why)
    return new_names


def spell_classes(apps):
    SceneClass = apps.get_model("mapping", "SceneClass")
    photos = apps.get_model("trainer", "ScenePhoto").objects.all()
    new_keys = spell(
        SceneClass.objects.all(), "key", scene_key, uses=count_uses(photos, field="scene_class_id")
    )
    lengths = {name: SceneClass._meta.get_field(name).max_length for name in WORDS}
    for row in SceneClass.objects.all():
        words = {name: normalize_name(getattr(row, name))[:length] for name, length in lengths.items()}
        if any(getattr(row, name) != value for name, value in words.items()):
            SceneClass.objects.filter(pk=row.pk).update(**words)
    return new_keys


def spell_releases(apps, new_keys, new_names):
    """Rows are replaced, because the database refuses to change those of a release. They mean the same."""
    ReleaseLabel = apps.get_model("mapping", "ReleaseLabel")
    columns = ReleaseLabel.objects.order_by().values_list("pk", "release_id", "scene_key", "label")
    keys = defaultdict(set)
    wanted = {}
    for pk, release, key, label in columns.iterator():
        keys[release].add(key)
        new = new_keys.get(key) or scene_key(key), new_names.get(label) or normalize_hashtag(label)
        if new != (key, label):
            wanted[pk] = (release, key, *new)
    for release, key, *_ in wanted.values():
        keys[release].discard(key)
    for pk, (release, _, key, label) in wanted.items():
        key = distinct(key, keys[release], 100)
        keys[release].add(key)
        wanted[pk] = key, label[:50]
    numbers = list(wanted)
    for start in range(0, len(numbers), BATCH):
        rows = list(ReleaseLabel.objects.filter(pk__in=numbers[start : start + BATCH]))
        for row in rows:
            row.scene_key, row.label = wanted[row.pk]
        ReleaseLabel.objects.filter(pk__in=[row.pk for row in rows]).delete()
        ReleaseLabel.objects.bulk_create(rows)
    return len(numbers)


def spell_author_hashtags(apps):
    """Of the same hashtag twice on one photo, one stays."""
    AuthorHashtag = apps.get_model("validation", "AuthorHashtag")
    rows = AuthorHashtag.objects.order_by("pk").values_list("pk", "photo_id", "name")
    changed = [(pk, photo, normalize_hashtag(name)) for pk, photo, name in rows.iterator() if _is_odd(name)]
    for pk, photo, name in changed:
        twins = AuthorHashtag.objects.filter(photo_id=photo, name=name[:100]).exclude(pk=pk)
        if not name or twins.exists():
            AuthorHashtag.objects.filter(pk=pk).delete()
        else:
            AuthorHashtag.objects.filter(pk=pk).update(name=name[:100])
    return len(changed)


def _is_odd(name):
    return normalize_hashtag(name) != name


def normalize(apps, schema_editor):
    """Repeating it changes nothing."""
    new_names, new_keys = spell_hashtags(apps), spell_classes(apps)
    labels = spell_releases(apps, new_keys, new_names)
    from_authors = spell_author_hashtags(apps)
    for what, names in (("hashtag", new_names), ("scene class", new_keys)):
        for old, new in names.items():
            print(f"  {what} {ascii(old)} is now {ascii(new)}")
    if labels or from_authors:
        print(f"  {labels} labels of releases and {from_authors} hashtags of authors are spelled as today, too")


class Migration(migrations.Migration):
    dependencies = [
        ("mapping", "0006_entries_by_opinion_and_status"),
        ("trainer", "0005_epochs_without_test"),
        ("validation", "0010_choice_labels"),
    ]
    operations = [migrations.RunPython(normalize, migrations.RunPython.noop)]
