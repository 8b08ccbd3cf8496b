-- Per resource, the least time from a record's own time to its arrival in the last five-minute window it sent in:
-- negative means that its clock is ahead by at least that much; positive, that it is behind or its records took that
-- long. `windows` counts such windows, `least_behind_ns` and `most_behind_ns` are over all of them.
-- :from_ns bigint
-- :to_ns bigint
-- :min_offset_ns bigint
WITH records AS (
    SELECT resource_id, received_ns, time_unix_nano AS stated FROM logs
    WHERE project = $project AND ($from_ns IS NULL OR received_ns >= $from_ns) AND ($to_ns IS NULL OR received_ns < $to_ns)
    UNION ALL
    SELECT resource_id, received_ns, greatest(start_time_unix_nano, end_time_unix_nano) FROM spans
    WHERE project = $project AND ($from_ns IS NULL OR received_ns >= $from_ns) AND ($to_ns IS NULL OR received_ns < $to_ns)
), windows AS (
    SELECT resource_id, received_ns // 300000000000 AS win, min(received_ns - stated::BIGINT) AS behind_ns,
           count(*) AS records, max(received_ns) AS last_received_ns
    FROM records WHERE stated BETWEEN 100000000000000000 AND 9223372036854775807
    GROUP BY ALL
), senders AS (
    SELECT resource_id, arg_max(behind_ns, win) AS behind_ns, min(behind_ns) AS least_behind_ns,
           max(behind_ns) AS most_behind_ns, count(*) AS windows, sum(records)::BIGINT AS records,
           max(last_received_ns) AS last_received_ns
    FROM windows GROUP BY resource_id
)
SELECT r.service_name, s.*
FROM senders s JOIN resources r ON r.project = $project AND r.resource_id = s.resource_id
WHERE abs(s.behind_ns) > coalesce($min_offset_ns, 1000000000)
ORDER BY abs(s.behind_ns) DESC, s.resource_id LIMIT 200
