-- `page_tasks` of whole hours, from hourly tables: for long ranges.
-- Percentiles are estimates from histograms, within 2.2 %.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(task_id, '') AS task, coalesce(platform_project, '') AS whose, hour_ns, hour_ns >= $from_ns AS now,
           status, attempt_count, runs
    FROM run_hours($project, 2 * $from_ns - $to_ns, $to_ns, $environment, $platform_project)
), buckets AS (
    SELECT task, whose, b.i AS i, coalesce(n, 0)::BIGINT AS n
    FROM (SELECT DISTINCT task, whose FROM chosen) t
    CROSS JOIN (SELECT unnest(range(0, ($to_ns - $from_ns + $bucket_ns - 1) // $bucket_ns)) AS i) b
    LEFT JOIN (
        SELECT task, whose, (hour_ns - $from_ns) // $bucket_ns AS i, sum(runs) AS n FROM chosen WHERE now GROUP BY ALL
    ) c USING (task, whose, i)
), trends AS (SELECT task, whose, list(n ORDER BY i) AS trend FROM buckets GROUP BY ALL),
counts AS (
    SELECT task, whose,
           coalesce(sum(runs) FILTER (now), 0)::BIGINT AS runs,
           coalesce(sum(runs) FILTER (now AND status = 'completed'), 0)::BIGINT AS completed,
           coalesce(sum(runs) FILTER (now AND is_failed(status)), 0)::BIGINT AS failed,
           coalesce(sum(runs) FILTER (now AND status = 'unknown'), 0)::BIGINT AS unknown,
           coalesce(sum(runs) FILTER (now AND attempt_count > 1), 0)::BIGINT AS retried,
           coalesce(sum(runs) FILTER (now AND attempt_count IS NOT NULL), 0)::BIGINT AS counted,
           coalesce(sum(runs) FILTER (NOT now AND is_failed(status)), 0)::BIGINT
               AS failed_before,
           coalesce(sum(runs) FILTER (NOT now AND is_decided(status)), 0)::BIGINT
               AS ended_before
    FROM chosen GROUP BY task, whose
), spread AS (
    SELECT coalesce(task_id, '') AS task, coalesce(platform_project, '') AS whose, hour_ns >= $from_ns AS now, ix, sum(n)::BIGINT AS n
    FROM time_hours($project, 2 * $from_ns - $to_ns, $to_ns, $environment, $platform_project)
    WHERE measure = 'execution' GROUP BY ALL
), reached AS (
    SELECT *, sum(n) OVER (PARTITION BY task, whose, now ORDER BY ix) AS upto, sum(n) OVER (PARTITION BY task, whose, now) AS total
    FROM spread
), times AS (
    SELECT task, whose, coalesce(sum(n) FILTER (now), 0)::BIGINT AS took_n,
           bucket_estimate(min(ix) FILTER (now AND upto * 100 >= total * 50)) AS took_p50_ns,
           bucket_estimate(min(ix) FILTER (now AND upto * 100 >= total * 95)) AS took_p95_ns,
           coalesce(sum(n) FILTER (NOT now), 0)::BIGINT AS took_n_before,
           bucket_estimate(min(ix) FILTER (NOT now AND upto * 100 >= total * 95)) AS took_p95_before_ns
    FROM reached GROUP BY task, whose
)
SELECT task, runs, completed, failed, unknown, retried, counted, coalesce(took_n, 0) AS took_n, took_p50_ns, took_p95_ns,
       failed_before, ended_before, coalesce(took_n_before, 0) AS took_n_before, took_p95_before_ns,
       nullif(whose, '') AS platform_project, trend
FROM counts JOIN trends USING (task, whose) LEFT JOIN times USING (task, whose) WHERE runs > 0
ORDER BY runs DESC, task, whose
