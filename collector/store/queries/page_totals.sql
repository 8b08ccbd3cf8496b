-- Counts and nearest-rank percentiles over the whole range, one row. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(outcome, status) AS status, attempt_count, CASE WHEN ended_ns >= started_ns AND started_source <> 'unknown' AND outcome IS NULL THEN ended_ns - started_ns - coalesce(idle_ns, 0) END AS took_ns, queue_wait_ns,
           started_source, ended_source, queue_wait_source
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND ($environment IS NULL OR environment = $environment)
      AND ($platform_project IS NULL OR platform_project = $platform_project)
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
       count(*) FILTER (attempt_count > 1) AS retried,
       count(*) FILTER (attempt_count IS NOT NULL) AS counted,
       count(took_ns) AS took_n,
       quantile_disc(took_ns, 0.95) AS took_p95_ns,
       count(*) FILTER (took_ns IS NOT NULL AND started_source = 'measured' AND ended_source = 'measured')
           AS took_measured,
       count(queue_wait_ns) AS wait_n,
       quantile_disc(queue_wait_ns, 0.95) AS wait_p95_ns,
       count(*) FILTER (queue_wait_source = 'measured') AS wait_measured
FROM chosen
