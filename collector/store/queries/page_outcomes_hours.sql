-- `page_outcomes` of whole hours, from hourly tables: for long ranges.
-- Percentiles are estimates from histograms, within 2.2 %.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH counts AS (
    SELECT (hour_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
           sum(runs)::BIGINT AS runs,
           coalesce(sum(runs) FILTER (status = 'completed' AND coalesce(attempt_count, 1) = 1), 0)::BIGINT AS first_try,
           coalesce(sum(runs) FILTER (status = 'completed' AND attempt_count > 1), 0)::BIGINT AS recovered,
           coalesce(sum(runs) FILTER (is_failed(status)), 0)::BIGINT AS failed,
           coalesce(sum(runs) FILTER (status = 'skipped'), 0)::BIGINT AS skipped,
           coalesce(sum(runs) FILTER (is_stopped(status)), 0)::BIGINT AS stopped,
           coalesce(sum(runs) FILTER (is_open(status)), 0)::BIGINT AS open,
           coalesce(sum(runs) FILTER (status = 'unknown'), 0)::BIGINT AS unknown,
           coalesce(sum(runs) FILTER (attempt_count > 1), 0)::BIGINT AS retried,
           coalesce(sum(runs) FILTER (attempt_count IS NOT NULL), 0)::BIGINT AS counted
    FROM run_hours($project, $from_ns, $to_ns, $environment, $platform_project) GROUP BY 1
), buckets AS (
    SELECT (hour_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns, measure, ix, sum(n)::BIGINT AS n
    FROM time_hours($project, $from_ns, $to_ns, $environment, $platform_project) GROUP BY ALL
), reached AS (
    SELECT *, sum(n) OVER (PARTITION BY bucket_ns, measure ORDER BY ix) AS upto,
           sum(n) OVER (PARTITION BY bucket_ns, measure) AS total
    FROM buckets
), times AS (
    SELECT bucket_ns,
           bucket_estimate(min(ix) FILTER (measure = 'execution' AND upto * 100 >= total * 95)) AS took_p95_ns,
           bucket_estimate(min(ix) FILTER (measure = 'queue_wait' AND upto * 100 >= total * 95)) AS wait_p95_ns
    FROM reached GROUP BY 1
)
SELECT counts.*, took_p95_ns, wait_p95_ns FROM counts LEFT JOIN times USING (bucket_ns) ORDER BY bucket_ns
