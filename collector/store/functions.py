"""Functions that analysts' SQL may call, by how large a value each can make of its arguments. What is not here is not.

A function of DuckDB gets a place here when what it makes is bounded by its arguments, when it takes no time that
grows faster than they do (one vector of 2,048 values cannot be interrupted), when it tells of rows alone, and when
analysts need it. ARCHITECTURE.md has the numbers by which others were left out.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SMALL = _words("""
    ! != % && * ** / // < <-> <= <=> <@ = > >= @ @> ^ ^@ ~~ ~~* ~~~ !~~ !~~* !__postfix like_escape not_like_escape
    ilike_escape not_ilike_escape abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees
    divide even exp floor fdiv fmod gcd greatest_common_divisor lcm least_common_multiple ln log log10 log2 mod
    multiply nextafter pi pow power radians random round round_even roundbankers sign signbit sin sinh sqrt tan tanh
    trunc isfinite isinf isnan bit_count factorial gamma lgamma age ago century date_add date_diff date_part date_sub
    date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade
    epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian last_day make_date make_time make_timestamp
    make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname
    nanosecond now get_current_timestamp get_current_time current_date current_localtime current_localtimestamp
    quarter second strptime try_strptime time_bucket timezone timezone_hour timezone_minute to_centuries to_days
    to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds
    to_timestamp to_weeks to_years today transaction_timestamp week weekday weekofyear year yearweek ascii bit_length
    char_length character_length contains ends_with instr len length length_grapheme octet_length ord position prefix
    starts_with strlen strpos suffix unicode regexp_full_match regexp_matches chr format_bytes formatreadablesize
    formatreadabledecimalsize hash md5 md5_number md5_number_lower md5_number_upper sha1 sha256 uuid gen_random_uuid
    uuidv4 uuidv7 typeof pg_typeof array_contains array_has array_has_all array_has_any array_indexof array_length
    array_position array_unique cardinality list_contains list_has list_has_all list_has_any list_indexof
    list_position list_unique list_avg list_bool_and list_bool_or list_count list_product list_stddev_pop
    list_stddev_samp list_sum list_var_pop list_var_samp list_kurtosis list_skewness list_sem list_mad
    list_approx_count_distinct map_contains map_contains_entry map_contains_value struct_contains struct_has
    json_array_length json_contains json_exists json_type json_valid is_failed is_open is_stopped is_decided is_over
    is_development is_live is_unset lasted_ns exact_ns bucket_estimate
""")
"""What they return is a number, a time, a truth or a short text, however large their arguments are."""

LOOKS = _words("""
    ~~ ~~* ~~~ !~~ !~~* like_escape not_like_escape ilike_escape not_ilike_escape contains instr position strpos
    length_grapheme regexp_full_match regexp_matches md5 md5_number md5_number_lower md5_number_upper sha1 sha256
    regexp_extract regexp_replace
""")
"""What looks through all of a text: 100 to 250 MB/s, in one piece for the 2,048 values of a vector."""

NEAR = _words("""
    levenshtein editdist3 damerau_levenshtein hamming mismatches jaccard jaro_similarity jaro_winkler_similarity
""")
"""What compares each character of a text with each of another: of short texts alone."""

INSTEAD = {
    "histogram": "use count(*) with GROUP BY",
    "list_reduce": "use list_sum, or list_aggregate(list, 'max')",
    "list_select": "use list_transform(places, lambda i: list[i])",
    "regexp_extract_all": "use regexp_extract, or unnest(string_split(left(body, 500), ' ')) and LIKE",
    "translate": "use replace",
    "reservoir_quantile": "use approx_quantile",
    "approx_top_k": "use count(*) with GROUP BY, ORDER BY and LIMIT",
}
"""What to call instead of functions that are left out."""

KEEPS = _words("""
    || concat lower upper lcase ucase trim ltrim rtrim reverse left right left_grapheme right_grapheme substr
    substring substring_grapheme array_slice list_slice overlay nfc_normalize strip_accents regexp_extract
    array_extract list_extract list_element element_at struct_extract struct_extract_at map_extract map_extract_value
    array_append array_prepend array_push_back array_push_front array_pop_back array_pop_front array_cat array_concat
    list_append list_prepend list_cat list_concat list_value list_pack array_value list_distinct array_distinct
    list_sort array_sort list_reverse_sort array_reverse_sort list_reverse array_reverse list_intersect
    array_intersect list_first list_last list_min list_max list_any_value list_mode list_median list_bit_and
    list_bit_or list_bit_xor list_string_agg list_where array_where flatten list_zip array_zip list_grade_up
    array_grade_up grade_up row struct_pack struct_insert struct_update struct_concat struct_keys struct_values map
    map_concat map_entries map_from_entries map_keys map_values json json_array json_merge_patch json_object unnest
    to_base url_decode
""")
"""What they return is at most as large as all of their arguments together."""

TEXTS = _words("""
    || concat lower upper lcase ucase trim ltrim rtrim reverse left right left_grapheme right_grapheme substr substring
    substring_grapheme nfc_normalize strip_accents regexp_extract array_slice list_slice
