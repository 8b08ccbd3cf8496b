-- Runs that started, by population, and whether pages and statistics count them: live ones, or development runs where a
-- development environment is chosen or the store has no live run. Replays and test runs never count. Whole hours are
-- taken from hourly tables, what is left of others at both ends from runs.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar
-- :queue varchar
-- :environment varchar
-- :platform_project varchar
-- :version varchar
WITH hours AS (
    SELECT ($from_ns + 3599999999999) // 3600000000000 * 3600000000000 AS a,
           $to_ns // 3600000000000 * 3600000000000 AS b
), told AS (
    SELECT population, runs, task_id, queue, environment, platform_project, version FROM run_cohorts, hours
    WHERE project = $project AND hour_ns >= a AND hour_ns < b
    UNION ALL
    SELECT CASE WHEN is_replay THEN 'replay' WHEN is_development(environment) THEN 'development' ELSE 'live' END, 1,
           task_id, queue, environment, platform_project, version
    FROM runs, hours
    WHERE project = $project AND started_ns >= $from_ns AND started_ns < $to_ns AND (started_ns < a OR started_ns >= b)
      AND is_test IS NOT TRUE
)
SELECT population, sum(runs)::BIGINT AS runs, population = counted_population($project, $environment) AS is_counted
FROM told
WHERE ($task IS NULL OR task_id = $task) AND ($queue IS NULL OR queue = $queue)
  AND is_of(environment, $environment)
  AND is_of(platform_project, $platform_project) AND ($version IS NULL OR version = $version)
GROUP BY ALL ORDER BY runs DESC, population
