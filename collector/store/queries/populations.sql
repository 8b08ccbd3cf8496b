-- Runs that started, by population, in whole hours, and whether pages and statistics count them: live ones, or development
-- runs where a development environment is chosen or the store has no live run. Replays and test runs never count.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar
-- :queue varchar
-- :environment varchar
-- :platform_project varchar
-- :version varchar
SELECT population, sum(runs)::BIGINT AS runs, population = counted_population($project, $environment) AS is_counted
FROM run_cohorts
WHERE project = $project AND hour_ns >= $from_ns // 3600000000000 * 3600000000000 AND hour_ns < $to_ns
  AND ($task IS NULL OR task_id = $task) AND ($queue IS NULL OR queue = $queue)
  AND ($environment IS NULL OR environment = $environment)
  AND ($platform_project IS NULL OR platform_project = $platform_project) AND ($version IS NULL OR version = $version)
GROUP BY ALL ORDER BY runs DESC, population
