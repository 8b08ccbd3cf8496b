-- Errors of a task's attempts, by type and HTTP status: attempts, runs, the latest message and when. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar required
-- :environment varchar
-- :platform_project varchar
SELECT a.error_type, a.http_status, count(*) AS attempts, count(DISTINCT a.run_key) AS runs,
       count(DISTINCT a.run_key) FILTER (is_failed(r.status)) AS failed_runs,
       arg_max(a.error_message, a.started_ns) AS message, max(coalesce(a.ended_ns, a.started_ns)) AS last_ns
FROM attempts a JOIN runs r USING (project, run_key, built_seq) -- built together: bounds what is read of runs
WHERE a.project = $project AND a.task_id = $task
  AND (a.error_type IS NOT NULL OR a.error_message IS NOT NULL OR is_failed(a.status))
  AND a.started_ns >= $from_ns AND a.started_ns < $to_ns
  AND is_counted(r.environment, r.is_test, r.is_replay, $project, $environment)
  AND ($environment IS NULL OR r.environment = $environment)
  AND ($platform_project IS NULL OR r.platform_project = $platform_project)
GROUP BY 1, 2 ORDER BY attempts DESC, a.error_type, a.http_status LIMIT 50
