-- Per queue, environment, platform project and bucket: time-weighted slots held, most held for a second (where nothing was
-- held for so long: of any moment), the limit and how it is known, time at the limit and time in which runs waited for
-- certain, ns; since when anything is known of any queue. A bucket in which nothing was held or waited is left out.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :platform_project varchar
-- :queue varchar
WITH known AS (
    SELECT queue, environment, platform_project, (bucket_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns,
           level, peak, ns, is_queued, "limit" AS slots, limit_source AS source
    FROM queue_levels_limited
    WHERE project = $project AND bucket_ns >= $from_ns AND bucket_ns < $to_ns
      AND is_of(environment, $environment)
      AND is_of(platform_project, $platform_project) AND ($queue IS NULL OR queue = $queue)
)
SELECT queue, environment, platform_project, bucket_ns, sum(level::DOUBLE * ns) AS slot_ns,
       CASE WHEN max(peak) > 0 THEN max(peak) ELSE max(level) END AS peak, max(slots) AS "limit",
       max(source) AS limit_source,
       coalesce(sum(ns) FILTER (slots > 0 AND level >= slots), 0)::BIGINT AS at_limit_ns,
       coalesce(sum(ns) FILTER (is_queued), 0)::BIGINT AS queued_ns,
       levels_since($project) AS since_ns
FROM known GROUP BY queue, environment, platform_project, known.bucket_ns
ORDER BY queue, environment, platform_project, known.bucket_ns
