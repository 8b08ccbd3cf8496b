-- Per queue, environment, platform project and bucket: time-weighted slots held, most held, the limit and how it is known,
-- time at the limit and time with runs waiting, ns; since when anything is known of any queue. A bucket in which nothing
-- was held or waited is left out.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
-- :queue varchar
WITH known AS (
    SELECT queue, environment, platform_project, (bucket_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
           level, ns, is_queued, "limit" AS slots, limit_source AS source
    FROM queue_levels_limited
    WHERE project = $project AND bucket_ns >= $from_ns AND bucket_ns < $to_ns
      AND ($environment IS NULL OR environment = $environment)
      AND ($platform_project IS NULL OR platform_project = $platform_project) AND ($queue IS NULL OR queue = $queue)
)
SELECT queue, environment, platform_project, bucket_ns, sum(level::DOUBLE * ns) AS slot_ns, max(level) AS peak,
       max(slots) AS "limit", max(source) AS limit_source,
       coalesce(sum(ns) FILTER (slots > 0 AND level >= slots), 0)::BIGINT AS at_limit_ns,
       coalesce(sum(ns) FILTER (is_queued), 0)::BIGINT AS queued_ns,
       levels_since($project) AS since_ns
FROM known GROUP BY queue, environment, platform_project, known.bucket_ns
ORDER BY queue, environment, platform_project, known.bucket_ns
