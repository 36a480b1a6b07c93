"""The table of workers; its rows are never deleted while rows of other tables name them."""

from typing import Final

# An id is never given twice, because a sequence does not go back. It fits into half of the key of
# an advisory lock; the other half is the id of the table itself.
WORKERS: Final = """
CREATE TABLE workers (
    id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    beat BIGINT NOT NULL DEFAULT 0, -- how often it has beaten: no clock of another machine
    began TIMESTAMPTZ NOT NULL DEFAULT now(), host TEXT NOT NULL, pid BIGINT NOT NULL,
    -- when it ended, or when another worker took over its turns: it never lives again by this id
    ended TIMESTAMPTZ
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
CREATE INDEX workers_living ON workers (id) WHERE ended IS NULL;
"""
