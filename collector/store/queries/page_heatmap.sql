-- Per task of a platform project and hour: runs, and those with a failed or repeated attempt; the twelve with most of them. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(task_id, '') AS task, platform_project,
           (at_ns // $bucket_ns) * $bucket_ns AS bucket_ns,
           (is_failed(status) OR coalesce(attempt_count, 1) > 1) AS bad
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
      AND at_ns >= $from_ns
      AND at_ns < $to_ns
), worst AS (
    SELECT task, platform_project, count(*) FILTER (bad) AS hits FROM chosen GROUP BY task, platform_project
    HAVING hits > 0 ORDER BY hits DESC, task, platform_project LIMIT 12
)
SELECT task, platform_project, bucket_ns, count(*) AS runs, count(*) FILTER (bad) AS bad
FROM chosen c SEMI JOIN worst w ON w.task = c.task AND w.platform_project IS NOT DISTINCT FROM c.platform_project
GROUP BY ALL ORDER BY task, platform_project, bucket_ns
