-- Errors of a task's attempts by what happened (`attempts.error_group`): attempts, runs, the latest message, since when in the store. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :task varchar required
-- :environment varchar
-- :platform_project varchar
WITH failing AS MATERIALIZED (
    SELECT a.error_group, a.error_type, a.error_message, a.http_status, a.run_key, is_failed(r.status) AS gave_up,
           coalesce(a.started_ns, a.ended_ns) AS at_ns, coalesce(a.ended_ns, a.started_ns) AS failed_ns
    FROM attempts a JOIN runs r USING (project, run_key, built_seq) -- built together: bounds what is read of runs
    WHERE a.project = $project AND a.task_id = $task
      AND (a.error_type IS NOT NULL OR a.error_message IS NOT NULL OR is_failed(a.status))
      AND is_counted(r.environment, r.is_test, r.is_replay, $project, $environment)
      AND is_of(r.environment, $environment)
      AND is_of(r.platform_project, $platform_project)
), since AS (SELECT error_group, min(failed_ns) AS first_ns FROM failing GROUP BY 1),
shown AS (
    SELECT error_group, arg_max(error_type, at_ns) AS error_type,
           list_sort(list(DISTINCT http_status) FILTER (http_status IS NOT NULL)) AS http_statuses,
           count(*) AS attempts, count(DISTINCT run_key) AS runs, count(DISTINCT run_key) FILTER (gave_up) AS failed_runs,
           arg_max(error_message, at_ns) AS message, max(failed_ns) AS last_ns
    FROM failing WHERE at_ns >= $from_ns AND at_ns < $to_ns
    GROUP BY 1 ORDER BY attempts DESC, error_group LIMIT 50
)
SELECT s.*, since.first_ns FROM shown s JOIN since ON since.error_group IS NOT DISTINCT FROM s.error_group
ORDER BY s.attempts DESC, s.error_group
