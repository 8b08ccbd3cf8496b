-- How long a queue held how many slots, ns per level, and since when anything is known; time in no row is level 0.
-- :from_ns bigint required
-- :to_ns bigint required
-- :queue varchar required
-- :environment varchar
-- :platform_project varchar
SELECT level, sum(ns)::BIGINT AS ns,
       levels_since($project) AS since_ns
FROM queue_levels
WHERE project = $project AND queue = $queue AND bucket_ns >= $from_ns AND bucket_ns < $to_ns
  AND is_of(environment, $environment)
  AND is_of(platform_project, $platform_project)
GROUP BY level ORDER BY level
