// log.c - a click log from anybody: the last bytes choose how it is read, the rest is its text. Whatever is
// read is then filtered, cut and split, and what is written is read back as the same events.
#include "fuzz.h"

static char path[64];
static const char *const COLUMNS[8] = {"SessionId", "ItemId", "Time", "UserId", "1", "2", "3,1", ""};

static void sessrec_fuzz_begin(void) {
    memory_path(path, sizeof path);
}
static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    (void)data, (void)size;
}

// A number in the text becomes one at the end of what can be read, or a byte one that means something.
static void sessrec_fuzz_forge(uint8_t *data, size_t size, uint32_t random) {
    static const char marks[] = "\n\r\t,;|:\" {}[]\\-+.eET/Z#=";
    static const char *const numbers[8] = {"1e308", "-1", "9223372036854775807", "nan", "0x1p4", "00000000",
                                           "1969-12-31T23:59:60Z", "20240230"};
    if (!size) return;
    size_t at = random / 16 % size;
    if (random % 2) data[at] = (uint8_t)marks[random / 2 % (sizeof marks - 1)];
    while (at < size && (data[at] < '0' || data[at] > '9')) ++at;
    const char *number = numbers[random / 2 % 8];
    for (size_t i = 0; !(random % 2) && number[i] && at < size; ++i, ++at) data[at] = (uint8_t)number[i];
}

// Tables, JSON lines, and logs that are taken apart and put together again. The last bytes are the choices.
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    static const char *const texts[8] = {
        "SessionId\tItemId\tTime\tUserId\n1\ta\t100\tu\n1\t\"b\"\"c\"\t2014-04-07T10:51:09.277Z\tu\n"
        "2\ta\t300.5\tv\n",
        "{\"SessionId\": 1, \"ItemId\": \"a\\u00e9\", \"Time\": 1e3, \"UserId\": null}\n"
        "{\"ItemId\":2,\"x\":{\"y\":[1,\"]\"]},\"Time\":\"2019-10-01\",\"SessionId\":-5}\n",
        "sep=;\r\nSessionId;ItemId;Time\r\n1;a;01.10.2019 01:31\r\n1;b;01.10.2019 01:32:07,5\r\n",
        "1::2::978300760::5\n1::3::978300761::5\n2::2::978300999::1\n",
        "\xef\xbb\xbfsession_id:token,item_id:token,time:float\n7,8,1569888000000\n7,9,1569888001000\n",
        "1,a,Tue Apr 03 18:00:09 +0000 2012\n1,b,11/15/2019 9:11:21 AM\n2,a,NA\n",
        "SessionId ItemId Time\n1 a 1\n1 a 1\n2 b 5\n2 a 6\n3 a 99\n3 b 100\n3 a 101\n",
        "SessionId\tItemId\tTime\tUserId\n1\ta\t1\tu\n1\tb\t2\tv\n2\ta\t3\tu\n3\tb\t4\tv\n2\tb\t9\tu\n"};
    if (which >= 8) return 0;
    const size_t size = strlen(texts[which]);
    MUST(size + 8 <= room);
    memcpy(data, texts[which], size);
    memset(data + size, which == 3 ? 1 : 0, 8);
    if (which == 3) data[size + 6] = 4, data[size + 5] = 5, data[size + 4] = 4, data[size + 3] = 7;
    data[size + 7] = (uint8_t)(which == 3 || which > 5);
    return size + 8;
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

// The same events in the same order, by what their ids are.
static int same_events(const sessrec_log *a, const sessrec_log *b) {
    const sessrec_log_view left = sessrec_log_contents(a), right = sessrec_log_contents(b);
    if (left.event_count != right.event_count || left.session_count != right.session_count ||
        left.item_count != right.item_count || left.user_count != right.user_count)
        return 0;
    for (int64_t e = 0; e < left.event_count; ++e)
        if (left.times[e] != right.times[e] ||
            strcmp(sessrec_log_item_id(a, left.items[e]), sessrec_log_item_id(b, right.items[e])))
            return 0;
    for (int32_t s = 0; s < left.session_count; ++s)
        if (left.session_begins[s] != right.session_begins[s] ||
            strcmp(sessrec_log_session_id(a, s), sessrec_log_session_id(b, s)))
            return 0;
    return 1;
}

