-- Runs, newest first, one page; `total` repeats how many match. at: what of a run lies in the range: start (its start, else
-- when it was queued or first seen), end (its end; the last to end come first), active (it was under way, or ended).
-- status: any of them, `runs.status` or `runs.outcome`, commas between. counted: whether figures count it.
-- error_group: of an attempt of it that began in the range. keys: only these, commas between; at: any, whenever they were.
-- :from_ns bigint required
-- :to_ns bigint required
-- :at varchar
-- :status varchar
-- :task varchar
-- :queue varchar
-- :environment varchar
-- :platform_project varchar
-- :q varchar
-- :error_group varchar
-- :version varchar
-- :keys varchar
-- :retried boolean
-- :counted boolean
-- :limit bigint required
-- :offset bigint required
WITH chosen AS NOT MATERIALIZED (
    SELECT *, CASE WHEN $at = 'end' THEN ended_ns ELSE at_ns END AS by_ns FROM runs
    WHERE project = $project
      -- Whichever it is, no run that nothing is held of until then is any of them: few rows are looked at.
      AND held_until_ns >= $from_ns
      AND CASE $at
          WHEN 'start' THEN at_ns >= $from_ns AND at_ns < $to_ns
          WHEN 'end' THEN ended_ns >= $from_ns AND ended_ns < $to_ns
          WHEN 'any' THEN true
          ELSE $from_ns < $to_ns AND (
              (at_ns < $to_ns AND (is_open(status) OR greatest(at_ns, coalesce(ended_ns, last_seen_ns)) >= $from_ns))
              OR (ended_ns >= $from_ns AND ended_ns < $to_ns)) -- by its clock it may have ended before it began
          END
      AND ($status IS NULL OR list_contains(string_split($status, ','), status)
           OR list_contains(string_split($status, ','), outcome))
      AND ($task IS NULL OR task_id = $task)
      AND ($queue IS NULL OR queue = $queue)
      AND is_of(environment, $environment)
      AND ($error_group IS NULL OR run_key IN (
          SELECT a.run_key FROM attempts a WHERE a.project = $project AND a.error_group = $error_group
            AND coalesce(a.started_ns, a.ended_ns) >= $from_ns AND coalesce(a.started_ns, a.ended_ns) < $to_ns))
      AND ($version IS NULL OR version = $version)
      AND ($keys IS NULL OR run_key IN (SELECT unnest(string_split($keys, ','))))
      AND is_of(platform_project, $platform_project)
      AND ($retried IS NULL OR (coalesce(attempt_count, 0) > 1) = $retried)
      AND ($counted IS NULL OR is_counted(environment, is_test, is_replay, $project, $environment) = $counted)
), found AS MATERIALIZED ( -- searched once for page and total; column by column, since most have few values
    SELECT project, run_key, built_seq, by_ns FROM chosen
    WHERE $q IS NOT NULL AND (
        contains(lower(run_id), lower($q)) OR contains(lower(task_id), lower($q))
        OR contains(lower(correlation_id), lower($q)) OR contains(lower(request_id), lower($q))
        OR contains(lower(error_type), lower($q)) OR contains(lower(error_message), lower($q))
        OR contains(lower(error_group), lower($q))
        OR contains(lower(array_to_string(tags, chr(10))), lower($q)))
), page AS ( -- each its own top rows: without a search, little is read but times
    (SELECT project, run_key, built_seq, by_ns FROM chosen
     WHERE $q IS NULL ORDER BY by_ns DESC, run_key LIMIT $limit OFFSET $offset)
    UNION ALL
    (SELECT * FROM found ORDER BY by_ns DESC, run_key LIMIT $limit OFFSET $offset)
)
-- Only the page's rows are read whole; `built_seq` says where they stand.
SELECT r.* EXCLUDE (project, due_ns, at_ns, built_seq, held_from_ns, held_until_ns),
       CASE WHEN $q IS NULL THEN (SELECT count(*) FROM chosen) ELSE (SELECT count(*) FROM found) END AS total
FROM page p JOIN runs r ON r.project = p.project AND r.run_key = p.run_key AND r.built_seq = p.built_seq
ORDER BY p.by_ns DESC, r.run_key
