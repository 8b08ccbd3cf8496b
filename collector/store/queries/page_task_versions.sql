-- Versions of a task in the range: runs, when the first one started, and whether the version was there before the range.
-- Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar required
-- :environment varchar
SELECT version, count(*) FILTER (started_ns >= $from_ns) AS runs, min(started_ns) AS first_ns,
       min(started_ns) < $from_ns AS is_older
FROM runs
WHERE project = $project AND task_id = $task AND version IS NOT NULL AND started_ns < $to_ns
  AND is_counted(environment, is_test, is_replay, $project, $environment)
  AND ($environment IS NULL OR environment = $environment)
GROUP BY version HAVING runs > 0 ORDER BY first_ns, version
