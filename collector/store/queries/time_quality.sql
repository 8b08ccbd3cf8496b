-- How many times were missing, in the wrong unit, ahead, of a clock that is not set or backwards, per kind of record; how
-- many queue waits were raised to 0, because the start of a run lies up to ten minutes before the time it was queued (two
-- clocks that disagree), and how many are unknown, because it lies further before it; not those that their idempotency
-- key handed to whoever triggered them again.
-- :from_ns bigint
-- :to_ns bigint
SELECT 'logs' AS kind, count(*) AS records,
       count(*) FILTER (time_source = 'received') AS missing,
       count(*) FILTER (time_source = 'time_unit_suspect') AS unit_suspect,
       count(*) FILTER (time_source = 'time_future') AS future,
       count(*) FILTER (is_unset(time)) AS past,
       NULL::BIGINT AS end_before_start, NULL::BIGINT AS too_long,
       NULL::BIGINT AS clamped_queue_waits, NULL::BIGINT AS unknown_queue_waits
FROM logs
WHERE project = $project AND ($from_ns IS NULL OR received_ns >= $from_ns) AND ($to_ns IS NULL OR received_ns < $to_ns)
UNION ALL
SELECT 'spans', count(*),
       count(*) FILTER (time_source = 'received'),
       count(*) FILTER (time_source = 'time_unit_suspect'),
       count(*) FILTER (time_source = 'time_future'),
       count(*) FILTER (is_unset(time)),
       count(*) FILTER (duration_ns IS NULL AND start_time_unix_nano > 0 AND end_time_unix_nano > 0
                        AND end_time_unix_nano < start_time_unix_nano),
       count(*) FILTER (duration_ns IS NULL AND start_time_unix_nano > 0
                        AND end_time_unix_nano >= start_time_unix_nano), NULL, NULL
FROM spans
WHERE project = $project AND ($from_ns IS NULL OR received_ns >= $from_ns) AND ($to_ns IS NULL OR received_ns < $to_ns)
UNION ALL
SELECT 'metric_points', count(*),
       count(*) FILTER (time_source = 'received'),
       count(*) FILTER (time_source = 'time_unit_suspect'),
       count(*) FILTER (time_source = 'time_future'),
       count(*) FILTER (is_unset(time)), NULL, NULL, NULL, NULL
FROM metric_points
WHERE project = $project AND ($from_ns IS NULL OR received_ns >= $from_ns) AND ($to_ns IS NULL OR received_ns < $to_ns)
UNION ALL
SELECT 'runs', count(*), NULL, NULL, NULL, NULL, NULL, NULL, count(*) FILTER (queued_ns > started_ns),
       count(*) FILTER (queued_ns IS NULL AND created_ns > started_ns AND idempotency_key IS NULL)
FROM runs
WHERE project = $project AND ($from_ns IS NULL OR coalesce(started_ns, queued_ns, first_seen_ns) >= $from_ns)
  AND ($to_ns IS NULL OR coalesce(started_ns, queued_ns, first_seen_ns) < $to_ns)
