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
WITH chosen AS NOT MATERIALIZED (
    SELECT * FROM runs
    WHERE project = $project AND at_ns >= $from_ns AND at_ns < $to_ns
      AND ($status IS NULL OR list_contains(string_split($status, ','), status))
      AND ($task IS NULL OR task_id = $task)
      AND ($queue IS NULL OR queue = $queue)
      AND ($environment IS NULL OR environment = $environment)
      AND ($retried IS NULL OR (coalesce(attempt_count, 0) > 1) = $retried)
), found AS MATERIALIZED ( -- searched once for page and total; column by column, since most have few values
    SELECT project, run_key, built_seq, at_ns FROM chosen
    WHERE $q IS NOT NULL AND (
        contains(lower(run_id), lower($q)) OR contains(lower(task_id), lower($q))
        OR contains(lower(correlation_id), lower($q)) OR contains(lower(request_id), lower($q))
        OR contains(lower(error_type), lower($q)) OR contains(lower(error_message), lower($q))
        OR contains(lower(array_to_string(tags, chr(10))), lower($q)))
), page AS ( -- each its own top rows: without a search, little is read but `at_ns`
    (SELECT project, run_key, built_seq, at_ns FROM chosen
     WHERE $q IS NULL ORDER BY at_ns DESC, run_key LIMIT $limit OFFSET $offset)
    UNION ALL
    (SELECT * FROM found ORDER BY at_ns DESC, run_key LIMIT $limit OFFSET $offset)
)
-- Only the page's rows are read whole; `built_seq` says where they stand.
SELECT r.* EXCLUDE (project, due_ns, at_ns, built_seq, held_from_ns, held_until_ns),
       CASE WHEN $q IS NULL THEN (SELECT count(*) FROM chosen) ELSE (SELECT count(*) FROM found) END AS total
FROM page p JOIN runs r ON r.project = p.project AND r.run_key = p.run_key AND r.built_seq = p.built_seq
ORDER BY r.at_ns DESC, r.run_key
