-- Per task and hour: runs, and those with a failed or repeated attempt; the twelve tasks with most of them. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
WITH chosen AS (
    SELECT coalesce(task_id, '') AS task,
           (at_ns // $bucket_ns) * $bucket_ns AS bucket_ns,
           (is_failed(status) OR coalesce(attempt_count, 1) > 1) AS bad
    FROM runs
    WHERE project = $project AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND ($environment IS NULL OR environment = $environment)
      AND ($platform_project IS NULL OR platform_project = $platform_project)
      AND at_ns >= $from_ns
      AND at_ns < $to_ns
), worst AS (
    SELECT task, count(*) FILTER (bad) AS hits FROM chosen GROUP BY task HAVING hits > 0
    ORDER BY hits DESC, task LIMIT 12
)
SELECT task, bucket_ns, count(*) AS runs, count(*) FILTER (bad) AS bad
FROM chosen SEMI JOIN worst USING (task) GROUP BY ALL ORDER BY task, bucket_ns
