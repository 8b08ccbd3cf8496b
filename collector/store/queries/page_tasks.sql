-- One row a task and platform project: counts of runs by status, and runs per bucket as a list. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS NOT MATERIALIZED (
    SELECT coalesce(task_id, '') AS task, coalesce(platform_project, '') AS whose, at_ns,
           coalesce(outcome, status) AS status, attempt_count
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
      AND at_ns >= $from_ns
      AND at_ns < $to_ns
), buckets AS (
    SELECT task, whose, b.i AS i, coalesce(c.n, 0) AS n
    FROM (SELECT DISTINCT task, whose FROM chosen) t
    CROSS JOIN (SELECT unnest(range(0, ($to_ns - $from_ns + $bucket_ns - 1) // $bucket_ns)) AS i) b
    LEFT JOIN (SELECT task, whose, (at_ns - $from_ns) // $bucket_ns AS i, count(*) AS n FROM chosen GROUP BY ALL) c
    USING (task, whose, i)
), trends AS (SELECT task, whose, list(n ORDER BY i) AS trend FROM buckets GROUP BY ALL)
SELECT task, nullif(whose, '') AS platform_project,
       count(*) AS runs,
       count(*) FILTER (status = 'completed') AS completed,
       count(*) FILTER (is_failed(status)) AS failed,
       count(*) FILTER (status = 'unknown') AS unknown,
       count(*) FILTER (attempt_count > 1) AS retried,
       any_value(trend) AS trend
FROM chosen JOIN trends USING (task, whose) GROUP BY task, whose ORDER BY runs DESC, task, whose