""")
"""Of these, those that add no entry of a list or field."""

PATHS = _words("""
    -> ->> json_extract json_extract_path json_extract_path_text json_extract_string json_value json_keys
""")
"""Parts of JSON: one by a literal path without a star, else a list of them, for each path that is given."""

JSON = _words("""
    json json_array json_merge_patch json_object to_json row_to_json array_to_json json_quote json_structure
""")
"""What may be given large texts: JSON is made in memory that DuckDB's limit counts."""

PICKS = _words("if nullif ifnull coalesce greatest least constant_or_null")
"""…as the largest of them."""

ARITHMETIC = _words("+ - & | ~ << >> add subtract xor")
"""Small of what is small; of lists and bits as large as all arguments together."""

SPLITS = 17
"""Times what a split makes of a text at most, an entry for each byte."""

NAMING = _words("to_json row_to_json array_to_json json_object json_array json_structure json_group_object")
"""What writes names of fields into every value."""

TIMES = {
    "to_json": 6, "row_to_json": 6, "array_to_json": 6, "json_quote": 6, "json_structure": 9, "url_encode": 3,
    "regexp_escape": 2, "hex": 2, "to_hex": 2, "to_base64": 2, "base64": 2, "bin": 8, "to_binary": 8, "strftime": 16,
    "encode": 4, "decode": 1, "unhex": 4, "from_hex": 4, "from_base64": 4,
    **dict.fromkeys(("string_split", "str_split", "split", "string_to_array", "string_split_regex"), SPLITS),
    **dict.fromkeys(("str_split_regex", "regexp_split_to_array", "regexp_split_to_table", "split_part"), SPLITS),
}  # fmt: skip
"""…or so many times as large: escapes, digits, names of months, a list's entry for each byte of text."""

LITERAL = {
    "bar": (3,), "repeat": (1,), "lpad": (1,), "rpad": (1,), "list_resize": (1,), "array_resize": (1,),
    "range": (0, 1, 2), "generate_series": (0, 1, 2), "replace": (2,), "regexp_replace": (2,), "format": (0,),
    "printf": (0,),
}  # fmt: skip
"""Functions whose arguments at these places say how large the result is: literals, which `sizes` looks at."""

JOINS = {"concat_ws": 0, "array_to_string": 1, "array_to_string_comma_default": 1}
"""Which argument stands between all others."""

MAPS = _words("list_transform array_transform list_apply array_apply apply")
"""A lambda's result for each element of a list."""

AGGREGATES = _words("""
    any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
    arg_min_null arg_min_nulls_last argmax argmin avg bit_and bit_or bit_xor bool_and bool_or corr count count_if
    count_star countif covar_pop covar_samp entropy favg first fsum geomean geometric_mean kahan_sum kurtosis
    kurtosis_pop last mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop
    stddev_samp sum sumkahan var_pop var_samp variance wavg weighted_avg
""")
"""One value of a group, or of its numbers."""

TOP = _words("""
    min max arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin max_by min_by
""")
"""With a number as last argument a list of so many values, kept for every group."""

COLLECTS = _words("string_agg group_concat listagg list array_agg json_group_array json_group_object")
"""As much as a group holds: DuckDB's memory limit counts what they keep, not what is made of it afterwards."""

WINDOWS = _words("""
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number fill
""")

WHOLE = _words("mode entropy")
"""With OVER only of whole partitions: within frames mode() is not interrupted for minutes."""

TABLES = _words("range generate_series unnest json_each json_tree repeat")
"""Table functions: rows by the vector, of nothing but their arguments."""

INNER = AGGREGATES | COLLECTS - {"json_group_array", "json_group_object"}
"""What `list_aggregate` may be told to do with a list, by name."""

FILTERS = _words("list_filter array_filter filter")

BY_NAME = _words("list_aggregate list_aggr array_aggregate array_aggr aggregate")

SCALARS = (
    SMALL
    | NEAR
    | KEEPS
    | PATHS
    | PICKS
    | ARITHMETIC
    | TIMES.keys()
    | LITERAL.keys()
    | JOINS.keys()
    | MAPS
    | FILTERS
    | BY_NAME
)
ALL = SCALARS | AGGREGATES | TOP | COLLECTS

TYPES = _words("""
    array bigint bigdecimal blob bool boolean bpchar bytea char date datetime dec decimal double float float4 float8
    hugeint int int1 int2 int4 int8 int16 int32 int64 int128 integer interval json list long map numeric oid real
    row short signed smallint string struct text time timestamp timestamptz timestamp_ms timestamp_ns timestamp_s
    timestamp_us tinyint ubigint uhugeint uint8 uint16 uint32 uint64 uint128 uinteger usmallint utinyint uuid varbinary
    varchar bit bitstring
""") | {"time with time zone", "timestamp with time zone", '"null"'}
"""Types that a value may be cast to. An array (of a fixed length) is filled also for NULL: `sizes` looks at it."""

COLLATIONS = _words("nocase noaccent nfc")

SERVER = _words("current_catalog current_database current_schema current_role current_user session_user user")
"""Names that SQL reads as functions without brackets, and that tell of the server."""
