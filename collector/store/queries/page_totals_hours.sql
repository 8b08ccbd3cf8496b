-- `page_totals` of whole hours, from hourly tables: for long ranges.
-- :from_ns bigint required
-- :to_ns bigint required
-- :environment varchar
-- :platform_project varchar
SELECT coalesce(sum(runs), 0)::BIGINT AS runs,
       coalesce(sum(runs) FILTER (status = 'completed'), 0)::BIGINT AS completed,
       coalesce(sum(runs) FILTER (is_failed(status)), 0)::BIGINT AS failed,
       coalesce(sum(runs) FILTER (status = 'skipped'), 0)::BIGINT AS skipped,
       coalesce(sum(runs) FILTER (status IN ('queued', 'running', 'waiting')), 0)::BIGINT AS open,
       coalesce(sum(runs) FILTER (status = 'retrying'), 0)::BIGINT AS retrying,
       coalesce(sum(runs) FILTER (status = 'unknown'), 0)::BIGINT AS unknown,
       coalesce(sum(runs) FILTER (attempt_count > 1), 0)::BIGINT AS retried
FROM run_hours($project, $from_ns, $to_ns, $environment, $platform_project)
