-- Runs, newest first, one page; `total` repeats how many match.
-- :from_ns bigint required
-- :to_ns bigint required
-- :status varchar
-- :task varchar
-- :queue varchar
-- :environment varchar
-- :q varchar
-- :retried boolean
-- :limit bigint required
-- :offset bigint required
WITH matching AS (
    SELECT project, run_key, built_seq, at_ns
    FROM runs
    WHERE project = $project AND at_ns >= $from_ns AND at_ns < $to_ns
      AND ($status IS NULL OR status IN (SELECT unnest(string_split($status, ','))))
      AND ($task IS NULL OR task_id = $task)
      AND ($queue IS NULL OR queue = $queue)
      AND ($environment IS NULL OR environment = $environment)
      AND ($retried IS NULL OR (coalesce(attempt_count, 0) > 1) = $retried)
      AND ($q IS NULL OR contains(lower(concat_ws(chr(10), run_id, task_id, correlation_id, request_id,
                                                  error_type, error_message, array_to_string(tags, chr(10)))),
                                  lower($q)))
), page AS (SELECT * FROM matching ORDER BY at_ns DESC, run_key LIMIT $limit OFFSET $offset)
-- Only the page's rows are read whole; `built_seq` says where they stand.
SELECT r.* EXCLUDE (project, due_ns, at_ns, built_seq, held_from_ns, held_until_ns),
       (SELECT count(*) FROM matching) AS total
FROM page p JOIN runs r ON r.project = p.project AND r.run_key = p.run_key AND r.built_seq = p.built_seq
ORDER BY r.at_ns DESC, r.run_key
