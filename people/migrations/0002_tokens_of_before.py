"""Take over the tokens of rest_framework.authtoken, which stored keys as they are, and drop its table.

By SQL, because that app is no longer installed. The keys go on working: here is their hash.
"""

import hashlib

from django.conf import settings
from django.db import migrations
from django.utils import timezone

TABLE = "authtoken_token"
SCOPES = ["suggest", "check", "feedback", "read mapping", "write mapping", "read results"]


def take_over(apps, schema_editor):
    connection = schema_editor.connection
    if TABLE not in connection.introspection.table_names():
        return
    tokens = apps.get_model("people", "Token").objects
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT key, user_id FROM {TABLE} ORDER BY created")
        for key, owner in cursor.fetchall():
            tokens.create(
                name="Token of before",
                owner_id=owner,
                digest=hashlib.sha256(key.encode()).hexdigest(),
                start=key[:4],
                scopes=SCOPES,
                created_at=timezone.now(),
            )
        cursor.execute(f"DROP TABLE {TABLE}")


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
