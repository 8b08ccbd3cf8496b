-- `page_tasks` of whole hours, from hourly tables: for long ranges.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(task_id, '') AS task, coalesce(platform_project, '') AS whose, hour_ns, status, attempt_count, runs
    FROM run_hours($project, $from_ns, $to_ns, $environment, $platform_project)
), buckets AS (
    SELECT task, whose, b.i AS i, coalesce(n, 0)::BIGINT AS n
    FROM (SELECT DISTINCT task, whose FROM chosen) t
    CROSS JOIN (SELECT unnest(range(0, ($to_ns - $from_ns + $bucket_ns - 1) // $bucket_ns)) AS i) b
    LEFT JOIN (SELECT task, whose, (hour_ns - $from_ns) // $bucket_ns AS i, sum(runs) AS n FROM chosen GROUP BY ALL) c
    USING (task, whose, i)
), trends AS (SELECT task, whose, list(n ORDER BY i) AS trend FROM buckets GROUP BY ALL)
SELECT task, nullif(whose, '') AS platform_project,
       coalesce(sum(runs), 0)::BIGINT AS runs,
       coalesce(sum(runs) FILTER (status = 'completed'), 0)::BIGINT AS completed,
       coalesce(sum(runs) FILTER (is_failed(status)), 0)::BIGINT AS failed,
       coalesce(sum(runs) FILTER (status = 'unknown'), 0)::BIGINT AS unknown,
       coalesce(sum(runs) FILTER (attempt_count > 1), 0)::BIGINT AS retried,
       any_value(trend) AS trend
FROM chosen JOIN trends USING (task, whose) GROUP BY task, whose HAVING sum(runs) > 0 ORDER BY runs DESC, task, whose
