// logs.h - what the command line does with logs beyond reading them: describe one, read times and durations
//
// Everything is computed from the public view of a log (sessrec_log_contents). Included by sessrec.c.
#ifndef SESSREC_EXAMPLES_LOGS_H
#define SESSREC_EXAMPLES_LOGS_H

#include "../sessrec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// "2019-10-01 01:31:25", in UTC; the number where the calendar ends. The last four texts stay as they are.
static const char *moment_text(double seconds) {
    static char texts[4][40];
    static unsigned calls;
    char *text = texts[calls++ % 4];
    const time_t whole = (time_t)seconds;
    const struct tm *utc = seconds > -1e11 && seconds < 1e11 ? gmtime(&whole) : NULL;
    if (!utc || !strftime(text, sizeof texts[0], "%Y-%m-%d %H:%M:%S", utc))
        snprintf(text, sizeof texts[0], "%.0f", seconds);
    return text;
}

// "12.5 s", "30 min", "2.0 h", "3.1 days". The last four texts stay as they are.
static const char *duration_text(double seconds) {
    static char texts[4][32];
    static unsigned calls;
    char *text = texts[calls++ % 4];
    if (seconds < 120) snprintf(text, sizeof texts[0], "%.3g s", seconds);
    else if (seconds < 7200) snprintf(text, sizeof texts[0], "%.3g min", seconds / 60);
    else if (seconds < 172800) snprintf(text, sizeof texts[0], "%.3g h", seconds / 3600);
    else snprintf(text, sizeof texts[0], "%.3g days", seconds / 86400);
    return text;
}

// A time on the command line, in any form that a log may have: the library reads it. Returns 0 if it is none.
static int read_moment(const char *text, const sessrec_log_format *given, double *out) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL;
    char row[128];
    format.session_column = format.item_column = "1";
    format.time_column = "2";
    format.user_column = "";
    format.separator = "\t";
    format.day_first = given->day_first;
    if (strlen(text) > 100 || strpbrk(text, "\t\r\n")) return 0;
    snprintf(row, sizeof row, "1\t%s\n", text);
    const int good = !sessrec_log_import(row, strlen(row), &format, &log, NULL) &&
                     sessrec_log_contents(log).event_count == 1;
    if (good) *out = sessrec_log_contents(log).times[0];
    sessrec_log_destroy(log);
    return good;
}

// ---- describe ----

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// The value below which this part of sorted values lies.
static double quantile(const double *sorted, int64_t count, double part) {
    return count ? sorted[(int64_t)(part * (double)(count - 1) + 0.5)] : 0;
}

