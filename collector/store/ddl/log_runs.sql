-- Orphaned logs whose span told their run. Facts only.
CREATE TABLE log_runs (
    project VARCHAR,           -- tenant
    seq BIGINT,                -- journal batch of the log
    row BIGINT,                -- its position there
    run_key VARCHAR,           -- the run of its span
    attempt INTEGER            -- the attempt of its span, where stated
);
