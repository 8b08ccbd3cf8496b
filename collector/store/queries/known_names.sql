-- Every name of one kind that telemetry ever had, with how many runs have it (0: records alone), the most frequent
-- first. kind: task, queue, environment, platform_project, version, service.
-- :kind varchar required
SELECT value, sum(runs)::BIGINT AS runs FROM (
    SELECT task_id AS value, count(*) AS runs FROM runs WHERE $kind = 'task' AND project = $project GROUP BY ALL
    UNION ALL
    SELECT queue, count(*) FROM runs WHERE $kind = 'queue' AND project = $project GROUP BY ALL
    UNION ALL
    SELECT environment, count(*) FROM runs WHERE $kind = 'environment' AND project = $project GROUP BY ALL
    UNION ALL
    SELECT platform_project, count(*) FROM runs WHERE $kind = 'platform_project' AND project = $project GROUP BY ALL
    UNION ALL
    SELECT version, count(*) FROM runs WHERE $kind = 'version' AND project = $project GROUP BY ALL
    UNION ALL
    SELECT DISTINCT version, 0 FROM attempts WHERE $kind = 'version' AND project = $project
    UNION ALL
    SELECT DISTINCT service_name, 0 FROM resources WHERE $kind = 'service' AND project = $project
    UNION ALL
    SELECT DISTINCT environment, 0 FROM resources WHERE $kind = 'environment' AND project = $project
    UNION ALL
    SELECT DISTINCT CASE $kind WHEN 'task' THEN task_id WHEN 'queue' THEN queue WHEN 'environment' THEN environment
                    WHEN 'platform_project' THEN platform_project WHEN 'version' THEN version END, 0
    FROM logs WHERE $kind <> 'service' AND project = $project
    UNION ALL
    SELECT DISTINCT CASE $kind WHEN 'task' THEN task_id WHEN 'queue' THEN queue WHEN 'environment' THEN environment
                    WHEN 'platform_project' THEN platform_project WHEN 'version' THEN version END, 0
    FROM spans WHERE $kind <> 'service' AND project = $project
)
WHERE value IS NOT NULL GROUP BY value ORDER BY runs DESC, value
