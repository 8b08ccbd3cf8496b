-- Logs that name no run but stand in a span: they belong to that span's run, whenever it arrives. Facts only.
CREATE TABLE log_orphans (
    project VARCHAR,           -- tenant
    seq BIGINT,                -- journal batch of the log
    row BIGINT,                -- its position there
    trace_id VARCHAR,          -- trace of the span it stands in
    span_id VARCHAR            -- that span
);
