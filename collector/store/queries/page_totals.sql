-- Counts of runs by status over the whole range, one row; what they come to, `stats tasks` tells. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(outcome, status) AS status, attempt_count FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
      AND at_ns >= $from_ns
      AND at_ns < $to_ns
)
SELECT count(*) AS runs,
       count(*) FILTER (status = 'completed') AS completed,
       count(*) FILTER (is_failed(status)) AS failed,
       count(*) FILTER (status = 'skipped') AS skipped,
       count(*) FILTER (status IN ('queued', 'running', 'waiting')) AS open,
       count(*) FILTER (status = 'retrying') AS retrying,
       count(*) FILTER (status = 'unknown') AS unknown,
       count(*) FILTER (attempt_count > 1) AS retried
FROM chosen
