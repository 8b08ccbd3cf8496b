-- Versions of a task in the range: runs with an attempt on it, when the first such attempt started (a run may be older), and
-- whether the version was there before the range. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar required
-- :environment varchar
-- :platform_project varchar
WITH counted AS (
    SELECT project, run_key, built_seq, version, started_ns FROM runs
    WHERE project = $project AND task_id = $task AND version IS NOT NULL AND started_ns < $to_ns
      AND is_counted(environment, is_test, is_replay, $project, $environment)
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project)
), tried AS (
    SELECT r.run_key, a.version, coalesce(a.started_ns, r.started_ns) AS started_ns
    FROM attempts a JOIN counted r USING (project, run_key, built_seq) -- built together: bounds what is read of runs
    WHERE a.project = $project AND a.task_id = $task AND a.version IS NOT NULL
)
SELECT version, count(DISTINCT run_key) FILTER (started_ns >= $from_ns) AS runs, min(started_ns) AS first_ns,
       min(started_ns) < $from_ns AS is_older
FROM (SELECT * FROM tried UNION ALL SELECT run_key, version, started_ns FROM counted ANTI JOIN tried USING (run_key))
WHERE started_ns < $to_ns
GROUP BY version HAVING runs > 0 ORDER BY first_ns, version
