// Click logs: how they are read, ordered, filtered, cut, split and written.
#define SESSREC_IMPLEMENTATION
#include "models.h"

#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#  include <fcntl.h>
#  include <sys/stat.h>
#  include <sys/wait.h>
#  include <unistd.h>
#endif

// ---- helpers ----------------------------------------------------------------------------------------------

static sessrec_error failure;  // of the call made last

static sessrec_log *parse_as(const char *text, const sessrec_log_format *format) {
    sessrec_log *log;
    memset(&failure, 0, sizeof failure);
    sessrec_log_import(text, strlen(text), format, &log, &failure);
    CHECK((log != NULL) == (failure.code == SESSREC_OK));
    return log;
}
static sessrec_log *parse(const char *text) {
    return parse_as(text, NULL);
}
static sessrec_log_format columns(const char *session, const char *item, const char *time, const char *user) {
    sessrec_log_format format = sessrec_log_format_default();
    format.session_column = session;
    format.item_column = item;
    format.time_column = time;
    format.user_column = user;
    return format;
}

// A log as a text: "session[@user]:item item ...;" for each session, in order.
static const char *shape(const sessrec_log *log) {
    static char text[4096];
    size_t used = 0;
    sessrec_log_view view = sessrec_log_contents(log);
    text[0] = 0;
    for (int32_t s = 0; s < view.session_count; ++s) {
        const char *name = sessrec_log_session_id(log, s);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", name ? name : "?");
        if (view.session_users && view.session_users[s] >= 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "@%s",
                                     sessrec_log_user_id(log, view.session_users[s]));
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1] && used + 300 < sizeof text;
             ++e)
            used += (size_t)snprintf(text + used, sizeof text - used, "%c%s",
                                     e == view.session_begins[s] ? ':' : ' ',
                                     sessrec_log_item_id(log, view.items[e]));
        used += (size_t)snprintf(text + used, sizeof text - used, ";");
    }
    return text;
}
// The items in the order of their numbers, and the support of each.
static const char *item_list(const sessrec_log *log) {
    static char text[1024];
    size_t used = 0;
    sessrec_log_view view = sessrec_log_contents(log);
    text[0] = 0;
    for (int32_t i = 0; i < view.item_count && used + 300 < sizeof text; ++i)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%d", i ? " " : "",
                                 sessrec_log_item_id(log, i), (int)view.supports[i]);
    return text;
}
static void check_shape(sessrec_log *log, const char *expected) {
    CHECK_TEXT(shape(log), expected);
    sessrec_log_destroy(log);
}
// The time of the only event of a log whose row has this time field; NaN if the row is refused.
static double time_of(const char *field) {
    char text[2048];
    sessrec_log *log;
    double time = NAN;
    sessrec_log_format format = sessrec_log_format_default();
    format.time_unit = SESSREC_UNIT_SECONDS;
    snprintf(text, sizeof text, "SessionId\tItemId\tTime\n1\t1\t%s\n", field);
    if (sessrec_log_import(text, strlen(text), &format, &log, NULL) == SESSREC_OK)
        time = sessrec_log_contents(log).times[0];
    sessrec_log_destroy(log);
    return time;
}
static int same_bits(double a, double b) {
    return !memcmp(&a, &b, sizeof a);
}
static void check_bad(const char *text, int64_t line, const char *sentence) {
    CHECK(!parse(text));
    CHECK_EQ(failure.code, SESSREC_BAD_LOG);
    CHECK_EQ(failure.line, line);
    CHECK_TEXT(failure.text, sentence);
}
static sessrec_filter rule(int32_t drop_repeats, int64_t min_support, int64_t min_length,
                           int64_t max_length) {
    sessrec_filter filter = sessrec_filter_default();
    filter.drop_repeats = drop_repeats;
    filter.min_support = min_support;
    filter.min_length = min_length;
    filter.max_length = max_length;
    return filter;
}
static sessrec_result filter_by(sessrec_log *log, sessrec_filter filter) {
    return sessrec_log_filter(log, &filter, &failure);
}
static sessrec_log *letters(const char *a, const char *b, const char *c, const char *d) {
    const char *text[4];
    int count = 0;
    if (a) text[count++] = a;
    if (b) text[count++] = b;
    if (c) text[count++] = c;
    if (d) text[count++] = d;
    return letters_log(count, text, NULL);
}

// Whether two logs say the same by their ids; with `numbers`, also by their item numbers.
static int same_log(const sessrec_log *a, const sessrec_log *b, int numbers) {
    sessrec_log_view x = sessrec_log_contents(a), y = sessrec_log_contents(b);
    if (x.event_count != y.event_count || x.session_count != y.session_count ||
        x.item_count != y.item_count || x.user_count != y.user_count || !x.session_users != !y.session_users)
        return 0;
    for (int32_t s = 0; s < x.session_count; ++s) {
        if (x.session_begins[s + 1] != y.session_begins[s + 1] ||
            strcmp(sessrec_log_session_id(a, s), sessrec_log_session_id(b, s)))
            return 0;
        if (x.session_users && (x.session_users[s] < 0 || y.session_users[s] < 0)) {
            if (x.session_users[s] != y.session_users[s]) return 0;
            continue;
        }
        if (x.session_users &&
            strcmp(sessrec_log_user_id(a, x.session_users[s]), sessrec_log_user_id(b, y.session_users[s])))
            return 0;
    }
    for (int64_t e = 0; e < x.event_count; ++e) {
        if (!same_bits(x.times[e], y.times[e]) ||
            strcmp(sessrec_log_item_id(a, x.items[e]), sessrec_log_item_id(b, y.items[e])))
            return 0;
        if (numbers && x.items[e] != y.items[e]) return 0;
    }
    return 1;
}

static const char *const path = "test_log.tmp";

