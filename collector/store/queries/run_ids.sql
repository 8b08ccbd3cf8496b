-- The run ids of some run keys, separated by commas.
-- :keys varchar required
SELECT run_key, run_id, status FROM runs
WHERE project = $project AND run_key IN (SELECT unnest(string_split($keys, ',')))
