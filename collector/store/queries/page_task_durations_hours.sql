-- `page_task_durations` of whole hours, from hourly tables: for long ranges.
-- Percentiles are estimates from histograms, within 2.2 %.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :task varchar required
-- :environment varchar
-- :platform_project varchar
WITH spread AS (
    SELECT (hour_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns, ix, sum(n)::BIGINT AS n,
           sum(n - derived_n - inferred_n)::BIGINT AS measured
    FROM duration_hours
    WHERE project = $project AND task_id = $task AND measure = 'attempt'
      AND population = counted_population($project, $environment)
      AND hour_ns >= $from_ns AND hour_ns < $to_ns AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
    GROUP BY ALL
), reached AS (
    SELECT *, sum(n) OVER (PARTITION BY bucket_ns ORDER BY ix) AS upto, sum(n) OVER (PARTITION BY bucket_ns) AS total
    FROM spread
)
SELECT bucket_ns, sum(n)::BIGINT AS n, sum(measured)::BIGINT AS measured,
       bucket_estimate(min(ix) FILTER (upto * 100 >= total * 50)) AS p50_ns,
       bucket_estimate(min(ix) FILTER (upto * 100 >= total * 95)) AS p95_ns,
       bucket_estimate(min(ix) FILTER (upto * 100 >= total * 99)) AS p99_ns
FROM reached GROUP BY 1 ORDER BY 1
