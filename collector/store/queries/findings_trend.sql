-- Records that violate a rule, per rule, task and day of ten days before :to_ns; days without any are left out.
-- :to_ns bigint required
-- :environment varchar
-- :platform_project varchar
SELECT code, task_id, (last_seen_ns // 86400000000000) * 86400000000000 AS day_ns, sum(count)::BIGINT AS count
FROM run_findings
WHERE project = $project AND last_seen_ns < $to_ns AND last_seen_ns >= $to_ns - 10 * 86400000000000
  AND (($environment IS NULL AND $platform_project IS NULL)
       OR run_key IN (
           SELECT run_key FROM runs WHERE project = $project AND is_of(environment, $environment)
             AND is_of(platform_project, $platform_project)))
GROUP BY ALL ORDER BY code, task_id, day_ns
