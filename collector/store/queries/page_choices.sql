-- What the filters may offer: every task, queue, environment, platform project and status that runs have. kind: task,
-- queue, environment, platform_project, status (an outcome that a status does not say is another).
SELECT 'task' AS kind, task_id AS value, count(*) AS runs FROM runs
WHERE project = $project AND task_id IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'queue', queue, count(*) FROM runs WHERE project = $project AND queue IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'environment', environment, count(*) FROM runs
WHERE project = $project AND environment IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'platform_project', platform_project, count(*) FROM runs
WHERE project = $project AND platform_project IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'status', coalesce(outcome, status), count(*) FROM runs WHERE project = $project GROUP BY ALL
ORDER BY kind, runs DESC, value LIMIT 3000
