-- Who triggered whom, one row per record that says so. Facts only: appended, never changed.
CREATE TABLE run_links (
    project VARCHAR,           -- tenant
    seq BIGINT,                -- journal batch that brought the record
    dialect VARCHAR,           -- dialect of the record
    environment VARCHAR,       -- environment of the record, and so of the child
    child_run_key VARCHAR,     -- the child; NULL when only its batch is named
    child_run_id VARCHAR,      -- the child's id as the record gives it
    child_batch_id VARCHAR,    -- the batch whose runs are all children
    child_task_id VARCHAR,     -- the child's task, where the record names it
    parent_run_key VARCHAR,    -- the parent
    parent_run_id VARCHAR,     -- the parent's id
    source VARCHAR,            -- measured: the child says so; derived: the parent's trigger span says so
    started_ns BIGINT,         -- start of the trigger span; NULL where the child says so
    ended_ns BIGINT,           -- end of the trigger span
    waits BOOLEAN              -- the trigger span lasts until the child has ended
);