// What is written is read back as the same events.
static void write_again(const sessrec_log *log) {
    static uint8_t text[1 << 20];
    sessrec_log *back = NULL;
    sessrec_error error;
    if (sessrec_log_contents(log).event_count == 0) return;
    MUST(!sessrec_log_write(log, path, &error));
    FILE *file = fopen(path, "rb");
    MUST(file);
    const size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    unlink(path);
    if (sessrec_log_import(text, size, NULL, &back, &error) || !same_events(log, back)) {
        fprintf(stderr, "%s\n%.*s", error.text, (int)(size < 2000 ? size : 2000), (const char *)text);
        abort();
    }
    sessrec_log_destroy(back);
}

static void read_as(choices *input, sessrec_log_format *format) {
    static const char *const separators[6] = {NULL, "\t", ",", ";", "::", " "};
    if (choose(input, 2)) {
        format->session_column = COLUMNS[choose(input, 8)];
        format->item_column = COLUMNS[choose(input, 8)];
        format->time_column = COLUMNS[choose(input, 8)];
        format->user_column = COLUMNS[choose(input, 8)];
    }
    format->separator = separators[choose(input, 6)];
    format->skip_bad_rows = choose(input, 2);
    format->quotes = !choose(input, 2);
    format->time_unit = choose(input, 6);
    format->day_first = choose(input, 3) - 1;
    format->where = choose(input, 4) == 1 ? "ItemId=a,b" : NULL;
    format->category_columns = choose(input, 4) == 1 ? "UserId,4,ItemId" : NULL;
    format->blank = choose(input, 4) == 1 ? "NA,u" : NULL;
}

// Reads the text in one piece or in two, as a caller may.
static sessrec_result read_text(choices *input, const sessrec_log_format *format, sessrec_log **log,
                                sessrec_error *error) {
    if (choose(input, 4) != 1) return sessrec_log_import(input->at, input->left, format, log, error);
    const size_t first = input->left ? (size_t)choose(input, 255) % (input->left + 1) : 0;
    if (sessrec_log_create(format, log, error)) return error->code;
    (void)sessrec_log_add_text(*log, input->at, first, format, NULL);
    (void)sessrec_log_add_text(*log, input->at + first, input->left - first, format, NULL);
    const sessrec_result result = sessrec_log_finish(*log, error);
    if (!result) return result;
    sessrec_log_destroy(*log);
    *log = NULL;
    return result;
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    choices input = {data, size};
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_filter filter = sessrec_filter_default();
    sessrec_log *log = NULL, *before = NULL, *after = NULL;
    sessrec_error error;
    read_as(&input, &format);
    const sessrec_result result = read_text(&input, &format, &log, &error);
    MUST(!log == !!result);
    if (result) {
        MUST(error.code == result && error.text[0]);
        return;
    }
    check_log(log);
    write_again(log);
    if (choose(&input, 2)) {
        filter.drop_repeats = choose(&input, 2);
        filter.min_support = choose(&input, 4);
        filter.min_length = choose(&input, 4);
        filter.max_length = choose(&input, 2) ? choose(&input, 20) : 0;
        (void)sessrec_log_filter(log, &filter, NULL);
        check_log(log);
    }
    if (choose(&input, 2)) {
        (void)sessrec_log_sessionize(log, 10.0 * choose(&input, 100), NULL);
        check_log(log);
        write_again(log);
    }
    if (!sessrec_log_split_time(log, 1000.0 * choose(&input, 100), &before, &after, NULL)) {
        check_log(before);
        check_log(after);
        (void)sessrec_log_keep_items(after, before, NULL);
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
