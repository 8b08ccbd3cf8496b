-- Per queue, environment and bucket: time-weighted slots held, most held, the limit and how it is known, time at the limit
-- and time with runs waiting, ns. A bucket in which nothing was held or waited is left out.
-- :from_ns bigint required
-- :to_ns bigint required
-- :bucket_ns bigint required
-- :environment varchar
-- :queue varchar
WITH inferred AS (
    SELECT queue, environment, arg_max("limit", from_ns) AS own_limit
    FROM queue_limits
    WHERE project = $project AND source = 'inferred' AND concurrency_key IS NULL AND confidence IS DISTINCT FROM 'low'
    GROUP BY ALL
), known AS (
    SELECT l.queue, l.environment, (l.bucket_ns - $from_ns) // $bucket_ns * $bucket_ns + $from_ns AS bucket_ns, l.level,
           l.ns, l.is_queued, coalesce(l."limit", own_limit) AS slots,
           CASE WHEN l."limit" IS NOT NULL THEN l.limit_source WHEN own_limit IS NOT NULL THEN 'inferred' END AS source
    FROM queue_levels l LEFT JOIN inferred i
      ON i.queue = l.queue AND i.environment IS NOT DISTINCT FROM l.environment
    WHERE l.project = $project AND l.bucket_ns >= $from_ns AND l.bucket_ns < $to_ns
      AND ($environment IS NULL OR l.environment = $environment) AND ($queue IS NULL OR l.queue = $queue)
)
SELECT queue, environment, bucket_ns, sum(level * ns)::BIGINT AS slot_ns, max(level) AS peak, max(slots) AS "limit",
       max(source) AS limit_source,
       coalesce(sum(ns) FILTER (slots > 0 AND level >= slots), 0)::BIGINT AS at_limit_ns,
       coalesce(sum(ns) FILTER (is_queued), 0)::BIGINT AS queued_ns
FROM known GROUP BY queue, environment, known.bucket_ns ORDER BY queue, environment, known.bucket_ns
