-- `page_totals` of whole hours, from hourly tables: for long ranges.
-- Percentiles are estimates from histograms, within 2.2 %.
-- :from_ns bigint required
-- :to_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH counts AS (
    SELECT sum(runs)::BIGINT AS runs,
           coalesce(sum(runs) FILTER (status = 'completed'), 0)::BIGINT AS completed,
           coalesce(sum(runs) FILTER (is_failed(status)), 0)::BIGINT AS failed,
           coalesce(sum(runs) FILTER (status = 'skipped'), 0)::BIGINT AS skipped,
           coalesce(sum(runs) FILTER (status IN ('queued', 'running', 'waiting')), 0)::BIGINT AS open,
           coalesce(sum(runs) FILTER (status = 'retrying'), 0)::BIGINT AS retrying,
           coalesce(sum(runs) FILTER (status = 'unknown'), 0)::BIGINT AS unknown,
           coalesce(sum(runs) FILTER (attempt_count > 1), 0)::BIGINT AS retried,
           coalesce(sum(runs) FILTER (attempt_count IS NOT NULL), 0)::BIGINT AS counted
    FROM run_hours($project, $from_ns, $to_ns, $environment, $platform_project)
), buckets AS (
    SELECT measure, ix, sum(n)::BIGINT AS n, sum(measured)::BIGINT AS measured
    FROM time_hours($project, $from_ns, $to_ns, $environment, $platform_project) GROUP BY ALL
), reached AS (
    SELECT *, sum(n) OVER (PARTITION BY measure ORDER BY ix) AS upto, sum(n) OVER (PARTITION BY measure) AS total
    FROM buckets
), times AS (
    SELECT coalesce(sum(n) FILTER (measure = 'execution'), 0)::BIGINT AS took_n,
           bucket_estimate(min(ix) FILTER (measure = 'execution' AND upto * 100 >= total * 95)) AS took_p95_ns,
           coalesce(sum(measured) FILTER (measure = 'execution'), 0)::BIGINT AS took_measured,
           coalesce(sum(n) FILTER (measure = 'queue_wait'), 0)::BIGINT AS wait_n,
           bucket_estimate(min(ix) FILTER (measure = 'queue_wait' AND upto * 100 >= total * 95)) AS wait_p95_ns,
           coalesce(sum(measured) FILTER (measure = 'queue_wait'), 0)::BIGINT AS wait_measured
    FROM reached
)
SELECT counts.* REPLACE (coalesce(runs, 0) AS runs), times.* FROM counts, times