static double percent(int64_t part, int64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

// The pause at which to cut sessions: of some round ones that around which there are the fewest gaps, as
// between the clicks of one visit and the pause to the next. 0: hardly any gap is as long as a pause.
static double suggest_idle(const double *gaps, int64_t count) {
    static const double rounds[] = {600, 900, 1200, 1800, 2700, 3600, 7200, 10800, 21600, 43200};
    int64_t fewest = count + 1, longer = 0;
    double best = 0;
    for (int64_t g = 0; g < count; ++g) longer += gaps[g] > 1800;
    if (longer * 100 < count) return 0;
    for (int i = 0; i < 10; ++i) {
        int64_t around = 0;
        for (int64_t g = 0; g < count; ++g) around += gaps[g] > rounds[i] / 1.5 && gaps[g] <= rounds[i] * 1.5;
        if (around < fewest) fewest = around, best = rounds[i];
    }
    return best;
}

static void warn_times(const sessrec_log_view *v, const double *sorted) {
    const double low = quantile(sorted, v->event_count, 0.01), high = quantile(sorted, v->event_count, 0.99);
    const double span = high - low, last = sorted[v->event_count - 1];
    int64_t early = 0, late = 0, last_day = 0;
    for (int64_t e = 0; e < v->event_count; ++e) {
        early += sorted[e] < low - span;
        late += sorted[e] > high + span;
        last_day += sorted[e] > last - 86400;
    }
    if (early || late)
        printf("warning: %lld events lie far from the others (%s to %s), the outermost at %s\n",
               (long long)(early + late), moment_text(low), moment_text(high),
               moment_text(early ? sorted[0] : last));
    if (span > 3 * 86400 && last_day * 1000 < v->event_count)
        printf("warning: the last day has only %lld events; give split a time: --at '%s'\n",
               (long long)last_day, moment_text(high - 86400));
    if (last < 1e8)
        printf("warning: as seconds the times end at %s; if they are of another unit: --time-unit ms\n",
               moment_text(last));
}

static void warn_items(const sessrec_log *log, const sessrec_log_view *v) {
    int64_t once = 0, twice = 0;
    for (int32_t i = 0; i < v->item_count; ++i) {
        char id[SESSREC_MAX_ID + 1];
        strcpy(id, sessrec_log_item_id(log, i));
        const size_t length = strlen(id);
        once += v->supports[i] == 1;
        if (length < 3 || strcmp(id + length - 2, ".0")) continue;
        id[length - 2] = 0;
        if (sessrec_log_find_item(log, id) >= 0 && !twice++)
            printf("warning: the items \"%s\" and \"%s.0\" look like one id in two types\n", id, id);
    }
    if (twice > 1) printf("         and %lld more such pairs\n", (long long)twice - 1);
    if (once * 2 > v->item_count)
        printf("warning: %.0f %% of the items were clicked once; --min-support 5 leaves such items out\n",
               percent(once, v->item_count));
}

static void warn_sessions(const sessrec_log *log, const sessrec_log_view *v, const double *lengths) {
    int32_t longest = 0;
    int64_t single = 0;
    for (int32_t s = 0; s < v->session_count; ++s) {
        const int64_t length = v->session_begins[s + 1] - v->session_begins[s];
        single += length == 1;
        if (length > v->session_begins[longest + 1] - v->session_begins[longest]) longest = s;
    }
    const double most = lengths[v->session_count - 1];
    if (v->session_count > 1 && most > 200 && most > 10 * quantile(lengths, v->session_count, 0.99))
        printf("warning: session \"%s\" has %.0f clicks, %.1f %% of the log: a robot, or an id that stands "
               "for none?\n",
               sessrec_log_session_id(log, longest), most, percent((int64_t)most, v->event_count));
    if (v->session_count > 1 && single * 2 > v->session_count)
        printf("warning: %.0f %% of the sessions have one click: nothing can be learned from them\n",
               percent(single, v->session_count));
}

static void describe_users(const sessrec_log_view *v) {
    int64_t of_users = 0;
    for (int32_t s = 0; s < v->session_count && v->session_users; ++s) of_users += v->session_users[s] >= 0;
    if (v->user_count)
        printf("users     %lld, with %.1f sessions each; %lld sessions of nobody\n", (long long)v->user_count,
               (double)of_users / v->user_count, (long long)(v->session_count - of_users));
}

static void describe_items(const sessrec_log_view *v, double *values) {
    const int32_t top = v->item_count / 100 ? v->item_count / 100 : 1;
    double clicks = 0;
    for (int32_t i = 0; i < v->item_count; ++i) values[i] = (double)v->supports[i];
    qsort(values, (size_t)v->item_count, sizeof *values, compare_doubles);
    for (int32_t i = 0; i < top; ++i) clicks += values[v->item_count - 1 - i];
    printf("clicks    per item: median %.0f, 90 %% at most %.0f, the most %.0f; the top %lld items have %.0f "
           "%% of them\n",
           quantile(values, v->item_count, 0.5), quantile(values, v->item_count, 0.9),
           values[v->item_count - 1], (long long)top, 100 * clicks / (double)v->event_count);
}

// Prints what a log holds and what looks wrong. Returns 0 without memory.
// The categories of a log: how many values each has, and how many clicks have none.
static void describe_categories(const sessrec_log *log, const sessrec_log_view *v) {
    for (int32_t c = 0; c < v->category_count; ++c) {
        int64_t blank = 0;
        for (int64_t e = 0; e < v->event_count; ++e) blank += v->categories[c][e] < 0;
        printf("category  %s: %d values, %.1f %% of clicks have none\n", sessrec_log_category(log, c),
               (int)v->value_counts[c], percent(blank, v->event_count));
    }
}

static int describe_log(const sessrec_log *log) {
    const sessrec_log_view v = sessrec_log_contents(log);
    double *values = (double *)malloc((size_t)(v.event_count + v.item_count + 1) * sizeof *values);
    int64_t gaps = 0, repeats = 0;
    if (!values) return 0;
    printf("events    %lld\nsessions  %lld\nitems     %lld\n", (long long)v.event_count,
           (long long)v.session_count, (long long)v.item_count);
    describe_users(&v);
    describe_categories(log, &v);
    if (v.event_count) {
        memcpy(values, v.times, (size_t)v.event_count * sizeof *values);
        qsort(values, (size_t)v.event_count, sizeof *values, compare_doubles);
        printf("time      %s to %s UTC, %s\n", moment_text(values[0]), moment_text(values[v.event_count - 1]),
               duration_text(values[v.event_count - 1] - values[0]));
        warn_times(&v, values);
        for (int32_t s = 0; s < v.session_count; ++s)
            values[s] = (double)(v.session_begins[s + 1] - v.session_begins[s]);
        qsort(values, (size_t)v.session_count, sizeof *values, compare_doubles);
        printf("lengths   of sessions: mean %.2f, 10 %% at most %.0f, median %.0f, 90 %% at most %.0f, 99 %% "
               "at most %.0f, "
               "the longest %.0f\n",
               (double)v.event_count / v.session_count, quantile(values, v.session_count, 0.1),
               quantile(values, v.session_count, 0.5), quantile(values, v.session_count, 0.9),
               quantile(values, v.session_count, 0.99), values[v.session_count - 1]);
        warn_sessions(log, &v, values);
        for (int32_t s = 0; s < v.session_count; ++s)
            for (int64_t e = v.session_begins[s] + 1; e < v.session_begins[s + 1]; ++e) {
                values[gaps++] = v.times[e] - v.times[e - 1];
                repeats += v.items[e] == v.items[e - 1];
            }
        qsort(values, (size_t)gaps, sizeof *values, compare_doubles);
        const double idle = suggest_idle(values, gaps);
        if (gaps)
            printf(
                "gaps      between clicks: median %s, 90 %% at most %s, 99 %% at most %s, the longest %s\n",
                duration_text(quantile(values, gaps, 0.5)), duration_text(quantile(values, gaps, 0.9)),
                duration_text(quantile(values, gaps, 0.99)), duration_text(values[gaps - 1]));
        if (idle > 0)
            printf("          pauses of more than %s end visits: --idle %.0fm cuts there\n",
                   duration_text(idle), idle / 60);
        printf("repeats   %.1f %% of clicks are on the item that was just clicked%s\n",
               percent(repeats, gaps), repeats * 20 > gaps ? "; --drop-repeats leaves them out" : "");
        describe_items(&v, values);
        warn_items(log, &v);
    }
    free(values);
    return 1;
}

#endif  // SESSREC_EXAMPLES_LOGS_H
