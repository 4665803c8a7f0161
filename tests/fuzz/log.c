// log.c - a click log from anybody: the last bytes choose how it is read, the rest is its text. Whatever is
// read is then filtered, cut and split, and what is written is read back as the same events.
#include "fuzz.h"

static const char *const COLUMNS[8] = {"SessionId", "ItemId", "Time", "UserId", "1", "2", "3,1", ""};

static void sessrec_fuzz_begin(void) {}
static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    (void)data, (void)size;
}
static size_t sessrec_fuzz_example(uint8_t *data, size_t room) {
    static const char text[] = "SessionId\tItemId\tTime\tUserId\n1\ta\t100\tu\n"
                               "1\t\"b\"\"c\"\t2014-04-07T10:51:09.277Z\tu\n2\ta\t300.5\tv\n";
    MUST(sizeof text <= room);
    memcpy(data, text, sizeof text - 1);
    return sizeof text - 1;
}

static void check_log(const sessrec_log *log) {
    const sessrec_log_view view = sessrec_log_contents(log);
    int64_t supported = 0;
    MUST(view.event_count == (view.session_count ? view.session_begins[view.session_count] : 0));
    for (int32_t s = 0; s < view.session_count; ++s) {
        MUST(view.session_begins[s] < view.session_begins[s + 1]);
        MUST(sessrec_log_session_id(log, s));
        if (view.session_users) MUST(view.session_users[s] >= -1 && view.session_users[s] < view.user_count);
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e) {
            MUST(view.items[e] >= 0 && view.items[e] < view.item_count);
            MUST(e == view.session_begins[s] || view.times[e] >= view.times[e - 1]);
            for (int32_t c = 0; c < view.category_count; ++c)
                MUST(view.categories[c][e] >= -1 && view.categories[c][e] < view.value_counts[c]);
        }
    }
    for (int32_t i = 0; i < view.item_count; ++i) {
        supported += view.supports[i];
        MUST(sessrec_log_find_item(log, sessrec_log_item_id(log, i)) == i);
    }
    MUST(supported == view.event_count);
    for (int32_t c = 0; c < view.category_count; ++c)
        for (int32_t v = 0; v < view.value_counts[c]; ++v)
            MUST(sessrec_log_find_value(log, c, sessrec_log_value(log, c, v)) == v);
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    choices input = {data, size};
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL, *before = NULL, *after = NULL;
    sessrec_error error;
    static const char *const separators[6] = {NULL, "\t", ",", ";", "::", " "};
    if (choose(&input, 2)) {
        format.session_column = COLUMNS[choose(&input, 8)];
        format.item_column = COLUMNS[choose(&input, 8)];
        format.time_column = COLUMNS[choose(&input, 8)];
        format.user_column = COLUMNS[choose(&input, 8)];
    }
    format.separator = separators[choose(&input, 6)];
    format.skip_bad_rows = choose(&input, 2);
    format.quotes = choose(&input, 2);
    format.time_unit = choose(&input, 6);
    format.day_first = choose(&input, 3) - 1;
    if (choose(&input, 4) == 0) format.where = "ItemId=a,b";
    if (choose(&input, 4) == 0) format.category_columns = "UserId,4,ItemId";
    if (choose(&input, 4) == 0) format.blank = "NA,u";
    const sessrec_result result = sessrec_log_import(input.at, input.left, &format, &log, &error);
    MUST(!log == !!result);
    if (result) {
        MUST(error.code == result && error.text[0]);
        return;
    }
    check_log(log);
    if (choose(&input, 2)) {
        sessrec_log_sessionize(log, 10.0 * choose(&input, 100), NULL);
        check_log(log);
    }
    if (!sessrec_log_split_time(log, 1000.0 * choose(&input, 100), &before, &after, NULL)) {
        check_log(before);
        check_log(after);
    }
    sessrec_log_destroy(before);
    sessrec_log_destroy(after);
    if (sessrec_log_contents(log).session_users &&
        !sessrec_log_split_last_session(log, &before, &after, NULL)) {
        check_log(before);
        check_log(after);
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
    }
    sessrec_log_destroy(log);
}

