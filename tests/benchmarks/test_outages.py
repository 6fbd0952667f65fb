"""What clients saw of an outage is summed up rightly."""

from __future__ import annotations

from benchmarks.outages import NO_ANSWER, Seen, procfile, row_of


def test_row_of_an_outage() -> None:
    seen = [
        Seen("vote", 10, 10.5, 200),
        Seen("vote", 11, 13, 503),
        Seen("upload", 11, 24, NO_ANSWER),
        Seen("post", 12, 22, 500),
        Seen("next", 23, 29, 409),  # an answer, even if it refuses
    ]
    row = row_of("database", seen, back=20)
    assert (row["answered"], row["503"], row["no_answer"]) == (1, 1, 1)
    assert row["others"] == {"409": 1, "500": 1}
    assert (row["longest_wait_s"], row["well_after_s"]) == (13, 4)
    assert row["failed"] == {"vote": 1, "upload": 1, "post": 1}
    assert row_of("web", seen[:1], back=20)["well_after_s"] == 0


def test_site_is_started_as_it_is_deployed() -> None:
    web, worker = procfile(8123)
    assert "127.0.0.1:8123" in web
    assert "hashtags_site.front.worker.Worker" in web
    assert "celery" in worker
