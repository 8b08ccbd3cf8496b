-- One row a task and platform project: this range and the equal one before it, and runs per bucket as a list. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS NOT MATERIALIZED (
    SELECT coalesce(task_id, '') AS task, coalesce(platform_project, '') AS whose, at_ns, coalesce(outcome, status) AS status,
           attempt_count, CASE WHEN ended_ns >= started_ns AND started_source <> 'unknown' AND outcome IS NULL THEN ended_ns - started_ns - coalesce(idle_ns, 0) END AS took_ns, queue_wait_ns
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND ($environment IS NULL OR environment = $environment)
      AND ($platform_project IS NULL OR platform_project = $platform_project)
      AND at_ns >= 2 * $from_ns - $to_ns
      AND at_ns < $to_ns
), buckets AS (
    SELECT task, whose, b.i AS i, coalesce(c.n, 0) AS n
    FROM (SELECT DISTINCT task, whose FROM chosen) t
    CROSS JOIN (SELECT unnest(range(0, ($to_ns - $from_ns + $bucket_ns - 1) // $bucket_ns)) AS i) b
    LEFT JOIN (
        SELECT task, whose, (at_ns - $from_ns) // $bucket_ns AS i, count(*) AS n FROM chosen WHERE at_ns >= $from_ns GROUP BY ALL
    ) c USING (task, whose, i)
), trends AS (SELECT task, whose, list(n ORDER BY i) AS trend FROM buckets GROUP BY ALL),
rows AS (
    SELECT task, whose,
           count(*) FILTER (at_ns >= $from_ns) AS runs,
           count(*) FILTER (at_ns >= $from_ns AND status = 'completed') AS completed,
           count(*) FILTER (at_ns >= $from_ns AND is_failed(status)) AS failed,
           count(*) FILTER (at_ns >= $from_ns AND status = 'unknown') AS unknown,
           count(*) FILTER (at_ns >= $from_ns AND attempt_count > 1) AS retried,
           count(*) FILTER (at_ns >= $from_ns AND attempt_count IS NOT NULL) AS counted,
           count(took_ns) FILTER (at_ns >= $from_ns) AS took_n,
           quantile_disc(took_ns, 0.5) FILTER (at_ns >= $from_ns) AS took_p50_ns,
           quantile_disc(took_ns, 0.95) FILTER (at_ns >= $from_ns) AS took_p95_ns,
           count(*) FILTER (at_ns < $from_ns AND is_failed(status)) AS failed_before,
           count(*) FILTER (at_ns < $from_ns AND is_decided(status))
               AS ended_before,
           count(took_ns) FILTER (at_ns < $from_ns) AS took_n_before,
           quantile_disc(took_ns, 0.95) FILTER (at_ns < $from_ns) AS took_p95_before_ns
    FROM chosen GROUP BY task, whose
)
SELECT rows.* EXCLUDE (whose), nullif(whose, '') AS platform_project, trend
FROM rows JOIN trends USING (task, whose) WHERE runs > 0 ORDER BY runs DESC, task, whose
