-- Per time bucket: ended attempts of a task that started in it and nearest-rank percentiles of their length. Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :task varchar required
-- :environment varchar
-- :platform_project varchar
SELECT (a.started_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
       count(*) AS n,
       count(*) FILTER (a.started_source = 'measured' AND a.ended_source = 'measured') AS measured,
       quantile_disc(a.wall_ns - coalesce(a.idle_ns, 0), 0.5) AS p50_ns,
       quantile_disc(a.wall_ns - coalesce(a.idle_ns, 0), 0.95) AS p95_ns,
       quantile_disc(a.wall_ns - coalesce(a.idle_ns, 0), 0.99) AS p99_ns
FROM attempts a JOIN runs r USING (project, run_key, built_seq) -- built together: bounds what is read of runs
WHERE a.project = $project AND a.task_id = $task AND a.wall_ns IS NOT NULL AND a.outcome IS NULL AND a.status <> 'interrupted'
  AND a.started_ns >= $from_ns AND a.started_ns < $to_ns
  AND is_counted(r.environment, r.is_test, r.is_replay, $project, $environment)
  AND is_of(r.environment, $environment)
  AND is_of(r.platform_project, $platform_project)
GROUP BY 1 ORDER BY 1
