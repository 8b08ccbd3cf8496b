-- Which run belongs to which batch, one row per first sight in a journal batch. Facts only.
CREATE TABLE run_batches (
    project VARCHAR,           -- tenant
    seq BIGINT,                -- journal batch that brought the record
    batch_id VARCHAR,          -- batch named by the run's own records
    run_key VARCHAR            -- the run
);