static void put_file(const char *text, size_t size) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, size, file), size);
    fclose(file);
}
static sessrec_log *load(void) {
    sessrec_log *log;
    memset(&failure, 0, sizeof failure);
    const sessrec_result result = sessrec_log_read(path, NULL, &log, &failure);
    CHECK_EQ(result, failure.code);
    return log;
}
static const char *file_text(void) {
    static char text[4096];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

#define COLUMNS "; name the columns that it has: --session-column, --item-column, --time-column"
#define NO_QUOTES "; if quotes are plain text in this log: --no-quotes"
#define SKIP_BAD "; --skip-bad-rows skips such rows"

// ---- layouts of text --------------------------------------------------------------------------------------

static void layouts(void) {
    TEST("a TSV file with the usual header is read") {
        sessrec_log *log = parse("SessionId\tItemId\tTime\n7\tx\t10\n7\ty\t11\n8\tx\t12\n");
        sessrec_log_view view = sessrec_log_contents(log);
        CHECK_EQ(view.event_count, 3);
        CHECK_EQ(view.session_count, 2);
        CHECK_EQ(view.item_count, 2);
        CHECK_EQ(view.user_count, 0);
        CHECK(view.session_users == NULL);
        CHECK_EQ(view.session_begins[0], 0);
        CHECK_EQ(view.session_begins[1], 2);
        CHECK_EQ(view.session_begins[2], 3);
        CHECK_EQ(view.items[2], 0);
        CHECK_NEAR(view.times[1], 11, 0);
        CHECK_EQ(view.supports[0], 2);
        CHECK_EQ(view.bad_row_count, 0);
        CHECK_EQ(view.dropped_event_count, 0);
        check_shape(log, "7:x y;8:x;");
    }
    TEST("the separator is what the first line has most of: tab, comma, semicolon, |, :: or a blank") {
        check_shape(parse("SessionId,ItemId,Time\n1,a;b,2\n"), "1:a;b;");
        check_shape(parse("SessionId;ItemId;Time\n1;a,b;2\n"), "1:a,b;");
        check_shape(parse("SessionId|ItemId|Time\n1|a,b|2\n"), "1:a,b;");
        check_shape(parse("SessionId::ItemId::Time\n1::a:b::2\n"), "1:a:b;");
        check_shape(parse("SessionId ItemId Time\n1 a 2\n"), "1:a;");
        check_shape(parse("Session_Id\tItemId\tTime\tx,y\n1\ta,b\t2\t\n"), "1:a,b;");
    }
    TEST("of separators that the first line has as many of, tab goes before comma and comma before "
         "semicolon") {
        check_shape(parse("SessionId\tItemId\tTime\tx,y,z,w\n1\ta,b,c,d\t2\n"), "1:a,b,c,d;");
        check_shape(parse("SessionId,ItemId,Time,x;y;z;w\n1,a;b;c;d,2\n"), "1:a;b;c;d;");
    }
    TEST("a separator that is given is used") {
        sessrec_log_format format = sessrec_log_format_default();
        format.separator = "|";
        check_shape(parse_as("SessionId|ItemId|Time\n1|a,b;c\td|2\n", &format), "1:a,b;c\td;");
    }
    TEST("columns are found by name in any order and case, '_' ignored") {
        check_shape(parse("time,price,ITEM_ID,sessionid,user_id\n5,9,a,1,u\n"), "1@u:a;");
        sessrec_log_format format = columns("visit", "product_code", "when", "ZONE_A");
        check_shape(parse_as("_zonea_,Visit,WHEN,ProductCode\nu,1,5,a\n", &format), "1@u:a;");
    }
    TEST("a name must match to its end") {
        CHECK(!parse("SessionIds,ItemId,Time\n1,a,5\n"));
        CHECK_EQ(failure.code, SESSREC_BAD_LOG);
    }
    TEST("of two columns of one name the first is taken") {
        check_shape(parse("ItemId,SessionId,ItemId,Time\na,1,b,5\n"), "1:a;");
    }
    TEST("one column may serve as session and as user") {
        sessrec_log_format format = columns("u", "ItemId", "Time", "u");
        check_shape(parse_as("u,ItemId,Time\n1,a,5\n", &format), "1@1:a;");
    }
    TEST("columns may be given as numbers from 1; a first line whose time is none is then a header") {
        sessrec_log_format format = columns("2", "1", "3", "UserId");
        check_shape(parse_as("a,1,5\nb,1,6\n", &format), "1:a b;");
        check_shape(parse_as("item,session,time\na,1,5\nb,1,6\n", &format), "1:a b;");
        check_shape(parse_as("UserId,session,time\na,1,5\n", &format), "1:a;");
        format.user_column = "3";
        check_shape(parse_as("a,1,5\n", &format), "1@5:a;");
    }
    TEST("numbers beside names: the first line is a header") {
        sessrec_log_format format = columns("1", "ItemId", "3", "UserId");
        check_shape(parse_as("5,ItemId,5,UserId\n1,a,2,u\n", &format), "1@u:a;");
        format = columns("1", "2", "3", "who");
        check_shape(parse_as("1,2,3,who\n1,a,2,u\n", &format), "1@u:a;");
    }
    TEST("with numbers and no time column no line is a header") {
        sessrec_log_format format = columns("1", "2", "", "");
        check_shape(parse_as("session,item\n1,a\n", &format), "session:item;1:a;");
    }
    TEST("without a time column the order of the rows is the order in time") {
        sessrec_log_format format = columns("SessionId", "ItemId", "", NULL);
        sessrec_log *log = parse_as("SessionId,ItemId,Time\n2,b,9\n1,a,8\n2,c,7\n", &format);
        CHECK_NEAR(sessrec_log_contents(log).times[1], 2, 0);
        check_shape(log, "2:b c;1:a;");
    }
    TEST("the user column is ignored if the format says so, and must be there if it is asked for by another "
         "name") {
        sessrec_log_format format = columns("SessionId", "ItemId", "Time", "");
        check_shape(parse_as("SessionId,ItemId,Time,UserId\n1,a,2,u\n", &format), "1:a;");
        check_shape(parse_as("SessionId,ItemId,Time,UserId\n1,a,2\n", &format), "1:a;");
        format.user_column = "visitor";
        CHECK(!parse_as("SessionId,ItemId,Time,UserId\n1,a,2,u\n", &format));
        CHECK_TEXT(failure.text,
                   "the header has no column \"visitor\", it reads \"SessionId,ItemId,Time,UserId\"" COLUMNS);
    }
    TEST("CRLF, blank lines, a byte order mark and a missing last line end are no matter") {
        check_shape(parse("\xef\xbb\xbfSessionId,ItemId,Time\r\n\r\n1,a,2\r\n\n1,b,3"), "1:a b;");
        check_shape(parse("\n\r\nSessionId,ItemId,Time\n1,a,2\r"), "1:a;");
    }
    TEST("fields may be quoted; separators and doubled quotes stand inside") {
        check_shape(parse("\"SessionId\",\"Item\"\"Id\",ItemId,Time\n\"1\",x,\"a,\"\"b\"\"\",\"2\"\n\"1\",x,"
                          "\"\"\"\",3\n"),
                    "1:a,\"b\" \";");
    }
    TEST("a quote inside of a field that does not begin with one stands for itself") {
        check_shape(parse("SessionId,ItemId,Time\n1,a\"\"b\"c,2\n"), "1:a\"\"b\"c;");
    }
    TEST("ids are kept verbatim") {
        check_shape(parse("SessionId,ItemId,Time\n007, a b ,2\n7,\xc3\xa4\xff,3\n"),
                    "007: a b ;7:\xc3\xa4\xff;");
    }
    TEST("fields behind those that are needed are no matter") {
        check_shape(parse("SessionId,ItemId,Time\n1,a,2,,\"x\",y\n"), "1:a;");
    }
    TEST("a header without rows is a log without events") {
        sessrec_log *log = parse("SessionId,ItemId,Time,UserId\n");
        sessrec_log_view view = sessrec_log_contents(log);
        CHECK_EQ(view.event_count, 0);
        CHECK_EQ(view.session_count, 0);
        CHECK_EQ(view.item_count, 0);
        CHECK_EQ(view.session_begins[0], 0);
        check_shape(log, "");
    }
    TEST("ids of 255 bytes are read, also where quotes are doubled") {
        char text[1200], id[256];
        memset(id, 'x', 255);
        id[255] = 0;
        snprintf(text, sizeof text, "SessionId,ItemId,Time\n%s,\"%.254s\"\"\",1\n", id, id);
        sessrec_log *log = parse(text);
        CHECK_TEXT(sessrec_log_session_id(log, 0), id);
        id[254] = '"';
        CHECK_TEXT(sessrec_log_item_id(log, 0), id);
        sessrec_log_destroy(log);
    }
}

// ---- what is refused --------------------------------------------------------------------------------------

static char *long_line(size_t size, const char *tail, size_t *total) {
    const char *head = "SessionId,ItemId,Time,x\n1,a,2,";
    char *text = (char *)malloc(strlen(head) + size + strlen(tail) + 1);
    strcpy(text, head);
    memset(text + strlen(head), 'x', size);
    strcpy(text + strlen(head) + size, tail);
    *total = strlen(text);
    return text;
}

#define HEAD "SessionId,ItemId,Time\n1,a,1\n"

static void bad_row_count(void) {
    TEST("a row that cannot be read is named by its line, the place and the reason") {
        check_bad(HEAD "2,b\n", 3, "the row \"2,b\" has too few fields");
        check_bad(HEAD "\n,b,5\n", 4, "the session id \"\" is blank" SKIP_BAD);
        check_bad(HEAD "2,\"\",5\n", 3, "the item id \"\" is blank" SKIP_BAD);
        check_bad(HEAD "2,b,\n", 3, "the time \"\" is blank" SKIP_BAD);
        check_bad(HEAD "2,b,noon\n", 3,
                  "the time \"noon\" is neither a number nor a date like 2014-04-07T10:51:09Z");
        check_bad(HEAD "2,\"b,5\n3,c,6\n", 3, "the row \"2,\"b,5\" has a quote that is not closed" NO_QUOTES);
        check_bad(HEAD "2,\"b\"c,5\n", 3, "the row \"2,\"b\"c,5\" has text after a closing quote" NO_QUOTES);
    }
    TEST("an id over 255 bytes is refused") {
        char text[1200], id[257];
        memset(id, 'x', 256);
        id[256] = 0;
        snprintf(text, sizeof text, HEAD "2,%s,1\n", id);
        check_bad(text, 3,
                  "the item id \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is longer than 255 bytes");
        snprintf(text, sizeof text, HEAD "2,\"%.255s\"\"\",1\n", id);
        CHECK(!parse(text));
        CHECK_EQ(failure.line, 3);
    }
    TEST("an id with a NUL byte is refused") {
        sessrec_log *log;
        char text[2000] = HEAD;
        size_t used = strlen(text);
        while (used < 1200) used += (size_t)sprintf(text + used, "2,a,5\n");  // not at the beginning
        memcpy(text + used, "2,b\0c,5\n", 8);
        CHECK_EQ(sessrec_log_import(text, used + 8, NULL, &log, &failure), SESSREC_BAD_LOG);
        CHECK(log == NULL);
        CHECK_EQ(failure.line, 3 + (int64_t)(used - strlen(HEAD)) / 6);
        CHECK_TEXT(failure.text, "the item id \"b c\" has a NUL byte in it");
    }
    TEST("a line over 1 MiB is refused") {
        sessrec_log *log;
        size_t total;
        char *text = long_line((1 << 20) - 6, "\n1,b,3\n", &total);
        CHECK_EQ(sessrec_log_import(text, total, NULL, &log, NULL), SESSREC_OK);
        check_shape(log, "1:a b;");
        free(text);
        text = long_line((1 << 20) - 5, "\n1,b,3\n", &total);
        CHECK_EQ(sessrec_log_import(text, total, NULL, &log, &failure), SESSREC_BAD_LOG);
        CHECK_EQ(failure.line, 2);
        CHECK_TEXT(failure.text,
                   "the row \"1,a,2,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is longer than 1 MiB");
        free(text);
    }
    TEST("excerpts are cut between characters and show no control characters") {
        check_bad(HEAD "2,b,\x01\x7f\xc3\xa4\n", 3,
                  "the time \"  \xc3\xa4\" is neither a number nor a date like 2014-04-07T10:51:09Z");
        check_bad(HEAD "2,b,0123456789012345678901234567890123456\xe2\x82\xac\xe2\x82\xac\n", 3,
                  "the time \"0123456789012345678901234567890123456\xe2\x82\xac...\" is neither a number nor "
                  "a date like 2014-04-07T10:51:09Z");
        check_bad(HEAD "2,b,01234567890123456789012345678901234567\xe2\x82\xac\n", 3,
                  "the time \"01234567890123456789012345678901234567...\" is neither a number nor a date "
                  "like 2014-04-07T10:51:09Z");
    }
    TEST("with skip_bad_rows bad rows are counted, and leave nothing behind") {
        sessrec_log_format format = sessrec_log_format_default();
        format.skip_bad_rows = 1;
        sessrec_log *log = parse_as(HEAD "x,y\n,z,2\n3,q,never\n1,\"b\"b,2\n1,b,2\n,z,3\n", &format);
        CHECK_EQ(sessrec_log_contents(log).bad_row_count, 5);
        CHECK_TEXT(sessrec_log_note(log, 0),
                   "rows skipped because the session id is blank: 2, the first in line 4");
        CHECK_TEXT(
            sessrec_log_note(log, 1),
            "rows skipped because the time is neither a number nor a date like 2014-04-07T10:51:09Z: 1, "
            "the first in line 5");
        CHECK_TEXT(sessrec_log_note(log, 2),
                   "rows skipped because the row has too few fields: 1, the first in line 3");
        CHECK_TEXT(
            sessrec_log_note(log, 3),
            "rows skipped because the row has text after a closing quote: 1, the first in line 6");
        CHECK(!sessrec_log_note(log, 4) && !sessrec_log_note(log, -1) && !sessrec_log_note(NULL, 0));
        CHECK_EQ(sessrec_log_find_item(log, "q"), -1);
        check_shape(log, "1:a b;");
    }
    TEST("a header that cannot be used is an error even then") {
        sessrec_log_format format = sessrec_log_format_default();
        format.skip_bad_rows = 1;
        CHECK(!parse_as("Session,ItemId,Time\n1,a,1\n", &format));
        CHECK_EQ(failure.line, 1);
        CHECK_TEXT(failure.text,
                   "the header has no column \"SessionId\", it reads \"Session,ItemId,Time\"" COLUMNS);
        CHECK(!parse_as("\nSessionId\tItemId\n1\ta\n", &format));
        CHECK_EQ(failure.line, 2);
        CHECK_TEXT(failure.text, "the header has no column \"Time\", it reads \"SessionId ItemId\"" COLUMNS);
        CHECK(!parse_as("SessionId,\"ItemId,Time\n1,a,1\n", &format));
        CHECK_EQ(failure.line, 1);
        CHECK_TEXT(failure.text,
                   "the header has no column \"ItemId\", it reads \"SessionId,\"ItemId,Time\"" COLUMNS);
    }
    TEST("with numbered columns a first line that lacks a field is a bad row, not a header") {
        sessrec_log_format format = columns("1", "2", "3", "");
        CHECK(!parse_as("1,a\n", &format));
        CHECK_EQ(failure.line, 1);
        CHECK_TEXT(failure.text, "the row \"1,a\" has too few fields");
        CHECK(!parse_as("1,\"a\n", &format));
        CHECK_TEXT(failure.text, "the row \"1,\"a\" has a quote that is not closed" NO_QUOTES);
    }
    TEST("an empty text is an error") {
        check_bad("", 0, "the log is empty: not even a header is there");
        check_bad("\n\r\n\n", 0, "the log is empty: not even a header is there");
        check_bad("\xef\xbb\xbf", 0, "the log is empty: not even a header is there");
        sessrec_log *log;
        CHECK_EQ(sessrec_log_import(NULL, 0, NULL, &log, NULL), SESSREC_BAD_LOG);
    }
    TEST("bad arguments are refused with a sentence") {
        sessrec_log *log = NULL;
        sessrec_log_format format = sessrec_log_format_default();
        CHECK_EQ(sessrec_log_import(NULL, 5, NULL, &log, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_import("", 0, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_read(NULL, NULL, &log, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_read("x", NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_create(NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        memset(&format, 0, sizeof format);
        CHECK(!parse_as(HEAD, &format));
        CHECK_EQ(failure.code, SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(failure.text, "the log format was not made by sessrec_log_format_default()");
        CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_INVALID_ARGUMENT);
        format = columns("SessionId", NULL, "Time", "");
        CHECK(!parse_as(HEAD, &format));
        CHECK_TEXT(failure.text, "the log format names no column for the item");
        format = columns("", "ItemId", "Time", "");
        CHECK(!parse_as(HEAD, &format));
        CHECK_TEXT(failure.text, "the log format names no column for the session");
        format = columns("SessionId", "0", "Time", "");
        CHECK(!parse_as(HEAD, &format));
        CHECK_TEXT(failure.text, "\"0\" is not a column: columns are counted from 1");
        format.item_column = "99999999999999999999";
        CHECK(!parse_as(HEAD, &format));
        CHECK_EQ(failure.code, SESSREC_INVALID_ARGUMENT);
        format = sessrec_log_format_default();
        format.separator = "\"";
        CHECK(!parse_as(HEAD, &format));
        CHECK_TEXT(failure.text, "fields are separated by one byte or two, not by quotes or line ends");
    }
}

// ---- times ------------------------------------------------------------------------------------------------

static void times(void) {
    TEST("numbers are read as the nearest double") {
        static const char *const text[] = {"0",
                                           "1396437466",
                                           "1396437466.94",
                                           "-12.5",
                                           "+3",
                                           ".5",
                                           "5.",
                                           "1e3",
                                           "1.5E-3",
                                           "25e+1",
                                           "1396437466.940123456",
                                           "0.1",
                                           "123456789012345678901234567890",
                                           "9007199254740993",
                                           "9007199254740993.000000000000000000001",
                                           "9007199254740992.99999999999999999999",
                                           "2.2250738585072011e-308",
                                           "4.9e-324",
                                           "1.7976931348623157e308",
                                           "2.4703282292062327e-324",
                                           "2.4703282292062328e-324",
                                           "0.000000000000000000000000000000000000000000123",
                                           "0e999999999999",
                                           "1e-999999999999",
                                           "8.9e-324",
                                           "1396437466.9400000572204589843750001"};
        for (size_t i = 0; i < sizeof text / sizeof *text; ++i) {
            if (!same_bits(time_of(text[i]), strtod(text[i], NULL))) printf("%s\n", text[i]);
            CHECK(same_bits(time_of(text[i]), strtod(text[i], NULL)));
        }
        CHECK(same_bits(time_of("-0"), 0.0));
    }
    TEST("random decimals are read as strtod reads them") {
        uint32_t state = 77;
        int wrong = 0;
        for (int i = 0; i < 3000; ++i) {
            char text[64];
            int digits = 1 + random_below(&state, 22), point = random_below(&state, 23), used = 0;
            for (int d = 0; d < digits; ++d) {
                if (d == point) text[used++] = '.';
                text[used++] = (char)('0' + random_below(&state, 10));
            }
            snprintf(text + used, sizeof text - (size_t)used, "e%d", random_below(&state, 660) - 345);
            if (i % 2) text[used] = 0;
            double expected = strtod(text, NULL), actual = time_of(text);
            if (expected > 1e308) wrong += !isnan(actual) && !same_bits(actual, expected);
            else wrong += !same_bits(actual, expected);
        }
        CHECK_EQ(wrong, 0);
    }
    TEST("dates are read as seconds since 1970 in UTC") {
        CHECK_NEAR(time_of("1970-01-01"), 0, 0);
        CHECK_NEAR(time_of("2014-04-07"), 1396828800, 0);
        CHECK_NEAR(time_of("2014-04-07T10:51"), 1396867860, 0);
        CHECK_NEAR(time_of("2014-04-07 10:51:09"), 1396867869, 0);
        CHECK(same_bits(time_of("2014-04-07T10:51:09.277Z"), 1396867869.277));
        CHECK(same_bits(time_of("2014-04-07T10:51:09.277000000000Z"), 1396867869.277));
        CHECK_NEAR(time_of("2014-04-07T10:51:09+02:00"), 1396867869 - 7200, 0);
        CHECK_NEAR(time_of("2014-04-07T10:51:09+0230"), 1396867869 - 9000, 0);
        CHECK_NEAR(time_of("2014-04-07T10:51-00:30"), 1396867860 + 1800, 0);
        CHECK_NEAR(time_of("1969-12-31T23:59:59.5"), -0.5, 0);
        CHECK_NEAR(time_of("2016-12-31T23:59:60Z"), 1483228800, 0);
        CHECK_NEAR(time_of("2000-02-29"), 951782400, 0);
        CHECK_NEAR(time_of("2012-03-01"), 1330560000, 0);
        CHECK_NEAR(time_of("0001-01-01"), -62135596800.0, 0);
        CHECK_NEAR(time_of("9999-12-31T23:59:59"), 253402300799.0, 0);
    }
    TEST("months and leap years follow each other without a gap") {
        static const int length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        double start = -29219 * 86400.0;  // of the month, from 1890-01-01 on
        int wrong = 0;
        for (int year = 1890; year < 2110; ++year)
            for (int month = 1; month <= 12; ++month) {
                const int leap = year % 4 == 0 && year != 1900 && year != 2100,
                          days = length[month - 1] + (month == 2 && leap);
                char first[40], last[40], behind[40];
                snprintf(first, sizeof first, "%d-%02d-01", year, month);
                snprintf(last, sizeof last, "%d-%02d-%d", year, month, days);
                snprintf(behind, sizeof behind, "%d-%02d-%d", year, month, days + 1);
                wrong += !same_bits(time_of(first), start) ||
                         !same_bits(time_of(last), start + (days - 1) * 86400.0) || !isnan(time_of(behind));
                start += days * 86400.0;
            }
        CHECK_EQ(wrong, 0);
    }
    TEST("what is no time is refused") {
        static const char *const text[] = {"",

                                           "nan",
                                           "inf",
                                           "-inf",
                                           "1e400",
                                           "-1e309",
                                           "1e",
                                           "1e+",
                                           ".",
                                           "-",
                                           "+-1",
                                           "--1",
                                           "0x10",
                                           "1.2.3",
                                           "1,5e",
                                           "12:00",
                                           "1_000",

                                           "2014-13-01",
                                           "2014-00-10",
                                           "2014-01-00",
                                           "2014-01-32",
                                           "2014-02-29",
                                           "1900-02-29",
                                           "2014-04-31",
                                           "0000-01-01",
                                           "2014-04-07T",
                                           "2014-04-07T10",
                                           "2014-04-07T10:",
                                           "2014-04-07T24:00",
                                           "2014-04-07T10:60",
                                           "2014-04-07T10:51:61",
                                           "2014-04-07T10:51:",
                                           "2014-04-07T10:51:09.",
                                           "2014-04-07T10:51:09x",
                                           "2014-04-07T10:51Zx",
                                           "2014-04-07T10:51+2",
                                           "2014-04-07T10:51+24:00",
                                           "2014-04-07T10:51+02:60",
                                           "2014-04-07T10:51+02:",
                                           "2014-04-07T10:51*02:00",

                                           "2014-04-0710:51",
                                           "20140-4-07",

                                           "2014-04/07",
                                           "1e5e5",
                                           "1-2",
                                           "1234-56789"};
        for (size_t i = 0; i < sizeof text / sizeof *text; ++i) {
            if (!isnan(time_of(text[i]))) printf("%s\n", text[i]);
            CHECK(isnan(time_of(text[i])));
        }
    }
}

// ---- order ------------------------------------------------------------------------------------------------

static void order(void) {
    TEST("sessions are ordered by the time of their first event, ties by first appearance") {
        check_shape(parse("SessionId,ItemId,Time\nlate,a,30\ntwo,b,10\none,c,10\nlate,d,5\n"),
                    "late:d a;two:b;one:c;");
        check_shape(parse("SessionId,ItemId,Time\nc,a,7\nb,a,7\na,a,7\n"), "c:a;b:a;a:a;");
    }
    TEST("events of a session are ordered by time, equal times keep the order of the rows") {
        check_shape(parse("SessionId,ItemId,Time\n1,e,5\n1,a,1\n2,x,3\n1,f,5\n1,b,1\n1,c,2\n"),
                    "1:a b c e f;2:x;");
    }
    TEST("items are numbered in order of first appearance in the rows") {
        sessrec_log *log = parse("SessionId,ItemId,Time\n1,z,9\n1,a,1\n2,m,3\n1,z,2\n");
        CHECK_TEXT(item_list(log), "z=2 a=1 m=1");
        CHECK_EQ(sessrec_log_find_item(log, "m"), 2);
        CHECK_EQ(sessrec_log_find_item(log, "q"), -1);
        CHECK_EQ(sessrec_log_find_item(log, NULL), -1);
        CHECK(sessrec_log_item_id(log, -1) == NULL);
        CHECK(sessrec_log_item_id(log, 3) == NULL);
        CHECK(sessrec_log_session_id(log, 2) == NULL);
        CHECK(sessrec_log_user_id(log, 0) == NULL);
        sessrec_log_destroy(log);
    }
    TEST("U11: a session is a user's session: two users may have one of the same id") {
        check_shape(parse("SessionId,ItemId,Time,UserId\n1,a,1,u\n1,b,2,v\n1,c,3,u\n2,d,4,v\n1,e,5,v\n"),
                    "1@u:a c;1@v:b e;2@v:d;");
    }
    TEST("U11: rows without a user are sessions of nobody") {
        sessrec_log *log = parse("SessionId,ItemId,Time,UserId\n1,a,1,u\n1,b,2,\n2,c,3,\n1,d,4,\"\"\n");
        CHECK_EQ(sessrec_log_contents(log).user_count, 1);
        CHECK_EQ(sessrec_log_contents(log).session_users[1], -1);
        CHECK_TEXT(sessrec_log_note(log, 0), "2 of 3 sessions have no user");
        CHECK(sessrec_log_user_id(log, -1) == NULL);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        sessrec_log *back = load();
        CHECK(same_log(log, back, 0));
        sessrec_log_destroy(back);
        remove(path);
        check_shape(log, "1@u:a;1:b d;2:c;");
    }
    TEST("nothing can be seen of a log that is not there or not finished") {
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(log, -1, 1, 2, 3), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(log).event_count, 0);
        CHECK_EQ(sessrec_log_contents(NULL).event_count, 0);
        CHECK(sessrec_log_item_id(log, 0) == NULL);
        CHECK(sessrec_log_item_id(NULL, 0) == NULL);
        CHECK(sessrec_log_session_id(NULL, 0) == NULL);
        CHECK(sessrec_log_user_id(NULL, 0) == NULL);
        CHECK_EQ(sessrec_log_find_item(log, "2"), -1);
        CHECK_EQ(sessrec_log_find_item(NULL, "2"), -1);
        sessrec_log_destroy(log);
        sessrec_log_destroy(NULL);
    }
}

// ---- categories -------------------------------------------------------------------------------------------

// "item/value/value" of each event, "|" between sessions; a value's number is in front of it.
static const char *categories_of(const sessrec_log *log) {
    static char text[1024];
    size_t used = 0;
    const sessrec_log_view v = sessrec_log_contents(log);
    for (int32_t s = 0; s < v.session_count; ++s)
        for (int64_t e = v.session_begins[s]; e < v.session_begins[s + 1]; ++e) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                     e > v.session_begins[s] ? " "
                                     : s                     ? " | "
                                                             : "",
                                     sessrec_log_item_id(log, v.items[e]));
            for (int32_t c = 0; c < v.category_count; ++c) {
                const char *value = sessrec_log_value(log, c, v.categories[c][e]);
                used += (size_t)snprintf(text + used, sizeof text - used, "/%d%s", (int)v.categories[c][e],
                                         value ? value : "");
            }
        }
    text[used] = 0;
    return text;
}

static const char *const shop_text = "SessionId,ItemId,Time,Brand,UserId,Color\n"
                                     "2,x,9,zeta,u,red\n1,a,5,acme,u,\n1,b,4,zeta,u,blue\n"
                                     "1,a,5,beta,u,red\n2,b,7,,u,red\n3,c,99,solo,v,green\n";
static sessrec_log *shop_log(void) {
    sessrec_log_format format = sessrec_log_format_default();
    format.category_columns = "brand,Color";
    return parse_as(shop_text, &format);
}

static void categories(void) {
    TEST("more columns become dense numbers that follow the clicks into the order of time; a blank is none") {
        sessrec_log *log = shop_log();
        const sessrec_log_view v = sessrec_log_contents(log);
        CHECK_EQ(v.category_count, 2);
        CHECK_EQ(v.value_counts[0], 4);
        CHECK_EQ(v.value_counts[1], 3);
        CHECK_TEXT(sessrec_log_category(log, 0), "brand");
        CHECK_TEXT(sessrec_log_category(log, 1), "Color");
        CHECK(sessrec_log_category(log, 2) == NULL && sessrec_log_category(log, -1) == NULL);
        CHECK_TEXT(categories_of(log), "b/0zeta/1blue a/1acme/-1 a/2beta/0red | b/-1/0red x/0zeta/0red | "
                                       "c/3solo/2green");
        CHECK_EQ(sessrec_log_find_value(log, 0, "solo"), 3);
        CHECK_EQ(sessrec_log_find_value(log, 0, "red"), -1);
        CHECK_EQ(sessrec_log_find_value(log, 1, "red"), 0);
        CHECK_EQ(sessrec_log_find_value(log, 2, "red"), -1);
        CHECK(sessrec_log_value(log, 0, 4) == NULL && sessrec_log_value(log, 0, -1) == NULL);
        CHECK(sessrec_log_value(log, 2, 0) == NULL);
        sessrec_log_destroy(log);
    }
    TEST("categories survive filters, cuts and splits, where values without clicks leave") {
        sessrec_log *log = shop_log(), *before, *after;
        CHECK_EQ(sessrec_log_split_time(log, 50, &before, &after, NULL), SESSREC_OK);
        CHECK_TEXT(categories_of(after), "c/0solo/0green");
        CHECK_EQ(sessrec_log_contents(before).value_counts[0], 3);
        CHECK_EQ(sessrec_log_find_value(before, 0, "solo"), -1);
        CHECK_EQ(sessrec_log_sessionize(before, 0.5, NULL), SESSREC_OK);
        CHECK_TEXT(categories_of(before),
                   "b/0zeta/1blue | a/1acme/-1 a/2beta/0red | b/-1/0red | x/0zeta/0red");
        CHECK_EQ(filter_by(before, rule(1, 0, 0, 1)), SESSREC_OK);
        CHECK_TEXT(categories_of(before), "b/0zeta/1blue | a/1acme/-1 | b/-1/0red | x/0zeta/0red");
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        CHECK_EQ(sessrec_log_split_last_session(log, &before, &after, NULL), SESSREC_OK);
        CHECK_TEXT(categories_of(after), "b/-1/0red x/0zeta/0red");
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        sessrec_log_destroy(log);
    }
    TEST("a log that was written and read again has the same categories") {
        static const char *const odd[3] = {"a \"b\"\tc\n", "NA", NULL};
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log, *back;
        format.category_columns = "4,itemid,a\tb";
        CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_categories(log, "u", "1", "i", 5, odd), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, "2", "j", 6), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(log, 3, 3, 4, 7), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_TEXT(sessrec_log_category(log, 0), "Category1");
        CHECK_TEXT(sessrec_log_category(log, 1), "Category2");  // "itemid" would be read as the items
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        format.category_columns = "Category1,Category2,a\tb";
        CHECK_EQ(sessrec_log_read(path, &format, &back, NULL), SESSREC_OK);
        CHECK(same_log(log, back, 1));
        CHECK_EQ(sessrec_log_contents(back).value_counts[0], 1);
        CHECK_EQ(sessrec_log_contents(back).value_counts[2], 0);
        CHECK_TEXT(sessrec_log_value(back, 0, 0), odd[0]);
        CHECK_TEXT(sessrec_log_value(back, 1, 0), odd[1]);
        remove(path);
        sessrec_log_destroy(log);
        sessrec_log_destroy(back);
    }
    TEST("JSON lines and columns by number have categories, too; a key may be missing") {
        sessrec_log_format format = columns("s", "i", "t", "");
        format.category_columns = "brand,size,brand";
        sessrec_log *log = parse_as("{\"s\":1,\"i\":2,\"t\":3,\"size\":44}\n"
                                    "{\"s\":1,\"i\":2,\"t\":4,\"brand\":\"k\",\"size\":null}\n",
                                    &format);
        CHECK_TEXT(categories_of(log), "2/-1/044/-1 2/0k/-1/0k");
        sessrec_log_destroy(log);
        format = columns("1", "2", "3", "");
        format.category_columns = "4";
        log = parse_as("1,2,3,x\n1,2,4,\n", &format);
        CHECK_TEXT(categories_of(log), "2/0x 2/-1");
        sessrec_log_destroy(log);
    }
    TEST("what cannot be a category is refused with a sentence") {
        static const char *const bad[4] = {"a,b,c,d,e", "a,,b", ",a", ","};
        sessrec_log_format format = sessrec_log_format_default();
        for (int b = 0; b < 4; ++b) {
            format.category_columns = bad[b];
            CHECK(!parse_as(shop_text, &format));
            CHECK_EQ(failure.code, SESSREC_INVALID_ARGUMENT);
            CHECK_TEXT(failure.text,
                       "category columns are one to four names of at most 255 bytes, separated by commas");
        }
        format.category_columns = "Size";
        CHECK(!parse_as(shop_text, &format));
        CHECK_EQ(failure.code, SESSREC_BAD_LOG);
        CHECK(strstr(failure.text, "the header has no column \"Size\"") != NULL);
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        format.category_columns = "Brand";
        CHECK_EQ(sessrec_log_add_text(log, shop_text, strlen(shop_text), &format, &failure),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(failure.text, "the text has more category columns than the log was created with");
        sessrec_log_destroy(log);
        char text[400], value[257];
        memset(value, 'x', 256);
        value[256] = 0;
        snprintf(text, sizeof text, "SessionId,ItemId,Time,Brand\n1,2,3,%s\n", value);
        CHECK(!parse_as(text, &format));
        CHECK_EQ(failure.line, 2);
        CHECK(strstr(failure.text, "the category \"xxx") != NULL);
    }
    TEST("texts without categories go into a log with them") {
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log;
        static const char plain[] = "SessionId,ItemId,Time\n7,y,1\n";
        format.category_columns = "Brand";
        CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_text(log, plain, sizeof plain - 1, NULL, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_text(log, shop_text, strlen(shop_text), &format, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_TEXT(categories_of(log), "y/-1 | b/0zeta a/1acme a/2beta | b/-1 x/0zeta | c/3solo");
        sessrec_log_destroy(log);
    }
    TEST("categories of sessions of any length are sorted with their clicks") {
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log;
        uint32_t state = 5;
        int wrong = 0;
        format.category_columns = "a,b,c,d";
        CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_OK);
        for (int e = 0; e < 3000; ++e) {  // all four say what the item says
            char item[16], session[8];
            const char *const same[4] = {item, item, item, item};
            snprintf(item, sizeof item, "%d", e);
            snprintf(session, sizeof session, "%d", random_below(&state, 3) * random_below(&state, 9));
            wrong += sessrec_log_add_categories(log, NULL, session, item, random_below(&state, 500), same) !=
                     SESSREC_OK;
        }
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        const sessrec_log_view v = sessrec_log_contents(log);
        for (int64_t e = 0; e < v.event_count; ++e)
            for (int c = 0; c < 4; ++c)
                wrong += strcmp(sessrec_log_value(log, c, v.categories[c][e]),
                                sessrec_log_item_id(log, v.items[e])) != 0;
        CHECK_EQ(wrong, 0);
        sessrec_log_destroy(log);
    }
}

// ---- building from memory ---------------------------------------------------------------------------------

static void building(void) {
    TEST("adding events gives the log that reading them gives") {
        sessrec_log *read = parse("SessionId,ItemId,Time,UserId\n-5,12,9,0\n-5,13,1.5,0\n6,12,3,8\n"), *built,
                    *text;
        CHECK_EQ(sessrec_log_create(NULL, &built, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(built, 0, -5, 12, 9), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(built, 0, -5, 13, 1.5), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(built, "8", "6", "12", 3), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(built, NULL), SESSREC_OK);
        CHECK(same_log(read, built, 1));
        CHECK_EQ(sessrec_log_create(NULL, &text, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(text, -1, INT64_MIN, INT64_MAX, -0.0), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(text, NULL), SESSREC_OK);
        CHECK(same_bits(sessrec_log_contents(text).times[0], 0.0));
        CHECK_TEXT(shape(text), "-9223372036854775808:9223372036854775807;");
        sessrec_log_destroy(read);
        sessrec_log_destroy(built);
        sessrec_log_destroy(text);
    }
    TEST("the first failure stays: finish returns it, and events in between are not added") {
        char id[257];
        memset(id, 'x', 256);
        id[256] = 0;
        static const struct {
            const char *session, *item;
            double time;
            const char *why;
        } bad[8] = {{NULL, "i", 1, "an id is empty or longer than 255 bytes"},
                    {"s", NULL, 1, "an id is empty or longer than 255 bytes"},
                    {"", "i", 1, "an id is empty or longer than 255 bytes"},
                    {"s", "", 1, "an id is empty or longer than 255 bytes"},
                    {"s", "long", 1, "an id is empty or longer than 255 bytes"},
                    {"s", "i", NAN, "its time is not finite"},
                    {"s", "i", HUGE_VAL, "its time is not finite"},
                    {"s", "i", -HUGE_VAL, "its time is not finite"}};
        CHECK_EQ(sessrec_log_add(NULL, NULL, "s", "i", 1), SESSREC_INVALID_ARGUMENT);
        for (int b = 0; b < 8; ++b) {
            sessrec_log *log;
            char expected[100];
            const char *item = bad[b].item && !strcmp(bad[b].item, "long") ? id : bad[b].item;
            CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_log_add(log, NULL, "s", "i", 1), SESSREC_OK);
            CHECK_EQ(sessrec_log_add(log, NULL, bad[b].session, item, bad[b].time), SESSREC_INVALID_ARGUMENT);
            CHECK_EQ(sessrec_log_add(log, NULL, "s", "i", 2), SESSREC_INVALID_ARGUMENT);
            CHECK_EQ(sessrec_log_add_text(log, HEAD, strlen(HEAD), NULL, NULL), SESSREC_INVALID_ARGUMENT);
            snprintf(expected, sizeof expected, "event 2 was not added: %s", bad[b].why);
            CHECK_EQ(sessrec_log_finish(log, &failure), SESSREC_INVALID_ARGUMENT);
            CHECK_TEXT(failure.text, expected);
            sessrec_log_destroy(log);
        }
    }
    TEST("a text that cannot be read fails the log, too") {
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_text(log, HEAD "2,b\n", strlen(HEAD "2,b\n"), NULL, NULL), SESSREC_BAD_LOG);
        CHECK_EQ(sessrec_log_finish(log, &failure), SESSREC_BAD_LOG);
        CHECK_TEXT(failure.text, "the row \"2,b\" has too few fields");
        CHECK_EQ(failure.line, 3);
        sessrec_log_destroy(log);
    }
    TEST("events with a user and without may come in any order") {
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, "s", "a", 1), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, "u", "s", "b", 2), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, "", "s", "c", 3), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        check_shape(log, "s:a c;s@u:b;");
    }
    TEST("arrays of integers go in and come back as integers") {
        sessrec_log *log, *one;
        enum { EVENTS = 1000 };
        int64_t users[EVENTS], sessions[EVENTS], items[EVENTS];
        double when[EVENTS];
        uint32_t state = 17;
        for (int e = 0; e < EVENTS; ++e) {
            users[e] = random_below(&state, 12) - 1;
            sessions[e] = random_below(&state, 40) - 20;
            items[e] = e < 2 ? (e ? INT64_MAX : -INT64_MAX) : random_below(&state, 50) - 5;
            when[e] = random_below(&state, 99);
        }
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_create(NULL, &one, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_many(log, EVENTS, users, sessions, items, when), SESSREC_OK);
        for (int e = 0; e < EVENTS; ++e)
            sessrec_log_add_numbers(one, users[e], sessions[e], items[e], when[e]);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(one, NULL), SESSREC_OK);
        CHECK(same_log(log, one, 1));
        CHECK(sessrec_log_item_number(log, 0) == -INT64_MAX && sessrec_log_item_number(log, 1) == INT64_MAX);
        for (int e = 0; e < EVENTS; ++e)
            CHECK_EQ(sessrec_log_item_number(log, sessrec_log_find_number(log, items[e])), items[e]);
        CHECK_EQ(sessrec_log_find_number(log, 999), -1);
        CHECK(sessrec_log_item_number(log, -1) == INT64_MIN);
        sessrec_log_destroy(log);
        sessrec_log_destroy(one);
        log = letters("a", NULL, NULL, NULL);
        CHECK(sessrec_log_item_number(log, 0) == INT64_MIN);
        sessrec_log_destroy(log);
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        when[0] = NAN;
        CHECK_EQ(sessrec_log_add_many(log, 0, NULL, NULL, NULL, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_many(log, 1, NULL, sessions, items, when), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_finish(log, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(failure.text, "event 1 was not added: its time is not finite");
        sessrec_log_destroy(log);
    }
    TEST("a log is finished once, used after that and added to before it") {
        sessrec_log *log, *a, *b, *done = letters("ab", NULL, NULL, NULL);
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(filter_by(log, rule(0, 0, 0, 0)), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_sessionize(log, 10, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_keep_items(log, done, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_keep_items(done, log, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_time(log, 1, &a, &b, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_last_session(log, &a, &b, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_write(log, "x", &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(failure.text, "there is no log, or it is already finished");
        CHECK_EQ(sessrec_log_add(log, NULL, "s", "i", 1), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_contents(log).event_count, 0);
        sessrec_log_destroy(log);
        sessrec_log_destroy(done);
    }
}

// ---- filters ----------------------------------------------------------------------------------------------

static void check_filter(sessrec_log *log, sessrec_filter filter, const char *expected, int64_t dropped) {
    CHECK_EQ(filter_by(log, filter), SESSREC_OK);
    CHECK_EQ(sessrec_log_contents(log).dropped_event_count, dropped);
    check_shape(log, expected);
}

static void filters(void) {
    TEST("repeats of an item directly after itself are dropped, others stay") {
        check_filter(letters("aabbba", "aa", NULL, NULL), rule(1, 0, 0, 0), "s1:a b a;s2:a;", 4);
        check_filter(letters("aab", NULL, NULL, NULL), rule(0, 0, 0, 0), "s1:a a b;", 0);
    }
    TEST("the first of a run of repeats is the one that stays") {
        sessrec_log *log = letters("aab", NULL, NULL, NULL);
        CHECK_EQ(filter_by(log, rule(1, 0, 0, 0)), SESSREC_OK);
        CHECK_NEAR(sessrec_log_contents(log).times[0], 0, 0);
        CHECK_NEAR(sessrec_log_contents(log).times[1], 2, 0);
        sessrec_log_destroy(log);
    }
    TEST("events of items with little support are dropped; items that are left keep their order") {
        sessrec_log *log = letters("xab", "yba", NULL, NULL);
        CHECK_EQ(filter_by(log, rule(0, 2, 0, 0)), SESSREC_OK);
        CHECK_TEXT(item_list(log), "a=2 b=2");
        CHECK_EQ(sessrec_log_find_item(log, "x"), -1);
        check_shape(log, "s1:a b;s2:b a;");
    }
    TEST("sessions that are too short or too long are dropped") {
        check_filter(letters("a", "ab", "abc", "abcd"), rule(0, 0, 2, 3), "s2:a b;s3:a b c;", 5);
        check_filter(letters("a", "ab", NULL, NULL), rule(0, 0, 1, 0), "s1:a;s2:a b;", 0);
    }
    TEST("filters are applied until nothing changes: a dropped session makes an item rare") {
        // x is rare, so s1 falls to one event; with s1 goes one b, so b is rare; with that s2 falls to one
        // event; with s2 goes one c
        check_filter(letters("xb", "bc", "ccd", "dd"), rule(0, 2, 2, 0), "s3:c c d;s4:d d;", 4);
        check_filter(letters("xb", "bc", "cd", "de"), rule(0, 2, 2, 0), "", 8);
    }
    TEST("items that meet when the one between them goes are repeats, and so on") {
        check_filter(letters("axaybya", "yy", NULL, NULL), rule(1, 2, 0, 0), "s1:a y a;s2:y;", 5);
        check_filter(letters("abaxaba", NULL, NULL, NULL), rule(1, 3, 0, 0), "", 7);
        check_filter(letters("abaxa", "abab", NULL, NULL), rule(1, 3, 0, 0), "s1:a b a;s2:a b a b;", 2);
    }
    TEST("a session is too long by its length in the first round, after repeats and rare items are gone") {
        check_filter(letters("aaab", "abxy", "ab", NULL), rule(1, 2, 0, 2), "s1:a b;s2:a b;s3:a b;", 4);
        check_filter(letters("axab", "ab", "ab", NULL), rule(1, 2, 0, 2), "s2:a b;s3:a b;", 4);
    }
    TEST("sessions are ordered anew when the first event of one is gone") {
        check_filter(parse("SessionId,ItemId,Time\n1,x,1\n2,a,2\n2,b,3\n1,a,2\n1,b,5\n3,a,2\n"),
                     rule(0, 2, 0, 0), "1:a b;2:a b;3:a;", 1);
        check_filter(parse("SessionId,ItemId,Time\n1,x,1\n1,a,4\n2,a,2\n2,b,3\n1,b,5\n"), rule(0, 2, 0, 0),
                     "2:a b;1:a b;", 1);
    }
    TEST("users of sessions that are gone are gone") {
        sessrec_log *log = parse("SessionId,ItemId,Time,UserId\n1,a,1,u\n2,a,2,v\n2,a,3,v\n");
        CHECK_EQ(filter_by(log, rule(0, 0, 2, 0)), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(log).user_count, 1);
        CHECK_TEXT(shape(log), "2@v:a a;");
        CHECK_EQ(filter_by(log, rule(0, 3, 0, 0)), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(log).user_count, 0);
        CHECK(sessrec_log_contents(log).session_users == NULL);
        CHECK_EQ(sessrec_log_contents(log).dropped_event_count, 3);
        sessrec_log_destroy(log);
    }
    TEST("limits below 0 are refused") {
        sessrec_log *log = letters("ab", NULL, NULL, NULL);
        CHECK_EQ(filter_by(log, rule(0, -1, 0, 0)), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(filter_by(log, rule(0, 0, -1, 0)), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(filter_by(log, rule(0, 0, 0, -1)), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(filter_by(NULL, rule(0, 0, 0, 0)), SESSREC_INVALID_ARGUMENT);
        check_shape(log, "s1:a b;");
    }
    TEST("a chain in which each round takes out one session is filtered in one go") {
        sessrec_log *log;
        const int links = 100000;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        for (int s = 0; s < links; ++s) {
            sessrec_log_add_numbers(log, -1, s, s, s);
            sessrec_log_add_numbers(log, -1, s, s + 1, s);
        }
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        check_filter(log, rule(1, 2, 2, 0), "", 2 * links);
    }
    TEST("only events whose item is known are kept") {
        sessrec_log *log = letters("axb", "yy", "ba", NULL), *known = letters("cba", NULL, NULL, NULL);
        CHECK_EQ(sessrec_log_keep_items(log, known, &failure), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(log).dropped_event_count, 3);
        CHECK_TEXT(item_list(log), "a=2 b=2");
        CHECK_EQ(sessrec_log_keep_items(log, log, &failure), SESSREC_OK);
        check_shape(log, "s1:a b;s3:b a;");
        sessrec_log_destroy(known);
    }
}

// ---- against a plain program on random logs ---------------------------------------------------------------

enum { MOST = 400 };

typedef struct plain_event {
    int user, session, item, row;
    double time;
} plain_event;

typedef struct plain_log {
    plain_event event[MOST];
    int events;
} plain_log;

static double first_time[MOST];  // of each session, for compare_events
static int first_row[MOST];

static int compare_events(const void *a, const void *b) {
    const plain_event *x = (const plain_event *)a, *y = (const plain_event *)b;
    const double xs = first_time[x->session], ys = first_time[y->session];
    if (x->session != y->session)
        return xs < ys ? -1 : xs > ys ? 1 : first_row[x->session] - first_row[y->session];
    return x->time < y->time ? -1 : x->time > y->time ? 1 : x->row - y->row;
}

// Sessions by first time, then first row; events by time, then row. The order is that of the rows from then
// on.
static void plain_sort(plain_log *log) {
    for (int e = log->events - 1; e >= 0; --e) {
        first_time[log->event[e].session] = HUGE_VAL;
        first_row[log->event[e].session] = log->event[e].row;
    }
    for (int e = 0; e < log->events; ++e)
        if (log->event[e].time < first_time[log->event[e].session])
            first_time[log->event[e].session] = log->event[e].time;
    qsort(log->event, (size_t)log->events, sizeof *log->event, compare_events);
    for (int e = 0; e < log->events; ++e) log->event[e].row = e;
}

static void plain_remove(plain_log *log, const int *gone) {
    int left = 0;
    for (int e = 0; e < log->events; ++e)
        if (!gone[e]) log->event[left++] = log->event[e];
    log->events = left;
}

// One round of the rule as it is written. Returns whether anything went.
static int plain_round(plain_log *log, sessrec_filter filter) {
    int gone[MOST] = {0}, count[MOST] = {0}, before = log->events;
    for (int e = 1; e < log->events && filter.drop_repeats; ++e)
        gone[e] = log->event[e].session == log->event[e - 1].session &&
                  log->event[e].item == log->event[e - 1].item;
    plain_remove(log, gone);
    for (int e = 0; e < log->events; ++e) ++count[log->event[e].item];
    for (int e = 0; e < log->events; ++e) gone[e] = count[log->event[e].item] < filter.min_support;
    plain_remove(log, gone);
    memset(count, 0, sizeof count);
    for (int e = 0; e < log->events; ++e) ++count[log->event[e].session];
    for (int e = 0; e < log->events; ++e) {
        const int length = count[log->event[e].session];
        gone[e] = length < filter.min_length || (filter.max_length && length > filter.max_length);
    }
    plain_remove(log, gone);
    return log->events < before;
}

static void random_events(plain_log *log, uint32_t *state) {
    log->events = random_below(state, MOST);
    const int sessions = 1 + random_below(state, 60), items = 1 + random_below(state, 40),
              users = 1 + random_below(state, 20);
    const int span = random_below(state, 2) ? 20 : 100000;  // many equal times, or few
    for (int e = 0; e < log->events; ++e) {
        log->event[e].session = random_below(state, sessions);
        log->event[e].item = random_below(state, items);
        log->event[e].user = log->event[e].session % users;
        log->event[e].time = random_below(state, span);
        log->event[e].row = e;
    }
}

// The same events through the library.
static sessrec_log *library_log(const plain_log *log) {
    sessrec_log *made;
    int failures = sessrec_log_create(NULL, &made, NULL) != SESSREC_OK;
    for (int e = 0; e < log->events; ++e) {
        const plain_event *event = &log->event[e];
        failures += sessrec_log_add_numbers(made, event->user, event->session, event->item, event->time) !=
                    SESSREC_OK;
    }
    failures += sessrec_log_finish(made, NULL) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    return made;
}

// Whether the library's log has exactly the events of the plain one, in its order, and counts them right.
static int agrees(const sessrec_log *made, const plain_log *log) {
    const sessrec_log_view view = sessrec_log_contents(made);
    int64_t support = 0;
    if (view.event_count != log->events) return 0;
    for (int32_t s = 0; s < view.session_count; ++s)
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e) {
            const plain_event *event = &log->event[e];
            if (atoi(sessrec_log_session_id(made, s)) != event->session ||
                atoi(sessrec_log_item_id(made, view.items[e])) != event->item ||
                atoi(sessrec_log_user_id(made, view.session_users[s])) != event->user ||
                !same_bits(view.times[e], event->time))
                return 0;
            if (e + 1 == view.session_begins[s + 1] && e + 1 < view.event_count &&
                log->event[e + 1].session == event->session)
                return 0;
        }
    for (int32_t i = 0; i < view.item_count; ++i) {
        if (view.supports[i] < 1) return 0;
        support += view.supports[i];
    }
    return support == view.event_count;
}

static void random_logs(void) {
    TEST("random logs are grouped, filtered and cut as a plain program does it") {
        uint32_t state = 5;
        int wrong = 0;
        for (int round = 0; round < 400; ++round) {
            plain_log log, before, after;
            random_events(&log, &state);
            sessrec_log *made = library_log(&log), *first = NULL, *second = NULL;
            plain_sort(&log);
            wrong += !agrees(made, &log);

            const double time = random_below(&state, 20);
            before.events = after.events = 0;
            for (int e = 0, begin = 0; e < log.events; ++e) {
                if (e + 1 < log.events && log.event[e + 1].session == log.event[e].session) continue;
                plain_log *part = log.event[e].time < time        ? &before
                                  : log.event[begin].time >= time ? &after
                                                                  : NULL;
                for (; begin <= e; ++begin)
                    if (part) part->event[part->events++] = log.event[begin];
            }
            wrong += sessrec_log_split_time(made, time, &first, &second, &failure) != SESSREC_OK;
            wrong += !agrees(first, &before) || !agrees(second, &after);
            wrong +=
                sessrec_log_contents(first).dropped_event_count != log.events - before.events - after.events;
            sessrec_log_destroy(first);
            sessrec_log_destroy(second);

            int latest[MOST];  // session of each user
            for (int e = 0; e < log.events; ++e) latest[log.event[e].user] = log.event[e].session;
            before.events = after.events = 0;
            for (int e = 0; e < log.events; ++e) {
                int others = 0;
                for (int i = 0; i < log.events; ++i)
                    others += log.event[i].user == log.event[e].user &&
                              log.event[i].session != log.event[e].session;
                plain_log *part =
                    others && log.event[e].session == latest[log.event[e].user] ? &after : &before;
                part->event[part->events++] = log.event[e];
            }
            wrong += sessrec_log_split_last_session(made, &first, &second, &failure) != SESSREC_OK;
            wrong += !agrees(first, &before) || !agrees(second, &after);
            sessrec_log_destroy(first);
            sessrec_log_destroy(second);

            sessrec_filter filter =
                rule(random_below(&state, 2), random_below(&state, 9), random_below(&state, 6),
                     random_below(&state, 2) * random_below(&state, 20));
            const int all = log.events;
            for (int changed = 1; changed;) changed = plain_round(&log, filter);
            plain_sort(&log);
            wrong += filter_by(made, filter) != SESSREC_OK;
            wrong +=
                !agrees(made, &log) || sessrec_log_contents(made).dropped_event_count != all - log.events;
            sessrec_log_destroy(made);
        }
        CHECK_EQ(wrong, 0);
    }
    TEST("a session of many unordered events is sorted, equal times in the order of the rows, also before "
         "1970") {
        static const int counts[6] = {2, 63, 64, 65, 1000, 50000};
        uint32_t state = 3;
        int wrong = 0;
        for (int c = 0; c < 6; ++c) {
            sessrec_log *log;
            CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
            for (int i = 0; i < counts[c]; ++i)
                wrong += sessrec_log_add_numbers(log, -1, 1, i, (random_below(&state, 1000) - 400) / 7.0) !=
                         SESSREC_OK;
            CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
            const sessrec_log_view view = sessrec_log_contents(log);
            for (int64_t e = 1; e < view.event_count; ++e)
                wrong += view.times[e] < view.times[e - 1] ||
                         (view.times[e] <= view.times[e - 1] && view.items[e] < view.items[e - 1]);
            CHECK_EQ(view.event_count, counts[c]);
            sessrec_log_destroy(log);
        }
        CHECK_EQ(wrong, 0);
    }
}

// ---- cuts and splits --------------------------------------------------------------------------------------

static void cuts(void) {
    TEST("sessions are cut where the pause is longer than the limit, the pieces named ID#2, ID#3") {
        sessrec_log *log =
            parse("SessionId,ItemId,Time\nu,a,0\nu,b,10\nu,c,20.5\nv,x,15\nu,d,100\nu,e,101\n");
        CHECK_EQ(sessrec_log_sessionize(log, 10, &failure), SESSREC_OK);
        CHECK_TEXT(shape(log), "u:a b;v:x;u#2:c;u#3:d e;");
        CHECK_TEXT(item_list(log), "a=1 b=1 c=1 x=1 d=1 e=1");
        CHECK_EQ(sessrec_log_contents(log).dropped_event_count, 0);
        CHECK_EQ(sessrec_log_sessionize(log, 10, &failure), SESSREC_OK);
        check_shape(log, "u:a b;v:x;u#2:c;u#3:d e;");
    }
    TEST("pieces keep the user of their session") {
        sessrec_log *log = parse("SessionId,ItemId,Time,UserId\n1,a,0,u\n2,b,1,v\n1,c,9,u\n");
        CHECK_EQ(sessrec_log_sessionize(log, 0, &failure), SESSREC_OK);
        check_shape(log, "1@u:a;2@v:b;1#2@u:c;");
    }
    TEST("a name that another session has already is left out") {
        sessrec_log *log = parse("SessionId,ItemId,Time\nu,a,0\nu,b,50\nu,c,99\nu#2,x,200\nu#2,y,300\n");
        CHECK_EQ(sessrec_log_sessionize(log, 10, &failure), SESSREC_OK);
        check_shape(log, "u:a;u#3:b;u#4:c;u#2:x;u#2#2:y;");
    }
    TEST("a name of 255 bytes is as long as a name may be; if one would be longer, the log stays as it was") {
        sessrec_log *log;
        char id[256], expected[300];
        memset(id, 'x', 254);
        id[253] = 0;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, id, "a", 0), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, id, "b", 9), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_sessionize(log, 5, &failure), SESSREC_OK);
        CHECK_EQ(strlen(sessrec_log_session_id(log, 1)), 255);
        sessrec_log_destroy(log);
        id[253] = 'x';
        id[254] = 0;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, id, "a", 0), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, NULL, id, "b", 9), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_sessionize(log, 5, &failure), SESSREC_TOO_LARGE);
        snprintf(expected, sizeof expected, "%s:a b;", id);
        check_shape(log, expected);
    }
    TEST("a pause below 0, or none, is refused") {
        sessrec_log *log = letters("ab", NULL, NULL, NULL);
        CHECK_EQ(sessrec_log_sessionize(log, -1, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_sessionize(log, NAN, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_sessionize(NULL, 1, &failure), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
}

static void splits(void) {
    TEST("E3: a split in time puts sessions that end before it here, those that start at it or later there, "
         "and drops the others") {
        sessrec_log *log =
                        parse("SessionId,ItemId,Time\n1,a,1\n1,b,9\n2,c,5\n2,a,10\n3,d,10\n3,a,11\n4,a,3\n"),
                    *before, *after;
        CHECK_EQ(sessrec_log_split_time(log, 10, &before, &after, &failure), SESSREC_OK);
        CHECK_TEXT(shape(before), "1:a b;4:a;");
        CHECK_TEXT(item_list(before), "a=2 b=1");
        CHECK_TEXT(shape(after), "3:d a;");
        CHECK_TEXT(item_list(after), "a=1 d=1");
        CHECK_EQ(sessrec_log_contents(before).dropped_event_count, 2);
        CHECK_EQ(sessrec_log_contents(after).dropped_event_count, 0);
        CHECK_TEXT(shape(log), "1:a b;4:a;2:c a;3:d a;");
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        CHECK_EQ(sessrec_log_split_time(log, -HUGE_VAL, &before, &after, &failure), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(before).event_count, 0);
        CHECK(same_log(after, log, 1));
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        sessrec_log_destroy(log);
    }
    TEST("what was dropped and skipped before a split is counted in its first part") {
        sessrec_log_format format = sessrec_log_format_default();
        format.skip_bad_rows = 1;
        sessrec_log *log = parse_as("SessionId,ItemId,Time\n1,a,1\n1,a,2\nbad\n2,a,10\n2,b,11\n", &format),
                    *before, *after;
        CHECK_EQ(filter_by(log, rule(1, 0, 0, 0)), SESSREC_OK);
        CHECK_EQ(sessrec_log_split_time(log, 11, &before, &after, &failure), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(before).dropped_event_count, 3);
        CHECK_EQ(sessrec_log_contents(before).bad_row_count, 1);
        CHECK_EQ(sessrec_log_contents(after).dropped_event_count, 0);
        CHECK_EQ(sessrec_log_contents(after).bad_row_count, 0);
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        sessrec_log_destroy(log);
    }
    TEST("each user's last session is split off; users with one session stay whole") {
        sessrec_log
            *log =
                parse("SessionId,ItemId,Time,UserId\n1,a,1,u\n2,b,2,v\n3,c,3,u\n4,d,4,u\n5,e,5,w\n6,a,6,w\n"),
            *rest, *last;
        CHECK_EQ(sessrec_log_split_last_session(log, &rest, &last, &failure), SESSREC_OK);
        CHECK_TEXT(shape(rest), "1@u:a;2@v:b;3@u:c;5@w:e;");
        CHECK_TEXT(shape(last), "4@u:d;6@w:a;");
        CHECK_EQ(sessrec_log_contents(rest).user_count, 3);
        CHECK_EQ(sessrec_log_contents(last).user_count, 2);
        CHECK_TEXT(item_list(last), "a=1 d=1");
        CHECK_EQ(sessrec_log_contents(rest).dropped_event_count, 0);
        sessrec_log_destroy(rest);
        sessrec_log_destroy(last);
        sessrec_log_destroy(log);
    }
    TEST("parts of an empty log are empty") {
        sessrec_log *log = parse("SessionId,ItemId,Time\n"), *first, *second;
        CHECK_EQ(sessrec_log_split_last_session(log, &first, &second, &failure), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(first).event_count + sessrec_log_contents(second).event_count, 0);
        sessrec_log_destroy(first);
        sessrec_log_destroy(second);
        sessrec_log_destroy(log);
    }
    TEST("splits refuse what they cannot do, and leave no log behind") {
        sessrec_log *log = letters("ab", NULL, NULL, NULL), *a = log, *b = log;
        CHECK_EQ(sessrec_log_split_last_session(log, &a, &b, &failure),
                 SESSREC_INVALID_ARGUMENT);  // it has no users
        CHECK(a == NULL && b == NULL);
        a = b = log;
        CHECK_EQ(sessrec_log_split_time(log, NAN, &a, &b, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK(a == NULL && b == NULL);
        CHECK_EQ(sessrec_log_split_time(log, 1, &a, &a, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_time(log, 1, &a, NULL, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_time(log, 1, NULL, &b, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_last_session(log, &a, &a, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_last_session(log, NULL, &b, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_split_last_session(log, &a, NULL, &failure), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
}

// ---- items of a model -------------------------------------------------------------------------------------

static void items_of_a_model(void) {
    TEST("R2: memory that ends while the items of a model are numbered leaves no log") {
        sessrec_log *old = random_log(10, 300, 6), *log;
        sessrec_config config = small_config(1, 3);
        sessrec_model *model = random_model(&config, old, 1);
        sessrec_log_format format = sessrec_log_format_default();
        counting_memory memory;
        sessrec_result result = SESSREC_OUT_OF_MEMORY;
        memory.blocks = 0;
        format.items_of = model;
        format.allocator = counting_allocator(&memory);
        for (memory.fail_from = 0; result == SESSREC_OUT_OF_MEMORY; ++memory.fail_from) {
            memory.requests = 0;
            result = sessrec_log_create(&format, &log, NULL);
            CHECK((log != NULL) == (result == SESSREC_OK));
            sessrec_log_destroy(log);
            CHECK_EQ(memory.blocks, 0);
        }
        CHECK_EQ(result, SESSREC_OK);
        CHECK(memory.fail_from > 4);
        sessrec_log_destroy(old);
        sessrec_model_destroy(model);
    }
    TEST("the items of a model come first, always stay and are never too rare") {
        const char *text[] = {"pqr", "rqp"};
        sessrec_log *old = letters_log(2, text, NULL), *log, *before, *after;
        sessrec_config config = small_config(1, 3);
        sessrec_model *model = random_model(&config, old, 1);
        sessrec_log_format format = sessrec_log_format_default();
        format.items_of = model;
        log = parse_as("SessionId,ItemId,Time\n1,new,1\n1,r,2\n2,new,8\n2,rare,9\n", &format);
        CHECK_TEXT(item_list(log), "p=0 q=0 r=1 new=2 rare=1");
        CHECK_EQ(filter_by(log, rule(0, 2, 0, 0)), SESSREC_OK);
        CHECK_TEXT(item_list(log), "p=0 q=0 r=1 new=2");
        CHECK_TEXT(shape(log), "1:new r;2:new;");
        CHECK_EQ(sessrec_log_split_time(log, 5, &before, &after, &failure), SESSREC_OK);
        CHECK_TEXT(item_list(after), "p=0 q=0 r=0 new=1");
        CHECK_EQ(sessrec_log_keep_items(after, old, &failure), SESSREC_OK);
        CHECK_TEXT(item_list(after), "p=0 q=0 r=0");
        CHECK_EQ(sessrec_log_sessionize(before, 0, &failure), SESSREC_OK);
        CHECK_TEXT(item_list(before), "p=0 q=0 r=1 new=1");
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
        sessrec_log_destroy(log);
        sessrec_log_destroy(old);
        sessrec_model_destroy(model);
    }
}

// ---- files ------------------------------------------------------------------------------------------------

static void files(void) {
    TEST("a file is read as the same bytes in memory are, however lines lie in the buffer") {
        uint32_t state = 9;
        const size_t room = 1 << 20;
        char *text = (char *)malloc(room);
        size_t used = (size_t)snprintf(text, room, "SessionId,ItemId,Time,Title\n");
        while (used < room - 70000) {
            used += (size_t)snprintf(text + used, room - used, "%d,%d,%d,", random_below(&state, 500),
                                     random_below(&state, 90), random_below(&state, 9999));
            for (int i = random_below(&state, random_below(&state, 50) ? 30 : 60000); i > 0; --i)
                text[used++] = 't';
            text[used++] = '\n';
        }
        put_file(text, used - 1);  // without the last line end
        sessrec_log *memory, *file = load();
        CHECK_EQ(sessrec_log_import(text, used, NULL, &memory, NULL), SESSREC_OK);
        CHECK(sessrec_log_contents(file).event_count > 500);
        CHECK(same_log(file, memory, 1));
        sessrec_log_destroy(file);
        sessrec_log_destroy(memory);
        free(text);
    }
    TEST("a line over 1 MiB in a file is refused, or skipped as one row") {
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log;
        size_t total;
        char *text = long_line((1 << 20) - 6, "\n1,b,3\n", &total);
        put_file(text, total);
        check_shape(load(), "1:a b;");
        free(text);
        text = long_line((1 << 20) - 5, "\n1,b,3\n", &total);
        put_file(text, total);
        CHECK(!load());
        CHECK_EQ(failure.line, 2);
        free(text);
        text = long_line(5 << 20, "\n1,b,3\nbad\n", &total);
        put_file(text, total);
        CHECK(!load());
        CHECK_EQ(failure.code, SESSREC_BAD_LOG);
        CHECK_EQ(failure.line, 2);
        format.skip_bad_rows = 1;
        CHECK_EQ(sessrec_log_read(path, &format, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(log).bad_row_count, 2);
        check_shape(log, "1:b;");
        free(text);
        text = long_line(5 << 20, "", &total);
        put_file(text, total);
        CHECK(!load());
        CHECK_EQ(failure.line, 2);
        free(text);
    }
    TEST("an empty file is an error, and so is one that is not there or is a directory") {
        put_file("", 0);
        CHECK(!load());
        CHECK_EQ(failure.code, SESSREC_BAD_LOG);
        CHECK_TEXT(failure.text, "the log is empty: not even a header is there");
        remove(path);
        CHECK(!load());
        CHECK_EQ(failure.code, SESSREC_NO_FILE);
        CHECK_TEXT(failure.text, "the log cannot be opened: No such file or directory");
        sessrec_log *log;
        CHECK_EQ(sessrec_log_read(".", NULL, &log, &failure), SESSREC_IO_ERROR);
        CHECK(log == NULL);
    }
    TEST("a log is written as tab-separated text with a header") {
        sessrec_log *log = parse("SessionId;ItemId;Time\n1;\"a\tb\";1396437466.94\n1;\"say "
                                 "\"\"hi\"\"\";1396437467\n2;x,y;-0.25\n");
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        CHECK_TEXT(file_text(), "SessionId\tItemId\tTime\n2\tx,y\t-0.25\n1\t\"a\tb\"\t1396437466."
                                "94\n1\t\"say \"\"hi\"\"\"\t1396437467\n");
        sessrec_log *back = load();
        CHECK(same_log(log, back, 0));
        sessrec_log_destroy(back);
        sessrec_log_destroy(log);
        log = parse("UserId,SessionId,ItemId,Time\nu,1,a,2\n");
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        CHECK_TEXT(file_text(), "SessionId\tItemId\tTime\tUserId\n1\ta\t2\tu\n");
        sessrec_log_destroy(log);
    }
    TEST("line ends inside of ids are quoted") {
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, "u\r", "s", "a\nb", 1), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        CHECK_TEXT(file_text(), "SessionId\tItemId\tTime\tUserId\ns\t\"a\nb\"\t1\t\"u\r\"\n");
        sessrec_log_destroy(log);
    }
    TEST("times are written with the fewest digits behind the point that read back as the same double, never "
         "with an exponent") {
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        const double some[] = {
            0.1, 1e21, 123456.75, 1e-7, 0.30000000000000004, 9007199254740993.0, -4e18, 1396437466.123456};
        for (int i = 0; i < 8; ++i) CHECK_EQ(sessrec_log_add_numbers(log, -1, i, i, some[i]), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        CHECK_TEXT(
            file_text(),
            "SessionId\tItemId\tTime:s\n6\t6\t-4000000000000000000\n3\t3\t0.0000001\n0\t0\t0.1\n4\t4\t0."
            "30000000000000004\n2\t2\t123456.75\n"
            "7\t7\t1396437466.123456\n5\t5\t9007199254740992\n1\t1\t1000000000000000000000\n");
        sessrec_log_destroy(log);
    }
    TEST("any finite time comes back from a file as the same bits") {
        sessrec_log *log;
        uint32_t state = 21;
        int failures = 0;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        for (int i = 0; i < 3000; ++i) {
            uint64_t bits = (uint64_t)random_bits(&state) << 32 | random_bits(&state);
            double time;
            memcpy(&time, &bits, sizeof time);
            if (i % 3 == 0) time = 1.4e9 + (double)random_bits(&state) * 1.0e-4 / 7;
            if (!(fabs(time) < HUGE_VAL)) continue;
            failures += sessrec_log_add_numbers(log, -1, i % 40, i % 7, time) != SESSREC_OK;
        }
        failures += sessrec_log_add_numbers(log, -1, 1, 1, 5e-324) != SESSREC_OK;
        failures += sessrec_log_add_numbers(log, -1, 1, 1, -1.7976931348623157e308) != SESSREC_OK;
        CHECK_EQ(failures, 0);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        sessrec_log *back = load();
        CHECK(same_log(log, back, 0));
        sessrec_log_destroy(back);
        sessrec_log_destroy(log);
    }
    TEST("a log with ids of the greatest length is written and read back") {
        sessrec_log *log;
        char id[256];
        memset(id, '"', 255);
        id[255] = 0;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add(log, id, id, id, -5e-324), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        sessrec_log *back = load();
        CHECK(same_log(log, back, 1));
        sessrec_log_destroy(back);
        sessrec_log_destroy(log);
    }
    TEST("a file that cannot be written is an error") {
        sessrec_log *log = letters("ab", NULL, NULL, NULL);
        CHECK_EQ(sessrec_log_write(log, "no/such/directory/log.tsv", &failure), SESSREC_IO_ERROR);
        CHECK_EQ(sessrec_log_write(log, NULL, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_log_write(NULL, path, &failure), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
    remove(path);
}

// ---- out of memory ----------------------------------------------------------------------------------------

// Fails one request only: the one before which `fail_from` were made.
static void *alloc_but_once(void *user, size_t bytes) {
    counting_memory *memory = (counting_memory *)user;
    if (memory->requests == memory->fail_from) {
        memory->fail_from = -1;
        return NULL;
    }
    return counting_alloc(user, bytes);
}

// Every call on a log, with users; 0 if one of them says something else than OK or OUT_OF_MEMORY. *done: all
// went through.
static int whole_life(const char *text, sessrec_allocator allocator, int *done) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL, *built = NULL, *a = NULL, *b = NULL;
    format.allocator = allocator;
    sessrec_result result = sessrec_log_read(path, &format, &log, NULL);
    if (!result) {
        sessrec_log_destroy(log);
        result = sessrec_log_import(text, strlen(text), &format, &log, NULL);
    }
    if (!result) result = sessrec_log_sessionize(log, 3, &failure);
    if (!result) result = filter_by(log, rule(1, 2, 2, 0));
    if (!result) result = sessrec_log_split_time(log, 50, &a, &b, &failure);
    if (result && (a || b)) return 0;
    if (!result) result = sessrec_log_keep_items(b, a, &failure);
    sessrec_log_destroy(a);
    sessrec_log_destroy(b);
    a = b = NULL;
    if (!result) result = sessrec_log_split_last_session(log, &a, &b, &failure);
    sessrec_log_destroy(a);
    sessrec_log_destroy(b);
    if (!result) result = sessrec_log_create(&format, &built, NULL);
    for (int i = 0; i < 300 && !result; ++i) result = sessrec_log_add_numbers(built, i % 9, i, i, i);
    if (!result) result = sessrec_log_finish(built, NULL);
    sessrec_log_destroy(built);
    sessrec_log_destroy(log);
    *done = result == SESSREC_OK;
    return result == SESSREC_OK || result == SESSREC_OUT_OF_MEMORY;
}

static void out_of_memory(void) {
    TEST("R2: wherever memory ends, the call says so and nothing is lost or left") {
        char text[4096];
        uint32_t state = 4;
        int done = 0, wrong = 0, runs = 0;
        size_t used = (size_t)snprintf(text, sizeof text, "SessionId,ItemId,Time,UserId\n");
        for (int i = 0; i < 200; ++i) {
            const int session = random_below(&state, 30);
            used += (size_t)snprintf(text + used, sizeof text - used, "%d,%d,%d,%d\n", session,
                                     random_below(&state, 8), random_below(&state, 100), session % 5);
        }
        put_file(text, used);
        for (int once = 0; once < 2; ++once)
            for (runs = done = 0; !done && runs < 2000; ++runs) {
                counting_memory memory;
                sessrec_allocator allocator = counting_allocator(&memory);
                memory.requests = memory.blocks = 0;
                memory.fail_from = runs;
                if (once) allocator.alloc = alloc_but_once;
                wrong += !whole_life(text, allocator, &done);
                // a request for all the room that a text may want can fail without harm
                if (once && memory.fail_from < 0) done = 0;
                wrong += memory.blocks != 0;
            }
        CHECK_EQ(wrong, 0);
        CHECK(done && runs > 50);
        remove(path);
    }
    TEST("R2: a filter, a cut or a choice of items that fails leaves the log as it was") {
        counting_memory memory;
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log;
        const char *text = "SessionId,ItemId,Time\n1,a,1\n1,a,2\n1,b,9\n2,b,20\n";
        memory.requests = memory.blocks = 0;
        memory.fail_from = -1;
        format.allocator = counting_allocator(&memory);
        sessrec_log *same = parse(text);
        CHECK_EQ(sessrec_log_import(text, strlen(text), &format, &log, NULL), SESSREC_OK);
        sessrec_result results[3] = {SESSREC_OUT_OF_MEMORY, SESSREC_OUT_OF_MEMORY, SESSREC_OUT_OF_MEMORY};
        for (int call = 0; call < 3; ++call)
            for (int n = 0; results[call] == SESSREC_OUT_OF_MEMORY; ++n) {
                const int64_t blocks = memory.blocks;
                memory.fail_from = memory.requests + n;
                results[call] = call == 0   ? sessrec_log_keep_items(log, log, &failure)
                                : call == 1 ? filter_by(log, rule(0, 1, 1, 0))
                                            : sessrec_log_sessionize(log, 100, &failure);
                CHECK_EQ(memory.blocks, blocks);
                CHECK(same_log(log, same, 1));
                CHECK(n < 100);
            }
        for (int call = 0; call < 3; ++call) CHECK_EQ(results[call], SESSREC_OK);
        sessrec_log_destroy(log);
        sessrec_log_destroy(same);
        CHECK_EQ(memory.blocks, 0);
    }
    TEST("out of memory while reading has a sentence") {
        counting_memory memory;
        sessrec_log_format format = sessrec_log_format_default();
        memory.requests = memory.blocks = 0;
        memory.fail_from = 2;
        format.allocator = counting_allocator(&memory);
        CHECK(!parse_as(HEAD, &format));
        CHECK_EQ(failure.code, SESSREC_OUT_OF_MEMORY);
        CHECK_TEXT(failure.text, "out of memory");
    }
}

// ---- long logs --------------------------------------------------------------------------------------------

enum { LONG_LOG = 30000 };

// A log of many buffers: in some parts fields in quotes, blank lines, CRLF, every wrong-th row without a time
// (0: none). *expected gets what adding the events one by one gives; *bad the line of the first wrong row.
// The caller frees the text.
static char *long_text(uint32_t seed, int wrong, size_t *size, sessrec_log **expected, int64_t *bad) {
    char *text = (char *)malloc(LONG_LOG * 64);
    size_t used = (size_t)sprintf(text, "ItemId,UserId,Time,SessionId,Title\n");
    int64_t line = 2;
    *bad = 0;
    CHECK_EQ(sessrec_log_create(NULL, expected, NULL), SESSREC_OK);
    int session = 0, failures = 0;
    for (int i = 0; i < LONG_LOG; ++i, ++line) {
        char names[3][24];
        if (random_below(&seed, 3) == 0) session = random_below(&seed, 9000);
        const int quoted = session % 3 == 0 && i / 9000 % 2;
        sprintf(names[0], "%s%d", quoted ? "s,\"" : "", session);
        sprintf(names[1], "item-%d", random_below(&seed, random_below(&seed, 2) ? 50 : 4000));
        sprintf(names[2], "%d", session % 700);
        const int time = random_below(&seed, 100000);
        if (random_below(&seed, 100) == 0) text[used++] = '\n', ++line;
        if (wrong && i % wrong == wrong - 1) {
            used += (size_t)sprintf(text + used, "%s,%s,soon,%s,t\n", names[1], names[2], names[2]);
            if (!*bad) *bad = line;
            continue;
        }
        used += (size_t)sprintf(text + used, "%s,%s,%d.%02d,%s%s%s,title %d%s\n", names[1], names[2], time,
                                i % 100, quoted ? "\"s,\"\"" : "", names[0] + (quoted ? 3 : 0),
                                quoted ? "\"" : "", i % 10, i % 7 ? "" : "\r");
        failures += sessrec_log_add(*expected, names[2], names[0], names[1],
                                    (time * 100.0 + i % 100) / 100) != SESSREC_OK;
    }
    CHECK_EQ(failures, 0);
    CHECK_EQ(sessrec_log_finish(*expected, NULL), SESSREC_OK);
    *size = used;
    return text;
}

static void long_logs(void) {
    TEST("a long log is what its events make one by one, from memory and from a file") {
        for (int wrong = 0; wrong < 1000; wrong += 331) {
            size_t size;
            int64_t bad;
            sessrec_log *expected, *log;
            char *text = long_text(3 + (uint32_t)wrong, wrong, &size, &expected, &bad);
            put_file(text, size);
            for (int from_file = 0; from_file < 2; ++from_file) {
                sessrec_log_format format = sessrec_log_format_default();
                format.skip_bad_rows = wrong > 0;
                if (from_file) CHECK_EQ(sessrec_log_read(path, &format, &log, NULL), SESSREC_OK);
                else CHECK_EQ(sessrec_log_import(text, size, &format, &log, NULL), SESSREC_OK);
                CHECK(same_log(log, expected, 1));
                CHECK_EQ(sessrec_log_contents(log).bad_row_count, wrong ? LONG_LOG / wrong : 0);
                sessrec_log_destroy(log);
            }
            sessrec_log_destroy(expected);
            free(text);
        }
        remove(path);
    }
    TEST("the first row that cannot be read is named by its line, wherever it stands") {
        for (int wrong = 1; wrong < LONG_LOG; wrong = wrong * 3 + 1) {
            size_t size;
            int64_t bad;
            sessrec_log *expected, *log;
            char *text = long_text(5, wrong, &size, &expected, &bad);
            CHECK_EQ(sessrec_log_import(text, size, NULL, &log, &failure), SESSREC_BAD_LOG);
            CHECK_EQ(failure.line, bad);
            CHECK_TEXT(failure.text,
                       "the time \"soon\" is neither a number nor a date like 2014-04-07T10:51:09Z");
            sessrec_log_destroy(expected);
            free(text);
        }
    }
    TEST("ids that differ in few bytes, of any length, stay apart") {
        sessrec_log *log;
        char id[SESSREC_MAX_ID + 1];
        int failures = 0;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        memset(id, 'a', sizeof id);
        for (int size = 1; size <= SESSREC_MAX_ID; ++size)
            for (int at = 0; at <= size; at += size < 40 ? 1 : 17) {  // at == size: no other byte
                memset(id, 'a', sizeof id);
                id[size] = 0;
                if (at < size) id[at] = 'b';
                failures += sessrec_log_add(log, NULL, "s", id, size * 1000.0 + at) != SESSREC_OK;
            }
        CHECK_EQ(failures, 0);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        const sessrec_log_view view = sessrec_log_contents(log);
        CHECK_EQ(view.item_count, view.event_count);
        for (int32_t i = 0; i < view.item_count; ++i)
            failures += sessrec_log_find_item(log, sessrec_log_item_id(log, i)) != i;
        CHECK_EQ(failures, 0);
        sessrec_log_destroy(log);
    }
}

// ---- lines with quotes and without ------------------------------------------------------------------------

// A field of an id or a time, or of something near to one; `size` gets how long it is.
static void odd_field(uint32_t *state, int is_time, char field[400], size_t *size) {
    static const char *const odd[] = {"",
                                      "-",
                                      "+5",
                                      "-0",
                                      "-12.5",
                                      ".",
                                      ".5",
                                      "7.",
                                      "1e3",
                                      "1.5e-3",
                                      "00012",
                                      "0.1234567",
                                      "0.12345678",
                                      "12345678.9",
                                      "123456789012345",
                                      "1234567890123456",
                                      "12345678901234567890",
                                      "99999999.9999999",
                                      "4503599627370497.5",
                                      "1.2.3",
                                      "12a",
                                      "1396437466,94",
                                      "2014-04-07",
                                      "2014-04-07T10:51:09.277Z",
                                      "\xc3\xa4\xe2\x82\xac",
                                      "a b",
                                      "a\tb",
                                      "x\"y",
                                      "\r",
                                      "1\r",
                                      "\x01",
                                      "/",
                                      ":",
                                      "-,"};
    const int kind = random_below(state, 40);
    if (kind == 0) {
        strcpy(field, odd[random_below(state, (int32_t)(sizeof odd / sizeof *odd))]);
        *size = strlen(field);
        if (random_below(state, 6) == 0) field[(*size)++] = 0;
    } else if (is_time) {
        *size = (size_t)sprintf(field, "%d", random_below(state, 1 << random_below(state, 30)));
        if (kind > 5)
            *size +=
                (size_t)sprintf(field + *size, ".%0*d", random_below(state, 9), random_below(state, 1000));
    } else {
        *size = kind < 5 ? 1 + (size_t)random_below(state, kind < 3 ? 300 : 20)
                         : 1 + (size_t)random_below(state, 4);
        for (size_t i = 0; i < *size; ++i)
            field[i] = (char)(random_below(state, 30) ? '0' + random_below(state, 3)
                                                      : 200 + random_below(state, 50));
    }
}

static void quotes(void) {
    TEST(
        "a line is read as it is with all its fields in quotes, whatever stands in it and wherever it ends") {
        static const char *const ends[] = {"\n", "\n", "\n", "\n", "\r\n", "\n\n", "\n\r\n"};
        static const char *const separators[] = {"\t", ",", ";", "|", "\x0b", "-"};
        uint32_t state = 21;
        int wrong = 0, read = 0, bad = 0;
        for (int round = 0; round < 600; ++round) {
            sessrec_log_format format =
                columns("1", round & 1 ? "4" : "2", round & 2 ? "3" : "", round & 4 ? "6" : "");
            char *text[2], odd[400];
            size_t used[2] = {0, 0};
            format.separator = separators[round % 6];
            for (int quoted = 0; quoted < 2; ++quoted) text[quoted] = (char *)malloc(1 << 18);
            for (int line = 0, lines = random_below(&state, 150); line <= lines; ++line) {
                const char *end = ends[random_below(&state, 7)];
                const int last = random_below(&state, 100) ? 6 : random_below(&state, 9);
                for (int column = 0; column <= last; ++column) {
                    size_t size, kept = 0;
                    odd_field(&state, column == 2, odd, &size);
                    for (size_t i = 0; i < size; ++i)  // only what may stand without quotes, too
                        if (odd[i] != *format.separator && odd[i] != '\n' && (odd[i] != '\r' || i + 1 < size))
                            odd[kept++] = odd[i];
                    for (int quoted = 0; quoted < 2; ++quoted) {
                        char *to = text[quoted] + used[quoted];
                        if (column) *to++ = *format.separator;
                        if (quoted) *to++ = '"';
                        for (size_t i = 0; i < kept; ++i) {
                            if (quoted && odd[i] == '"') *to++ = '"';
                            *to++ = odd[i];
                        }
                        if (quoted) *to++ = '"';
                        used[quoted] = (size_t)(to - text[quoted]);
                    }
                }
                for (int quoted = 0; quoted < 2; ++quoted)
                    used[quoted] += (size_t)sprintf(text[quoted] + used[quoted], "%s",
                                                    line == lines && round % 3 == 0 ? "" : end);
            }
            sessrec_log *log[2];
            sessrec_error error[2];
            sessrec_result result[2];
            memset(error, 0, sizeof error);
            for (format.skip_bad_rows = 0; format.skip_bad_rows < 2; ++format.skip_bad_rows) {
                for (int quoted = 0; quoted < 2; ++quoted) {
                    // so that a tool notices what is read behind it
                    char *exact = (char *)malloc(used[quoted]);
                    memcpy(exact, text[quoted], used[quoted]);
                    result[quoted] =
                        sessrec_log_import(exact, used[quoted], &format, &log[quoted], &error[quoted]);
                    free(exact);
                }
                wrong += result[0] != result[1] || error[0].line != error[1].line;
                if (result[0] == SESSREC_OK && result[1] == SESSREC_OK) {
                    wrong += !same_log(log[0], log[1], 1) || sessrec_log_contents(log[0]).bad_row_count !=
                                                                 sessrec_log_contents(log[1]).bad_row_count;
                    read += (int)sessrec_log_contents(log[0]).event_count;
                    bad += (int)sessrec_log_contents(log[0]).bad_row_count;
                }
                sessrec_log_destroy(log[0]);
                sessrec_log_destroy(log[1]);
            }
            free(text[0]);
            free(text[1]);
        }
        CHECK_EQ(wrong, 0);
        CHECK(read > 20000 && bad > 1000);
    }
}

// ---- real logs --------------------------------------------------------------------------------------------

static sessrec_log_format with(const char *where, const char *blank, sessrec_time_unit unit,
                               int32_t day_first) {
    sessrec_log_format format = sessrec_log_format_default();
    format.where = where;
    format.blank = blank;
    format.time_unit = unit;
    format.day_first = day_first;
    return format;
}
// The time of the first event of a log of one row, as the defaults read it, or with an order of day and
// month.
static double date_of(const char *field, int32_t day_first) {
    char text[300];
    const sessrec_log_format format = with(NULL, NULL, SESSREC_UNIT_AUTO, day_first);
    snprintf(text, sizeof text, "SessionId;ItemId;Time\n1;1;%s\n", field);
    sessrec_log *log = parse_as(text, &format);
    const double time = log ? sessrec_log_contents(log).times[0] : NAN;
    sessrec_log_destroy(log);
    return time;
}
static void check_note(sessrec_log *log, int32_t index, const char *sentence) {
    CHECK(log != NULL);
    CHECK_TEXT(sessrec_log_note(log, index), sentence);
    sessrec_log_destroy(log);
}

static void real_times(void) {
    TEST("dates are read as logs have them") {
        static const char *const same[] = {"2019-10-01T01:31:25Z",      "2019-10-01t01:31:25z",
                                           "2019-10-01 01:31:25 UTC",   "2019-10-01 01:31:25+00",
                                           "2019-10-01 01:31:25 +0000", "2019-10-01 03:31:25+02:00",
                                           "2019-10-01 01:31:25,000",   "2019/10/01 01:31:25",
                                           "2019.10.01 01:31:25",       "20191001T013125Z",
                                           "2019-10-1 1:31:25",         "01.10.2019 01:31:25",
                                           "1.10.2019, 01:31:25",       "01/Oct/2019:01:31:25 +0000",
                                           "01-OCT-2019 01:31:25",      "Tue Oct 01 01:31:25 +0000 2019",
                                           "Tue Oct  1 01:31:25 2019",  "Tue, 01 Oct 2019 01:31:25 GMT",
                                           "1 October 2019 01:31:25",   "Oct 1, 2019 1:31:25 AM",
                                           "2019-09-30 20:31:25 -0500", " 2019-10-01 01:31:25 "};
        for (size_t i = 0; i < sizeof same / sizeof *same; ++i) {
            if (date_of(same[i], -1) != 1569893485) printf("%s\n", same[i]);
            CHECK_NEAR(date_of(same[i], -1), 1569893485, 0);
        }
        CHECK_NEAR(date_of("2019-10-01 12:00:01 PM", -1), 1569888000 + 43201, 0);
        CHECK_NEAR(date_of("2019-10-01 12:00:01 am", -1), 1569888001, 0);
        CHECK_NEAR(date_of("2019-10-01 1:31:25 PM", -1), 1569893485 + 43200, 0);
        CHECK_NEAR(date_of("Tue Oct 01 2019", -1), 1569888000, 0);
        CHECK(same_bits(date_of("2019-10-01 01:31:25,884", -1), 1569893485.884));
        CHECK(same_bits(date_of("1569893485,884", -1), 1569893485.884));
        CHECK(isnan(date_of("2019-10-01 13:00:00 PM", -1)) && isnan(date_of("Tue Okt 01 2019", -1)) &&
              isnan(date_of("2019-10-01 01:31:25 CET", -1)));
    }
    TEST("U6: a date whose day and month could be swapped is refused, or read as it is told") {
        CHECK(isnan(date_of("10/01/2019 1:31:25 AM", -1)));
        CHECK_TEXT(failure.text, "the time \"10/01/2019 1:31:25 AM\" is a date whose day and month could be "
                                 "swapped: --day-first or --month-first");
        CHECK_NEAR(date_of("10/01/2019 1:31:25 AM", 0), 1569893485, 0);
        CHECK_NEAR(date_of("01/10/2019 01:31:25", 1), 1569893485, 0);
        CHECK_NEAR(date_of("1-10-2019", 1), 1569888000, 0);
        CHECK(isnan(date_of("15/10/2019", 0)));
        CHECK(isnan(date_of("15/10/2019", -1)));
    }
    TEST("U6: milliseconds, microseconds and nanoseconds are recognized, and named") {
        check_note(parse("SessionId,ItemId,Time\n1,a,1569893485884\n"), 0,
                   "times are read as milliseconds, by their size; --time-unit overrides this");
        check_note(parse("SessionId,ItemId,Time\n1,a,1569893485884000\n"), 0,
                   "times are read as microseconds, by their size; --time-unit overrides this");
        check_note(parse("SessionId,ItemId,Time\n1,a,1569893485884000000\n"), 0,
                   "times are read as nanoseconds, by their size; --time-unit overrides this");
        sessrec_log *log = parse("SessionId,ItemId,Time\n1,a,1569893485884\n1,b,1569893485885\n");
        CHECK(same_bits(sessrec_log_contents(log).times[0], 1569893485.884));
        CHECK(same_bits(sessrec_log_contents(log).times[1], 1569893485.885));
        sessrec_log_destroy(log);
        log = parse("SessionId,ItemId,Time\n1,a,1569893485884123\n");
        CHECK(same_bits(sessrec_log_contents(log).times[0], 1569893485.884123));
        sessrec_log_destroy(log);
        log = parse("SessionId,ItemId,Time\n1,a,1569893485884123000\n");
        CHECK_NEAR(sessrec_log_contents(log).times[0], 1569893485.884123, 1e-6);
        sessrec_log_destroy(log);
        log = parse("SessionId,ItemId,Time\n1,a,1569893485\n");
        CHECK(!sessrec_log_note(log, 0));
        sessrec_log_destroy(log);
        const sessrec_log_format format = with(NULL, NULL, SESSREC_UNIT_MILLISECONDS, -1);
        log = parse_as("SessionId,ItemId,Time\n1,a,1500\n", &format);
        CHECK_NEAR(sessrec_log_contents(log).times[0], 1.5, 0);
        sessrec_log_destroy(log);
    }
    TEST("U7: a stray time does not change the unit, and is named") {
        sessrec_log *log = parse("SessionId,ItemId,Time\n1,a,5\n1,b,1569893485884\n1,c,1569893485885\n");
        CHECK(same_bits(sessrec_log_contents(log).times[2], 1569893485.885));
        CHECK_TEXT(sessrec_log_note(log, 1), "1 of 3 times differ in magnitude from the others");
        sessrec_log_destroy(log);
    }
    TEST("U6: dates without separators are refused as seconds, with the option that reads them") {
        static const char *const text[] = {"20191001", "2019100113", "201910011331", "20191001133125"};
        static const double time[] = {1569888000, 1569934800, 1569936660, 1569936685};
        const sessrec_log_format dates = with(NULL, NULL, SESSREC_UNIT_DATE, -1);
        const sessrec_log_format seconds = with(NULL, NULL, SESSREC_UNIT_SECONDS, -1);
        for (int i = 0; i < 4; ++i) {
            char log_text[100];
            snprintf(log_text, sizeof log_text, "SessionId,ItemId,Time\n1,a,%s\n1,b,%s\n", text[i], text[i]);
            CHECK(!parse(log_text));
            CHECK_EQ(failure.code, SESSREC_BAD_LOG);
            CHECK(strstr(failure.text, "--time-unit date"));
            sessrec_log *log = parse_as(log_text, &dates);
            CHECK_NEAR(sessrec_log_contents(log).times[1], time[i], 0);
            sessrec_log_destroy(log);
            log = parse_as(log_text, &seconds);
            CHECK_NEAR(sessrec_log_contents(log).times[1], atof(text[i]), 0);
            sessrec_log_destroy(log);
        }
        char log_text[1000] = "SessionId,ItemId,Time\n";
        for (int i = 0; i < 25; ++i) sprintf(log_text + strlen(log_text), "1,a,08%02d\n", i + 1);
        CHECK(!parse(log_text));
        CHECK(strstr(failure.text, "(MMDD)"));
        sessrec_log *log = parse_as(log_text, &dates);
        CHECK_NEAR(sessrec_log_contents(log).times[0], 965088000, 0);
        sessrec_log_destroy(log);
        CHECK(!parse_as("SessionId,ItemId,Time\n1,a,20191301\n", &dates));
    }
    TEST("a second time column is added to the first") {
        sessrec_log_format format = columns("s", "i", "day,frame", "");
        sessrec_log *log = parse_as(
            "s;i;frame;day\n1;b;526309;2016-05-09\n1;a;1000;2016-05-09\n2;c;5;2016-05-08\n", &format);
        CHECK_NEAR(sessrec_log_contents(log).times[2], 1462752000 + 526.309, 0);
        CHECK_TEXT(sessrec_log_note(log, 0), "the numbers of the second time column are read as "
                                             "milliseconds, by their size; --time-unit overrides this");
        check_shape(log, "2:c;1:a b;");
        format.time_unit = SESSREC_UNIT_SECONDS;
        log = parse_as("s;i;frame;day\n1;b;90;20160509\n1;a;5;20160509\n", &format);
        CHECK_NEAR(sessrec_log_contents(log).times[1], 1462752000 + 90, 0);
        check_shape(log, "1:a b;");
        CHECK(!parse_as("s;i;frame;day\n1;b;;2016-05-09\n", &format));
        CHECK_TEXT(failure.text, "the offset \"\" is blank" SKIP_BAD);
    }
    TEST("U6: offsets inside sessions and equal times are named") {
        char text[2000] = "SessionId,ItemId,Time\n";
        for (int s = 0; s < 12; ++s)
            sprintf(text + strlen(text), "%d,a,%d\n%d,b,%d\n", s, s, s, 4000 + s * 900);
        sessrec_log *log = parse(text);
        CHECK(strstr(sessrec_log_note(log, 0), "nearly all sessions begin at time 0"));
        sessrec_log_destroy(log);
        strcpy(text, "SessionId,ItemId,Time\n");
        for (int s = 0; s < 12; ++s) sprintf(text + strlen(text), "%d,a,2019-10-01\n%d,b,2019-10-01\n", s, s);
        log = parse(text);
        CHECK(strstr(sessrec_log_note(log, 0), "12 of 12 clicks have the same time as the one before"));
        sessrec_log_destroy(log);
    }
    TEST("dates and numbers do not mix") {
        CHECK(!parse("SessionId,ItemId,Time\n1,a,2019-10-01\n1,b,1569893485\n"));
        CHECK_EQ(failure.line, 3);
    }
}

static void real_rows(void) {
    TEST("U8: a field in quotes goes on over line ends, and lines are counted right") {
        check_shape(
            parse("SessionId,Title,ItemId,Time\n1,\"a \"\"nice\"\" thing,\r\nred\",a,1\n1,x,\"b\nc\",2\n"),
            "1:a b\nc;");
        CHECK(!parse("SessionId,Title,ItemId,Time\n1,\"a\n\n\nb\",a,1\n1,x,b,soon\n"));
        CHECK_EQ(failure.line, 6);
        check_note(parse("SessionId,Title,ItemId,Time\n1,t,a,1\n1,\"a\nb\",a,1\n"), 0,
                   "rows with line ends in quotes: 1, the first in line 3" NO_QUOTES);
    }
    TEST("U8: a bad row that is passed over never becomes a click") {
        sessrec_log_format format = sessrec_log_format_default();
        format.skip_bad_rows = 1;
        // a title that forges clicks; an item id with text behind its quote; one whose quote is never closed
        check_shape(parse_as("SessionId,Title,ItemId,Time\n1,\"x\n9,t,evil,5\n\",,1\n1,t,a,2\n", &format),
                    "1:a;");
        check_shape(parse_as("SessionId,Title,ItemId,Time\n1,t,\"x\n9,t,evil,5\ny\" z,1\n1,t,a,2\n", &format),
                    "1:a;");
        check_shape(parse_as("SessionId,Title,ItemId,Time\n1,t,a,2\n1,t,\"x,3\n9,t,evil,5\n", &format),
                    "1:a;");
    }
    TEST("U8: what the library writes it reads, whatever the ids are") {
        static const char *const ids[] = {"a\nb",  "\"",   "\"\"x", "\r\n", "\r",  " a ",  "#",
                                          "sep=;", "a\tb", "{",     "NULL", "1.0", "\x01", "\xff\xfe"};
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        for (int i = 0; i < 14 * 14; ++i)
            CHECK_EQ(sessrec_log_add(log, i % 3 ? ids[i / 14] : NULL, ids[i % 14], ids[i * 5 % 14], i * 1e9),
                     SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
        sessrec_log *back = load();
        CHECK(same_log(log, back, 0));
        sessrec_log_destroy(back);
        sessrec_log_destroy(log);
        for (int i = 0; i < 2; ++i) {  // times that a reader would take for dates, or for milliseconds
            CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_log_add(log, NULL, "s", "i", i ? 20191001 : 1569893485884.0), SESSREC_OK);
            CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_log_write(log, path, NULL), SESSREC_OK);
            back = load();
            CHECK(same_log(log, back, 1));
            sessrec_log_destroy(back);
            sessrec_log_destroy(log);
        }
        remove(path);
    }
    TEST("U12: a quote or a blank in a column that nobody asked for stops no row") {
        check_shape(parse("SessionId\tArtist\tItemId\tTime\n1\t\"Weird Al\" "
                          "Yankovic\ta\t1\n1\t\"Heroes\tb\t2\n1\t12\" Mix\tc\t3\n1\t\td\t4\n"),
                    "1:a b c d;");
        sessrec_log_format format = columns("SessionId", "Artist", "Time", "");
        format.quotes = 0;
        check_shape(
            parse_as("SessionId\tArtist\tTime\n1\t\"Weird Al\" Yankovic\t1\n1\t\"Heroes\t2\n1\t\"b\"\t3\n",
                     &format),
            "1:\"Weird Al\" Yankovic \"Heroes \"b\";");
    }
    TEST("conditions keep some rows") {
        sessrec_log_format format = with("event=view,click;country=DE", NULL, SESSREC_UNIT_AUTO, -1);
        const char *text = "SessionId,event,ItemId,country,Time\n1,view,a,DE,1\n1,buy,b,DE,2\n1,click,c,FR,"
                           "3\n1,click,d,DE,4\n1,buy,,DE,x\n";
        check_shape(parse_as(text, &format), "1:a d;");
        format.where = "2=buy,";
        CHECK(!parse_as(text, &format));
        CHECK_EQ(failure.line, 6);
        format.where = "event=nothing";
        check_note(parse_as(text, &format), 0, "no row has event=nothing: --where");
        format.where = "event";
        CHECK(!parse_as(text, &format));
        CHECK_EQ(failure.code, SESSREC_INVALID_ARGUMENT);
        format.where = "kind=view";
        CHECK(!parse_as(text, &format));
        CHECK_EQ(failure.code, SESSREC_BAD_LOG);
    }
    TEST("values that mean none are blank") {
        sessrec_log_format format = with(NULL, "NA,NULL", SESSREC_UNIT_AUTO, -1);
        const char *text = "SessionId,ItemId,Time,UserId\n1,a,1,NA\n1,b,2,u\n1,NULL,3,u\n";
        CHECK(!parse_as(text, &format));
        CHECK_EQ(failure.line, 4);
        format.skip_bad_rows = 1;
        check_shape(parse_as(text, &format), "1:a;1@u:b;");
        sessrec_log *log = parse(text);
        CHECK_TEXT(sessrec_log_note(log, 0),
                   "there is a user \"NA\"; if that stands for none, say so: --blank NA");
        CHECK_TEXT(sessrec_log_note(log, 1),
                   "there is an item \"NULL\"; if that stands for none, say so: --blank NULL");
        sessrec_log_destroy(log);
    }
    TEST("headers: types, blanks, comments, sep=, one that comes again; other line ends") {
        sessrec_log_format format = columns("session_id", "item_id", "timestamp", "user_id");
        check_shape(parse_as("user_id:token\tsession_id:token\titem_id:token\ttimestamp:float\nu\t1\ta\t5\n",
                             &format),
                    "1@u:a;");
        check_shape(parse("SessionId, ItemId, Time\n1, a, 2\n1, b, 3\n"), "1:a b;");
        check_shape(parse("# exported\n#\nSessionId,ItemId,Time\n1,a,2\n"), "1:a;");
        check_shape(parse("#SessionId,ItemId,Time\n1,a,2\n"), "1:a;");
        check_shape(parse("sep=;\r\nSessionId;ItemId;Time\r\n1;a,b;2\r\n"), "1:a,b;");
        check_shape(parse("SessionId,ItemId,Time\r1,a,2\r1,b,3\r"), "1:a b;");
        check_shape(parse("SessionId,ItemId,Time\r1,a,2\r1,b,3"), "1:a b;");
        check_note(parse(HEAD "SessionId,ItemId,Time\n1,b,3\n"), 0,
                   "repeated header lines skipped: 1");
        check_note(parse("SessionId,ItemId,Time\n1,a,2"), 0,
                   "the last line has no line end; if the file was cut off, its last row is wrong");
    }
    TEST("a first row with a bad time is an error, not a header") {
        sessrec_log_format format = columns("1", "2", "3", "");
        static const char *const bad[] = {"1,a,2019-13-45\n", "1,a,1.2.3\n", "x,y,14h\n",
                                          "1,a,noon\n",       "x,y,NULL\n",  "x,y,\n"};
        for (int i = 0; i < 6; ++i) {
            CHECK(!parse_as(bad[i], &format));
            CHECK_EQ(failure.line, 1);
        }
        check_shape(parse_as("visit,item,created at\n1,a,2\n", &format), "1:a;");
    }
    TEST("JSON lines of flat objects are read") {
        sessrec_log_format format = columns("user", "item", "ts", "");
        format.where = "event=view";
        check_shape(parse_as("{\"user\": \"u\\\"1\", \"item\":12, \"ts\":1569893485, \"event\":\"view\", "
                             "\"more\":[{\"item\":\"}\"}], \"x\":{}}\n"
                             "\n{\"event\":\"buy\"}\r\n"
                             " {\"ts\":1569893486,\"item\":\"caf\\u00e9 "
                             "\\ud83d\\ude00\\/\",\"user\":\"u\\\"1\",\"event\":\"view\",\"item\":\"z\"} \n",
                             &format),
                    "u\"1:12 caf\xc3\xa9 \xf0\x9f\x98\x80/;");
        format.where = NULL;
        CHECK(!parse_as("{\"user\":1,\"item\":null,\"ts\":5}\n", &format));
        CHECK_TEXT(failure.text, "the item id \"\" is blank" SKIP_BAD);
        static const char *const broken[] = {"{\"user\":1,\"item\":2,\"ts\":5",
                                             "{\"user\":1,\"item\":2,\"ts\":5}}",
                                             "{\"user\":1,\"item\":\"2,\"ts\":5}",
                                             "{user:1}",
                                             "{\"user\"",
                                             "{",
                                             "{}x",
                                             "{\"a\":[}"};
        for (int i = 0; i < 8; ++i) {
            CHECK(!parse_as(broken[i], &format));
            CHECK_EQ(failure.code, SESSREC_BAD_LOG);
        }
        CHECK(!parse_as("{\"session\":1,\"events\":[{\"aid\":5,\"ts\":6}]}\n", &format));
        CHECK(strstr(failure.text, "jq -c"));
    }
    TEST("U14: files that are no lines of text are named as what they are, with the cure") {
        static const struct {
            const char *bytes;
            size_t size;
            const char *name, *cure;
        } kinds[] = {{"\x1f\x8b\x08\x00\x00", 5, "gzip", "zcat FILE |"},
                     {"PAR1\x15\x04\x15", 7, "Parquet", "duckdb"},
                     {"\xff\xfeS\0e\0", 6, "UTF-16", "iconv"},
                     {"PK\x03\x04\x14\0", 6, "zip", "unzip -p"},
                     {"S\0e\0s\0\n\0", 8, "NUL bytes", "iconv"},
                     {"[{\"a\":1}]", 9, "JSON list", "jq -c '.[]'"},
                     {"BZh91AY&SY", 10, "bzip2", "bzcat"},
                     {"ARROW1\0\0", 8, "Arrow", "read_feather"}};
        for (int i = 0; i < 8; ++i) {
            sessrec_log *log;
            CHECK_EQ(sessrec_log_import(kinds[i].bytes, kinds[i].size, NULL, &log, &failure),
                     SESSREC_BAD_LOG);
            CHECK(strstr(failure.text, kinds[i].name) && strstr(failure.text, kinds[i].cure));
        }
    }
    TEST("U14: nothing but text stands in a message") {
        CHECK(!parse("SessionId,ItemId,Time\n1,a,\x1b[31m\xe9\xff\xc2\x9b\xf0\x9f\x98\n"));
        CHECK_TEXT(failure.text,
                   "the time \" [31m???????\" is neither a number nor a date like 2014-04-07T10:51:09Z");
    }
    TEST("several files make one log") {
        sessrec_log *log;
        sessrec_log_format other = columns("s", "i", "t", "");
        const char *const first = "SessionId,ItemId,Time\n1,a,1569893486\n";
        const char *const second = "t;i;s\n1569893485000;b;1\n1569893487000;c;2\n";
        put_file(second, strlen(second));
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_text(log, first, strlen(first), NULL, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_file(log, path, &other, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_add_numbers(log, -1, 3, 4, 1569893480), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        remove(path);
        check_shape(log, "3:4;1:b a;2:c;");
    }
#if defined(__unix__) || defined(__APPLE__)
    TEST("U5: a path is opened once, so that a pipe works every time") {
        for (int round = 0; round < 20; ++round) {
            remove(path);
            CHECK_EQ(mkfifo(path, 0600), 0);
            const pid_t child = fork();
            if (!child) {
                FILE *file = fopen(path, "wb");
                fputs(HEAD "1,b,2\n", file);
                fclose(file);
                _exit(0);
            }
            check_shape(load(), "1:a b;");
            CHECK_EQ(waitpid(child, NULL, 0), child);
        }
        remove(path);
    }
#endif
}

// ---- against a plain reader -------------------------------------------------------------------------------

// A text in pieces: what a plain reader makes of it, one character after the other. NULL for the end of a
// row.
typedef struct plain_reader {
    const char *at;
    char separator;
} plain_reader;

// The next field; returns 0 at the end of the text, 1 if the row goes on, 2 if it ends with this field.
static int plain_field(plain_reader *r, char *field) {
    *field = 0;
    if (!*r->at) return 0;
    if (*r->at == '"') {
        for (++r->at; *r->at != '"' || r->at[1] == '"'; ++r->at) {
            if (*r->at == '"') ++r->at;
            *field++ = *r->at;
        }
        ++r->at;
    } else {
        while (*r->at && *r->at != r->separator && *r->at != '\n' && (*r->at != '\r' || r->at[1] != '\n'))
            *field++ = *r->at++;
    }
    *field = 0;
    if (*r->at == r->separator) return ++r->at, 1;
    r->at += *r->at == '\r';
    r->at += *r->at == '\n';
    return 2;
}

static sessrec_log *plain_read(const char *text, char separator) {
    plain_reader r = {text + (memcmp(text, "\xef\xbb\xbf", 3) ? 0 : 3), separator};
    char name[5][64], field[5][64];
    sessrec_log *log;
    sessrec_log_create(NULL, &log, NULL);
    int columns = 0, more = 1, has_users = 0;
    while (more == 1) {
        more = plain_field(&r, name[columns]);
        has_users |= !strcmp(name[columns++], "user");
    }
    for (;;) {
        const char *id[4] = {NULL, NULL, NULL, NULL};  // session, item, time, user
        int c = 0;
        for (more = 1; more == 1; ++c) {
            more = plain_field(&r, field[c]);
            if (!more && !c) break;  // an empty field behind the last separator is one
            const char *wanted[4] = {"session", "item", "time", "user"};
            for (int w = 0; w < 4; ++w)
                if (c < columns && !strcmp(name[c], wanted[w])) id[w] = field[c];
        }
        if (!c) break;
        if (c == 1 && !*field[0]) continue;  // a blank line
        sessrec_log_add(log, has_users ? id[3] : NULL, id[0], id[1], atof(id[2]));
    }
    sessrec_log_finish(log, NULL);
    return log;
}

static void against_a_plain_reader(void) {
    TEST("made-up files of all layouts are read as a plain reader does") {
        static const char *const words[] = {
            "a",        "bb",         "1",    "22",          "long id of some length",
            "x y",      "\xc3\xa4",   "#",    "'",           "12\" Mix",
            "a,b",      "a;b",        "a\tb", "a|b",         "line\nend",
            "cr\r\nlf", "say \"hi\"", "\"",   ",\n9,9,9,9\n"};
        uint32_t state = 99;
        int wrong = 0, events = 0, spanning = 0;
        for (int round = 0; round < 10000; ++round) {
            char text[8192];
            const char separator = ",;\t|"[random_below(&state, 4)], *const end = random_below(&state, 2)
                                                                                      ? "\n"
                                                                                      : "\r\n";
            const int has_users = random_below(&state, 2), columns_count = 4 + has_users;
            int order[5] = {0, 1, 2, 3, 4};  // session, item, time, title, user
            size_t used = random_below(&state, 4) ? 0 : (size_t)sprintf(text, "\xef\xbb\xbf");
            for (int c = columns_count - 1; c > 0; --c) {
                const int other = random_below(&state, c + 1), held = order[c];
                order[c] = order[other];
                order[other] = held;
            }
            for (int row = 0, rows = random_below(&state, 12); row <= rows; ++row) {
                if (row && random_below(&state, 12) == 0) used += (size_t)sprintf(text + used, "%s", end);
                for (int c = 0; c < columns_count; ++c) {
                    static const char *const names[] = {"session", "item", "time", "title", "user"};
                    char number[16];
                    const char *field =
                        row ? words[random_below(&state, order[c] == 0 ? 5 : 19)] : names[order[c]];
                    sprintf(number, "%d", 1000000000 + random_below(&state, 5000));
                    if (row && order[c] == 2) field = number;
                    if (row && order[c] > 2 && random_below(&state, 5) == 0) field = "";
                    const int quoted = strpbrk(field, "\"\n\r,;\t|") || random_below(&state, 6) == 0;
                    if (c) text[used++] = separator;
                    if (quoted) text[used++] = '"';
                    for (const char *at = field; *at; ++at) {
                        if (*at == '"') text[used++] = '"';
                        text[used++] = *at;
                    }
                    if (quoted) text[used++] = '"';
                    spanning += quoted && strchr(field, '\n');
                }
                if (row < rows || random_below(&state, 3)) used += (size_t)sprintf(text + used, "%s", end);
            }
            text[used] = 0;
            sessrec_log_format format = columns("session", "item", "time", has_users ? "user" : "");
            sessrec_log *log, *plain = plain_read(text, separator);
            sessrec_error error;
            format.separator = separator == ','   ? ","
                               : separator == ';' ? ";"
                               : separator == '|' ? "|"
                                                  : "\t";
            if (sessrec_log_import(text, used, &format, &log, &error)) {
                if (!wrong++) printf("%s\n%s\n", error.text, text);
            } else {
                if (!same_log(log, plain, 1) && !wrong++) printf("%s\n", text);
                events += (int)sessrec_log_contents(log).event_count;
            }
            sessrec_log_destroy(log);
            sessrec_log_destroy(plain);
        }
        CHECK_EQ(wrong, 0);
        CHECK(events > 30000 && spanning > 5000);
    }
}

// ---- any bytes --------------------------------------------------------------------------------------------

static void any_bytes(void) {
    TEST("R6: any bytes are a log or an error, from memory and from a file alike") {
        static const char alphabet[] = "\",;\t\n\r\n,,0123456789.-:TZe+ax\xef\xbb\xbf";
        uint32_t state = 11;
        int wrong = 0;
        for (int i = 0; i < 20000; ++i) {
            char text[160];
            sessrec_log_format format =
                i & 1 ? columns("1", "2", "3", i & 2 ? "4" : "") : sessrec_log_format_default();
            size_t used = i & 1 ? 0
                                : (size_t)snprintf(text, sizeof text, "SessionId,ItemId,Time%s\n",
                                                   i & 2 ? ",UserId" : "");
            for (int n = random_below(&state, 100); n > 0; --n)
                text[used++] = random_below(&state, 60)
                                   ? alphabet[random_below(&state, (int32_t)sizeof alphabet)]
                                   : (char)random_bits(&state);
            sessrec_log *log, *file;
            format.skip_bad_rows = i & 4;
            const sessrec_result result = sessrec_log_import(text, used, &format, &log, &failure);
            wrong += result != SESSREC_OK && result != SESSREC_BAD_LOG;
            wrong += (result == SESSREC_OK) != (log != NULL);
            if (i % 50 < 2) {
                put_file(text, used);
                wrong += sessrec_log_read(path, &format, &file, NULL) != result;
                wrong += result == SESSREC_OK && !same_log(log, file, 1);
                sessrec_log_destroy(file);
            }
            sessrec_log_destroy(log);
        }
        CHECK_EQ(wrong, 0);
        remove(path);
    }
}

// ---- keys of the tables, and who inherits a file ----------------------------------------------------------

// Counts files that are open in an allocation, and that a program that was started now would inherit.
static int files_seen, files_inherited;
static void *look_at_files(void *user, size_t bytes) {
    (void)user;
#ifdef FD_CLOEXEC
    for (int file = 3; file < 64; ++file) {
        const int flags = fcntl(file, F_GETFD);
        files_seen += flags >= 0;
        files_inherited += flags >= 0 && !(flags & FD_CLOEXEC);
    }
#endif
    return malloc(bytes);
}
static void free_block(void *user, void *block) {
    (void)user;
    free(block);
}

static void keys(void) {
    TEST("the caller may give the key of the tables of ids, which a log hands on; no result depends on it") {
        sessrec_log_format format = sessrec_log_format_default();
        const char *text = "SessionId,ItemId,Time,UserId\n1,a,1,u\n1,b,2,u\n2,a,3,v\n3,c,4,u\n";
        sessrec_log *plain = parse(text), *before = NULL, *after = NULL;
        format.id_key = 12345;
        sessrec_log *keyed = parse_as(text, &format);
        CHECK_EQ(sessrec_log_split_time(keyed, 3, &before, &after, NULL), SESSREC_OK);
        for (int role = 0; role < SESSREC__IDS; ++role) {
            CHECK(keyed->ids[role].key == 12345);
            CHECK(before->ids[role].key == 12345);
            CHECK(after->ids[role].key == 12345);
        }
        CHECK(same_log(plain, keyed, 1));
        CHECK_EQ(sessrec_log_find_item(keyed, "c"), sessrec_log_find_item(plain, "c"));
        CHECK_EQ(sessrec_log_find_item(after, "a"), 0);
        sessrec_log_destroy(plain);
        sessrec_log_destroy(keyed);
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
    }
    TEST("without one, a table in the same place has another key a moment later") {
        sessrec__ids ids;
        const sessrec_allocator memory = {look_at_files, free_block, NULL};
        sessrec__ids_init(&ids, &memory, 0);
        const uint64_t key = ids.key;
        const double began = sessrec__now();
        while (!(sessrec__now() > began)) {}
        sessrec__ids_init(&ids, &memory, 0);
        CHECK(ids.key != key);
    }
#ifdef FD_CLOEXEC
    TEST("a program that is started while a log is read does not inherit its file") {
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *log = NULL;
        format.allocator.alloc = look_at_files;
        format.allocator.free = free_block;
        put_file("SessionId,ItemId,Time\n1,a,1\n1,b,2\n", 34);
        files_seen = files_inherited = 0;
        for (int file = 3; file < 64; ++file)
            if (fcntl(file, F_GETFD) >= 0) (void)fcntl(file, F_SETFD, FD_CLOEXEC);  // the test's own
        CHECK_EQ(sessrec_log_read(path, &format, &log, NULL), SESSREC_OK);
        CHECK(files_seen > 0);
        CHECK_EQ(files_inherited, 0);
        sessrec_log_destroy(log);
        remove(path);
    }
#endif
}

static void wrong_calls(void) {
    TEST("a unit that is none, arrays that are missing and a filter without its canary are refused") {
        const int64_t ids[1] = {1};
        const double times[1] = {1};
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_filter filter = sessrec_filter_default();
        sessrec_log *log = NULL;
        format.time_unit = SESSREC_UNIT_DATE + 1;
        CHECK(!parse_as("1,2,3\n", &format));
        CHECK_EQ(failure.code, SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(failure.text, "there is no such unit of time");
        for (int missing = 0; missing < 4; ++missing) {
            CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
            const int64_t *sessions = missing == 0 ? NULL : ids, *items = missing == 1 ? NULL : ids;
            const sessrec_result result =
                sessrec_log_add_many(log, 1, NULL, sessions, items, missing == 2 ? NULL : times);
            CHECK_EQ(result, missing < 3 ? SESSREC_INVALID_ARGUMENT : SESSREC_OK);
            CHECK_EQ(sessrec_log_finish(log, NULL), result);
            if (missing < 3) sessrec_log_destroy(log);
        }
        filter.canary = 0;
        CHECK_EQ(sessrec_log_filter(log, &filter, &failure), SESSREC_INVALID_ARGUMENT);
        CHECK(strstr(failure.text, "sessrec_filter_default"));
        CHECK_EQ(sessrec_log_filter(log, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
    TEST("a first line beyond 1 MiB is refused") {
        const size_t size = (1 << 20) + 100;
        char *text = (char *)malloc(size);
        sessrec_log *log = NULL;
        memset(text, 'x', size);
        text[size - 1] = '\n';
        CHECK_EQ(sessrec_log_import(text, size, NULL, &log, &failure), SESSREC_BAD_LOG);
        CHECK_TEXT(failure.text, "the first line is longer than 1 MiB");
        CHECK(!log);
        free(text);
    }
}

int main(void) {
    keys();
    wrong_calls();
    layouts();
    bad_row_count();
    times();
    order();
    categories();
    building();
    filters();
    random_logs();
    cuts();
    splits();
    items_of_a_model();
    files();
    out_of_memory();
    long_logs();
    quotes();
    real_times();
    real_rows();
    against_a_plain_reader();
    any_bytes();
    return test_report("log");
}
