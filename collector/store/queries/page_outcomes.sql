-- Runs by outcome per time bucket, by when they started (or were queued, where no start is known). Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT at_ns, coalesce(outcome, status) AS status, attempt_count,
           CASE WHEN ended_ns >= started_ns AND started_source <> 'unknown' AND outcome IS NULL THEN ended_ns - started_ns - coalesce(idle_ns, 0) END AS took_ns, queue_wait_ns
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
      AND at_ns >= $from_ns AND at_ns < $to_ns
)
SELECT (at_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
       count(*) AS runs,
       count(*) FILTER (status = 'completed' AND coalesce(attempt_count, 1) = 1) AS first_try,
       count(*) FILTER (status = 'completed' AND attempt_count > 1) AS recovered,
       count(*) FILTER (is_failed(status)) AS failed,
       count(*) FILTER (status = 'skipped') AS skipped,
       count(*) FILTER (is_stopped(status)) AS stopped,
       count(*) FILTER (is_open(status)) AS open,
       count(*) FILTER (status = 'unknown') AS unknown,
       count(*) FILTER (attempt_count > 1) AS retried,
       count(*) FILTER (attempt_count IS NOT NULL) AS counted,
       quantile_disc(took_ns, 0.95) AS took_p95_ns,
       quantile_disc(queue_wait_ns, 0.95) AS wait_p95_ns
FROM chosen
GROUP BY 1 ORDER BY 1
