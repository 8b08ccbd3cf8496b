-- `page_heatmap` of whole hours, from hourly tables: for long ranges.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(task_id, '') AS task, platform_project, hour_ns // $bucket_ns * $bucket_ns AS bucket_ns, runs,
           (is_failed(status) OR coalesce(attempt_count, 1) > 1) AS bad
    FROM run_hours($project, $from_ns, $to_ns, $environment, $platform_project)
), worst AS (
    SELECT task, platform_project, sum(runs) FILTER (bad) AS hits FROM chosen GROUP BY task, platform_project
    HAVING hits > 0 ORDER BY hits DESC, task, platform_project LIMIT 12
)
SELECT task, platform_project, bucket_ns, sum(runs)::BIGINT AS runs, coalesce(sum(runs) FILTER (bad), 0)::BIGINT AS bad
FROM chosen c SEMI JOIN worst w ON w.task = c.task AND w.platform_project IS NOT DISTINCT FROM c.platform_project
GROUP BY ALL ORDER BY task, platform_project, bucket_ns
