"""What may be said about the records of a request: closed sets, so that they can be counted by name.

`REJECTED`: why a record was not kept. `NOTED`: what was kept differently, or is doubtful; those with a text are told
to the sender in the partial success, those without are only counted.
"""

from __future__ import annotations

REJECTED: dict[str, str] = {
    "span_id_invalid": "a span needs a trace id of 16 bytes and a span id of 8, not all zero",
    "signal_not_stored": "profiles are not stored here; send logs, traces or metrics",
}

NOTED: dict[str, str | None] = {
    "time_missing": None,
    "time_unit_suspect": "times before 1973: read as seconds, milli- or microseconds; send nanoseconds",
    "time_ahead": None,
    "time_far_ahead": "times more than a day ahead: arrival time is used",
    "time_past": None,
    "end_before_start": None,
    "duration_impossible": "spans longer than a year: how long they lasted is unknown",
    "number_impossible": "numbers that cannot be (negative, wrapped, a time since 1970, beyond all measure): unknown",
    "keys_nested": None,
    "value_cut": "values cut to {limits.value} characters",
    "body_cut": "log bodies cut to {limits.log_body} characters",
    "key_cut": "attribute keys cut to {limits.key} characters",
    "elements_cut": "values cut to {limits.nodes} elements",
    "key_repeated": "attribute keys repeated: the last value counts",
    "text_mended": "pieces of text that are not Unicode (UTF-8): U+FFFD stands for them",
    "enum_name": "enum names: OTLP/JSON has numbers",
    "enum_unknown": "names that are none of their enum: read as unspecified; OTLP/JSON has numbers",
    "go_value": 'values or metrics in Go\'s own JSON ({{"Value": ...}}, {{"Data": ...}}): empty; this is not OTLP/JSON',
    "object_foreign": "objects of which no member is one that OTLP/JSON has there (of a value stringValue, intValue, "
    "...; of an attribute key; of a metric gauge, sum, ...; of a scope its records): read as empty",
    "field_foreign": "messages with unknown fields in place of their records, points or values: read as empty",
    "old_metric": "metrics of a kind that OTLP has not had since 0.9 (int_gauge, double_sum, ...): read as gauge, sum, "
    "histogram or summary",
    "old_labels": "points or exemplars with labels, which OTLP has not had since 0.9: read as attributes",
    "old_name": "log records with a name, which OTLP no longer has: read as event names",
    "status_bare": 'statuses of spans that are no object: read as the code; OTLP/JSON has {{"code": 2}}',
    "old_otlp": "instrumentation library fields, which OTLP has not had since 0.19: read as scopes, if there are none",
    "nothing_read": "fields or members that are not OTLP's where records would be: ignored, and no record was found",
    "name_ignored": "kinds of field in snake_case ignored: OTLP/JSON has lowerCamelCase",
    "service_overflow": "resources of a service beyond names.services: grouped as __other__",
    "operation_overflow": "records of an operation beyond names.operations: grouped as __other__",
    "task_overflow": "records of a task beyond names.tasks: grouped as __other__",
    "key_overflow": "records with attribute keys beyond names.attribute_keys: is there an id in a key?",
    "attributes_cut": "records cut to {limits.attributes} attributes",
    "log_id_invalid": "log records with an invalid trace or span id: kept without",
    "parent_id_invalid": "spans with an invalid parent span id: kept without",
    "link_id_invalid": "span links with an invalid id: kept without",
    "exemplar_id_invalid": "exemplars with an invalid trace or span id: kept without",
}
