-- Per time bucket: runs of a queue that were queued in it, of how many it is inferred since when (they may have been due
-- only later), and nearest-rank percentiles of how long they waited.
-- Of the counted population.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :queue varchar required
-- :environment varchar
-- :platform_project varchar
SELECT (queued_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
       count(*) AS n,
       count(*) FILTER (queue_wait_source = 'inferred') AS inferred_n,
       quantile_disc(queue_wait_ns, 0.5) AS p50_ns,
       quantile_disc(queue_wait_ns, 0.95) AS p95_ns
FROM runs
WHERE project = $project AND queue = $queue AND queue_wait_ns IS NOT NULL
  AND is_counted(environment, is_test, is_replay, $project, $environment)
  AND queued_ns >= $from_ns AND queued_ns < $to_ns AND is_of(environment, $environment)
  AND is_of(platform_project, $platform_project)
GROUP BY 1 ORDER BY 1
