// service.h - `sessrec recommend`: a line of stdin is a click, a line of stdout the answer, for months
//
// A visitor is kept as a list of clicks. The hidden state is computed again when they come back, unless they
// are among the last few thousand, whose hidden states are kept. So a million visitors take little memory,
// and another model can take over in the middle of their sessions. After HISTORY clicks the older half is
// forgotten.
//
// Reading order: visitors; what they are kept in on disk; requests; answers; the loop.
#ifndef SESSREC_SERVICE_H
#define SESSREC_SERVICE_H

enum { HISTORY = 512, LIVE = 2048, LINE_MOST = 1 << 20 };

// ---- visitors: running sessions, and users with what they clicked in earlier ones ----

typedef struct visitor {
    struct visitor *older, *newer, *next;   // by their last request; in a chain of the table
    double seen;                            // when that was
    int32_t count, room;
    int32_t *items;                         // [count] clicks, the oldest first; -1 ends a user's session
    uint32_t session_size, user_size;       // with their NULs
    char id[1];                             // the session and the user, "" for none
} visitor;

typedef struct visitors {
    visitor **chains, *oldest, *newest;
    size_t chain_count, count, most;
    uint64_t seed;
} visitors;

typedef struct live {
    const visitor *of;
    int32_t clicks;                         // of those of the visitor, how many the session holds
    sessrec_session *session;
} live;

typedef struct service {
    const char *path;                       // of the model
    sessrec_scorer scorer;                  // of any kind,
    sessrec_model *model;                   // and the model if it is one, else NULL
    visitors sessions, users;
    live lives[LIVE];
    void *memory, *scratch, *user_memory;   // of the sessions and the user
    sessrec_user *user;                     // NULL if the model knows none
    double idle;                            // seconds; 0: never
    double started;
    const char *states;                     // the directory, or NULL
    int json, allow_seen, terminal, warned, unknown_said;
    int32_t k;
    sessrec_recommendation *list;
    int32_t room;                           // of the list
    char *line;                             // what was read,
    size_t begin, end, line_room;           // and the part of it that is to be answered
    int ended;
    buffer out;                              // the answer, in JSON
    long long number;                       // of the line
} service;

static const char *id_of(const service *s, int32_t item) {
    return s->scorer.item_id(s->scorer.self, item);
}
static int32_t item_of(const service *s, const char *id) {
    return s->scorer.find_item(s->scorer.self, id);
}

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t size) {
    while (size--) hash = (hash ^ (unsigned char)*bytes++) * 0x100000001b3u;  // FNV-1a
    return hash ^ hash >> 29;
}

static size_t chain_of(const visitors *all, const char *session, const char *user) {
    const uint64_t hash = hash_bytes(all->seed, session, strlen(session) + 1);
    return (size_t)hash_bytes(hash, user, strlen(user)) & (all->chain_count - 1);
}

static const char *user_of(const visitor *v) {
    return v->id + v->session_size;
}

static visitor *visitors_find(const visitors *all, const char *session, const char *user) {
    visitor *v = all->chain_count ? all->chains[chain_of(all, session, user)] : NULL;
    while (v && (strcmp(v->id, session) || strcmp(user_of(v), user))) v = v->next;
    return v;
}

static int visitors_grow(visitors *all) {
    visitors larger = *all;
    larger.chain_count = all->chain_count ? all->chain_count * 2 : 1024;
    larger.chains = (visitor **)calloc(larger.chain_count, sizeof *larger.chains);
    if (!larger.chains) return 0;
    for (visitor *v = all->oldest; v; v = v->newer) {
        visitor **chain = &larger.chains[chain_of(&larger, v->id, user_of(v))];
        v->next = *chain;
        *chain = v;
    }
    free(all->chains);
    *all = larger;
    return 1;
}

// Removes a visitor from the queue of the last requests, or puts them at its end.
static void visitors_unlink(visitors *all, visitor *v) {
    *(v->older ? &v->older->newer : &all->oldest) = v->newer;
    *(v->newer ? &v->newer->older : &all->newest) = v->older;
}

static void visitors_append(visitors *all, visitor *v) {
    v->older = all->newest;
    v->newer = NULL;
    *(v->older ? &v->older->newer : &all->oldest) = v;
    all->newest = v;
}

static visitor *visitors_add(visitors *all, const char *session, const char *user) {
    const size_t session_size = strlen(session) + 1, user_size = strlen(user) + 1;
    if (all->count >= all->chain_count && !visitors_grow(all)) return NULL;
    visitor *v = (visitor *)malloc(sizeof *v + session_size + user_size);
    if (!v) return NULL;
    memset(v, 0, sizeof *v);
    v->session_size = (uint32_t)session_size;
    v->user_size = (uint32_t)user_size;
    memcpy(v->id, session, session_size);
    memcpy(v->id + session_size, user, user_size);
    visitor **chain = &all->chains[chain_of(all, session, user)];
    v->next = *chain;
    *chain = v;
    visitors_append(all, v);
    all->count++;
    return v;
}

static live *live_of(service *s, const visitor *v) {
    return &s->lives[((uintptr_t)v >> 4) % LIVE];
}

static void visitors_remove(service *s, visitors *all, visitor *v) {
    visitor **at = &all->chains[chain_of(all, v->id, user_of(v))];
    while (*at != v) at = &(*at)->next;
    *at = v->next;
    visitors_unlink(all, v);
    all->count--;
    if (live_of(s, v)->of == v) live_of(s, v)->of = NULL;
    free(v->items);
    free(v);
}

// Appends clicks; of more than HISTORY the older half goes. A live session then starts again from the rest,
// so that answers do not depend on who else was there.
static int add_clicks(service *s, visitor *v, const int32_t *items, int32_t count) {
    if (v->count + count > HISTORY) {
        v->count = HISTORY / 2 < v->count ? HISTORY / 2 : v->count;
        memmove(v->items, v->items + HISTORY - HISTORY / 2, (size_t)v->count * sizeof *v->items);
        if (live_of(s, v)->of == v) live_of(s, v)->of = NULL;
    }
    if (count > HISTORY - v->count) {
        items += count - (HISTORY - v->count);
        count = HISTORY - v->count;
    }
    if (v->count + count > v->room) {
        int32_t room = v->room ? v->room : 4;
        while (room < v->count + count) room *= 2;
        int32_t *larger = (int32_t *)realloc(v->items, (size_t)room * sizeof *larger);
        if (!larger) return 0;
        v->items = larger;
        v->room = room;
    }
    memcpy(v->items + v->count, items, (size_t)count * sizeof *items);
    v->count += count;
    return 1;
}

// ---- visitors on disk: DIRECTORY/xx/HASH, with the ids of their items, which any model can read ----

static int state_path(const service *s, const visitors *all, const char *session, const char *user,
                      char *path, size_t size) {
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, session, strlen(session) + 1);
    hash = hash_bytes(hash, user, strlen(user));
    const int length = snprintf(path, size, "%s/%02x/%c%016llx", s->states, (unsigned)(hash & 255),
                                all == &s->users ? 'u' : 's', (unsigned long long)hash);
    return length > 0 && (size_t)length < size;
}

static void make_directory(const char *path) {
#if defined(_WIN32)
    _mkdir(path);
#else
    mkdir(path, 0777);
#endif
}

static void put_text(FILE *file, const char *text) {
    fprintf(file, "%u %s\n", (unsigned)strlen(text), text);
}

// Without syncs, which a million files would wait hours for: a power cut may cost some sessions.
static int save_visitor(const service *s, const visitors *all, const visitor *v) {
    char path[1200], fresh[1210];
    if (!state_path(s, all, v->id, user_of(v), path, sizeof path)) return 0;
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "wb");
    if (!file) {
        *strrchr(path, '/') = 0;
        make_directory(path);
        path[strlen(path)] = '/';
        file = fopen(fresh, "wb");
    }
    if (!file) return 0;
    fprintf(file, "sessrec visitor 1 %.0f %d\n", v->seen, (int)v->count);
    put_text(file, v->id);
    put_text(file, user_of(v));
    for (int32_t i = 0; i < v->count; ++i)
        put_text(file, v->items[i] < 0 ? "" : id_of(s, v->items[i]));
    const int failed = ferror(file) | fclose(file);
#if defined(_WIN32)
    remove(path);
#endif
    return !failed && !rename(fresh, path);
}

static int get_text(FILE *file, char *text, size_t room) {
    unsigned size = 0;
    if (fscanf(file, "%10u", &size) != 1 || fgetc(file) != ' ' || size >= room) return 0;
    if (fread(text, 1, size, file) != size || fgetc(file) != '\n') return 0;
    text[size] = 0;
    return strlen(text) == size;
}

// Puts back what is on disk of a visitor who has just been added.
static void restore_visitor(service *s, const visitors *all, visitor *v) {
    char path[1200], text[SESSREC_MAX_ID + 1];
    int count = 0;
    double seen = 0;
    FILE *file = s->states && state_path(s, all, v->id, user_of(v), path, sizeof path) ? fopen(path, "rb")
                                                                                     : NULL;
    if (!file) return;
    if (fscanf(file, "sessrec visitor 1 %lf %d", &seen, &count) == 2 && fgetc(file) == '\n' &&
        count <= HISTORY && get_text(file, text, sizeof text) && !strcmp(text, v->id) &&
        get_text(file, text, sizeof text) && !strcmp(text, user_of(v))) {
        v->seen = seen;
        for (int i = 0; i < count && get_text(file, text, sizeof text); ++i) {
            const int32_t item = *text ? item_of(s, text) : -1;
            if (item >= 0 || !*text) add_clicks(s, v, &item, 1);
        }
    }
    fclose(file);
}

// ---- coming and going ----

// What a user clicked in earlier sessions; NULL if nothing is known of them, or there is no memory.
static visitor *find_user(service *s, const char *name, int add) {
    visitor *u = visitors_find(&s->users, name, "");
    if (u || !(add || s->states)) return u;
    u = visitors_add(&s->users, name, "");
    if (u) restore_visitor(s, &s->users, u);
    return u;
}

// The session is over: its clicks join those of the user, if the model knows users. The record goes.
static void end_session(service *s, visitor *v) {
    static const int32_t over = -1;
    char path[1200];
    if (s->user && *user_of(v) && v->count > 1) {
        visitor *u = find_user(s, user_of(v), 1);
        if (u && add_clicks(s, u, v->items, v->count)) add_clicks(s, u, &over, 1);
        if (u) {
            u->seen = v->seen;
            visitors_unlink(&s->users, u);
            visitors_append(&s->users, u);
        }
    }
    if (s->states && state_path(s, &s->sessions, v->id, user_of(v), path, sizeof path)) remove(path);
    visitors_remove(s, &s->sessions, v);
}

// Forgets the oldest beyond the bound; and those who were idle too long.
static void forget(service *s, double now) {
    while (s->sessions.oldest && s->idle > 0 && now - s->sessions.oldest->seen > s->idle)
        end_session(s, s->sessions.oldest);
    while (s->sessions.count > s->sessions.most) {
        visitor *v = s->sessions.oldest;
        if (s->states && save_visitor(s, &s->sessions, v)) visitors_remove(s, &s->sessions, v);
        else end_session(s, v);
    }
    while (s->users.count > s->users.most) {
        if (s->states) save_visitor(s, &s->users, s->users.oldest);
        visitors_remove(s, &s->users, s->users.oldest);
    }
}

// The running session of these ids, begun if there is none. NULL without memory.
static visitor *come(service *s, const char *session, const char *user, double now) {
    visitor *v = visitors_find(&s->sessions, session, user);
    for (int again = 0; again < 2; ++again) {
        if (!v && (v = visitors_add(&s->sessions, session, user)) != NULL) {
            v->seen = now;
            restore_visitor(s, &s->sessions, v);
        }
        if (!v || !(s->idle > 0) || now - v->seen <= s->idle) break;
        end_session(s, v);
        v = NULL;
    }
    if (!v) return NULL;
    visitors_unlink(&s->sessions, v);
    visitors_append(&s->sessions, v);
    v->seen = now;
    forget(s, now);
    return v;
}

// The session as the network has it, with all clicks of the visitor.
static sessrec_session *bring_to_life(service *s, const visitor *v) {
    live *l = live_of(s, v);
    if (l->of != v) {
        sessrec_session_end(l->session);
        if (s->user && *user_of(v)) {
            const visitor *u = find_user(s, user_of(v), 0);
            sessrec_user_init(s->model, s->user_memory, sessrec_user_size(s->model), &s->user, NULL);
            sessrec_user_begin(s->user, l->session);
            for (int32_t i = 0; u && i < u->count; ++i) {
                if (u->items[i] >= 0) sessrec_session_click(l->session, u->items[i]);
                else {
                    sessrec_user_fold(s->user, l->session);
                    sessrec_user_begin(s->user, l->session);
                }
            }
        }
        l->of = v;
        l->clicks = 0;
    }
    while (l->clicks < v->count) sessrec_session_click(l->session, v->items[l->clicks++]);
    return l->session;
}

// ---- requests ----

typedef struct item_list {
    int32_t *items, count, room;
    int given;
} item_list;

typedef struct request {
    char *session, *user, *item;            // NULL: not given
    int32_t k;
    int end, allow_seen, unknown;
    item_list exclude, candidates;          // sorted, those that the model knows
    const char *wrong;                      // NULL, or what is wrong with it
} request;

static int by_number(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int list_has(const item_list *list, int32_t item) {
    return list->count && bsearch(&item, list->items, (size_t)list->count, sizeof item, by_number) != NULL;
}

// SESSION<tab>ITEM, and <tab>USER where the model knows users. ITEM END ends the session, unless there is
// such an item.
static void parse_tabs(const service *s, char *line, request *r) {
    char *tab = strchr(line, '\t'), *second = tab ? strchr(tab + 1, '\t') : NULL;
    const int fields = !tab ? 1 : !second ? 2 : strchr(second + 1, '\t') ? 4 : 3;
    r->wrong = s->user ? "a line must be SESSION<tab>ITEM or SESSION<tab>ITEM<tab>USER"
                       : "a line must be SESSION<tab>ITEM";
    if (fields < 2 || fields > 2 + (s->user != NULL) || tab == line || !tab[1] || tab[1] == '\t') return;
    *tab = 0;
    if (second) *second = 0;
    r->session = line;
    r->item = tab + 1;
    r->user = second && second[1] ? second + 1 : NULL;
    r->end = !strcmp(r->item, "END") && item_of(s, "END") < 0;
    if (r->end) r->item = NULL;
    r->wrong = NULL;
}

// ---- JSON: one flat object a line; texts become what they stand for where they are ----

static char *json_blank(char *at) {
    return at + strspn(at, " \t\r\n");
}

static char *put_utf8(char *to, unsigned long code) {
    if (code < 0x80) *to++ = (char)code;
    else if (code < 0x800) *to++ = (char)(0xc0 | code >> 6);
    else if (code < 0x10000) *to++ = (char)(0xe0 | code >> 12);
    else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
    }
    if (code >= 0x800) *to++ = (char)(0x80 | (code >> 6 & 63));
    if (code >= 0x80) *to++ = (char)(0x80 | (code & 63));
    return to;
}

static long json_hex(const char *at) {
    char digits[5] = "";
    if (strspn(at, "0123456789abcdefABCDEF") < 4) return -1;
    memcpy(digits, at, 4);
    return strtol(digits, NULL, 16);
}

// The text at a quote; *at moves behind it. NULL if it is none, or has a NUL in it.
static char *json_text(char **at) {
    char *from = *at + 1, *to = from, *begin = from;
    if (**at != '"') return NULL;
    while (*from && *from != '"') {
        static const char from_letters[] = "\"\\/bfnrt", to_letters[] = "\"\\/\b\f\n\r\t";
        if ((unsigned char)*from < 32) return NULL;
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        const char *letter = from[1] ? strchr(from_letters, from[1]) : NULL;
        if (letter) {
            *to++ = to_letters[letter - from_letters];
            from += 2;
            continue;
        }
        long code = from[1] == 'u' ? json_hex(from + 2) : -1, low;
        if (code <= 0) return NULL;
        from += 6;
        if (code >= 0xd800 && code < 0xe000) {  // two halves of a character beyond 65,535
            low = code < 0xdc00 && from[0] == '\\' && from[1] == 'u' ? json_hex(from + 2) : -1;
            if (low < 0xdc00 || low >= 0xe000) return NULL;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            from += 6;
        }
        to = put_utf8(to, (unsigned long)code);
    }
    if (!*from) return NULL;
    *at = from + 1;
    *to = 0;
    return begin;
}

// A text, or the digits of a number as a text: it moves down by one byte, where a colon, comma, bracket or
// blank was, to make room for the NUL.
static char *json_id(char **at) {
    const size_t size = strspn(*at, "0123456789+-.eE");
    char *id = *at - 1;
    if (!size) return json_text(at);
    memmove(id, *at, size);
    id[size] = 0;
    *at += size;
    return id;
}

// Passes over a value that nobody asked for. 0 if it is none.
static int json_skip(char **at, int depth) {
    const char open = **at;
    if (open == '"') return json_text(at) != NULL;
    if (open != '{' && open != '[') {
        const size_t size = strcspn(*at, ",]} \t");
        *at += size;
        return size > 0;
    }
    const char close = open == '{' ? '}' : ']';
    if (depth > 30) return 0;
    *at = json_blank(*at + 1);
    while (**at != close) {
        if (open == '{') {
            if (!json_text(at)) return 0;
            *at = json_blank(*at);
            if (**at != ':') return 0;
            *at = json_blank(*at + 1);
        }
        if (!json_skip(at, depth + 1)) return 0;
        *at = json_blank(*at);
        if (**at == ',') *at = json_blank(*at + 1);
        else if (**at != close) return 0;
    }
    ++*at;
    return 1;
}

static int json_items(const service *s, char **at, item_list *list) {
    list->given = 1;
    if (**at != '[') return 0;
    *at = json_blank(*at + 1);
    while (**at != ']') {
        const char *id = json_id(at);
        if (!id) return 0;
        if (list->count == list->room) {
            const int32_t room = list->room ? 2 * list->room : 64;
            int32_t *larger = (int32_t *)realloc(list->items, (size_t)room * sizeof *larger);
            if (!larger) return 0;
            list->items = larger;
            list->room = room;
        }
        list->items[list->count] = item_of(s, id);
        list->count += list->items[list->count] >= 0;
        *at = json_blank(*at);
        if (**at == ',') *at = json_blank(*at + 1);
        else if (**at != ']') return 0;
    }
    ++*at;
    if (list->count) qsort(list->items, (size_t)list->count, sizeof *list->items, by_number);
    int32_t distinct = 0;
    for (int32_t i = 0; i < list->count; ++i)
        if (!i || list->items[i] != list->items[i - 1]) list->items[distinct++] = list->items[i];
    list->count = distinct;
    return 1;
}

static int json_switch(char **at, int *out) {
    *out = !strncmp(*at, "true", 4);
    if (!*out && strncmp(*at, "false", 5)) return 0;
    *at += *out ? 4 : 5;
    return 1;
}

static int json_member(const service *s, const char *name, char **at, request *r) {
    if (!strncmp(*at, "null", 4)) return json_skip(at, 0);
    if (!strcmp(name, "session")) return (r->session = json_id(at)) != NULL;
    if (!strcmp(name, "item")) return (r->item = json_id(at)) != NULL;
    if (!strcmp(name, "user")) return (r->user = json_id(at)) != NULL;
    if (!strcmp(name, "exclude")) return json_items(s, at, &r->exclude);
    if (!strcmp(name, "candidates")) return json_items(s, at, &r->candidates);
    if (!strcmp(name, "end")) return json_switch(at, &r->end);
    if (!strcmp(name, "allow_seen")) return json_switch(at, &r->allow_seen);
    if (strcmp(name, "k")) return json_skip(at, 0);
    const size_t digits = strspn(*at, "0123456789");
    r->k = digits && digits < 10 ? (int32_t)strtol(*at, NULL, 10) : 0;
    *at += digits;
    return r->k > 0;
}

static void parse_json(const service *s, char *line, request *r) {
    char *at = json_blank(line);
    r->wrong = "it must be a JSON object";
    if (*at != '{') return;
    at = json_blank(at + 1);
    while (*at != '}') {
        const char *name = json_text(&at);
        at = json_blank(at);
        if (!name || *at != ':') return;
        at = json_blank(at + 1);
        if (!json_member(s, name, &at, r)) {
            r->wrong = !strcmp(name, "k")                               ? "k must be a whole number from 1"
                       : !strcmp(name, "exclude") || !strcmp(name, "candidates") ? "lists must hold ids"
                       : !strcmp(name, "end") || !strcmp(name, "allow_seen")     ? "a switch is true or false"
                       : !strcmp(name, "session") || !strcmp(name, "item") || !strcmp(name, "user")
                           ? "ids must be texts or numbers"
                           : r->wrong;
            return;
        }
        at = json_blank(at);
        if (*at == ',') at = json_blank(at + 1);
        else if (*at != '}') return;
    }
    if (*json_blank(at + 1)) return;
    r->wrong = NULL;
    if (!r->session || !*r->session) r->wrong = "it has no session";
    else if (r->item && !*r->item) r->item = NULL;
    if (r->user && !*r->user) r->user = NULL;
}

// ---- answers ----

// An id as a field of a line: what would end the field, or move the cursor of a terminal, becomes a blank.
static void print_id(const service *s, const char *id) {
    for (; *id; ++id)
        putchar((*id == '\t' || *id == '\n' || *id == '\r') ||
                        (s->terminal && ((unsigned char)*id < 32 || *id == 127))
                    ? ' '
                    : *id);
}

static void print_out(service *s) {
    fwrite(s->out.bytes, 1, s->out.size, stdout);
    s->out.size = 0;
}

static void print_wrong(service *s, const char *wrong) {
    if (!s->warned++)
        note("stdin:%lld: %s; such lines are answered by an error (reported once)", s->number, wrong);
    if (s->json) {
        text_put(&s->out, "{\"error\":");
        text_quote(&s->out, wrong);
        text_put(&s->out, ",\"line\":%lld}\n", s->number);
        print_out(s);
    } else printf("\terror: line %lld: %s\n", s->number, wrong);
}

typedef struct refusal {
    const visitor *seen;    // or NULL
    const item_list *exclude;
} refusal;

static int32_t refuse(void *user, int32_t item) {
    const refusal *r = (const refusal *)user;
    for (int32_t i = r->seen ? r->seen->count - 1 : -1; i >= 0; --i)
        if (r->seen->items[i] == item) return 1;
    return list_has(r->exclude, item);
}

static void print_list(service *s, const request *r, int32_t count, sessrec_source source) {
    buffer *out = &s->out;
    if (!s->json) {
        print_id(s, r->session);
        for (int32_t i = 0; i < count; ++i) {
            putchar('\t');
            print_id(s, id_of(s, s->list[i].item));
        }
        putchar('\n');
        return;
    }
    text_put(out, "{\"session\":");
    text_quote(out, r->session);
    if (r->user) {
        text_put(out, ",\"user\":");
        text_quote(out, r->user);
    }
    if (r->unknown) text_put(out, ",\"unknown\":true");
    if (r->end) text_put(out, ",\"ended\":true}\n");
    else {
        text_put(out, ",\"source\":\"%s\",\"items\":[",
                 source == SESSREC_FROM_MODEL ? "model" : "popularity");
        for (int32_t i = 0; i < count; ++i) {
            text_put(out, "%s{\"item\":", i ? "," : "");
            text_quote(out, id_of(s, s->list[i].item));
            text_put(out, ",\"score\":%.9g}", (double)s->list[i].score);
        }
        text_put(out, "]}\n");
    }
    print_out(s);
}

// What is wrong with it, or NULL; the answer has then been printed.
static const char *answer_request(service *s, request *r, double now) {
    static const char no_memory[] = "out of memory";
    const char *user = r->user && s->user ? r->user : "";
    if (strlen(r->session) > SESSREC_MAX_ID || strlen(user) > SESSREC_MAX_ID)
        return "an id is longer than 255 bytes";
    const int32_t item = r->item ? item_of(s, r->item) : -1;
    visitor *v = come(s, r->session, user, now);
    if (!v || (item >= 0 && !add_clicks(s, v, &item, 1))) return no_memory;
    r->unknown = r->item && item < 0;
    if (r->unknown && !s->json && !s->unknown_said++)
        note("stdin:%lld: item '%s' is not in the model; such clicks are skipped (reported once)", s->number,
             r->item);
    if (r->end) {
        end_session(s, v);
        print_list(s, r, 0, SESSREC_FROM_MODEL);
        return NULL;
    }
    const refusal no = {r->allow_seen ? NULL : v, &r->exclude};
    sessrec_query query = sessrec_query_default();
    const int32_t items = s->scorer.item_count;
    query.k = r->k < items ? r->k : items;
    if (query.k > 65536) return "k must be at most 65536";
    if (query.k > s->room) {
        sessrec_recommendation *larger =
            (sessrec_recommendation *)realloc(s->list, (size_t)query.k * sizeof *larger);
        if (!larger) return no_memory;
        s->list = larger;
        s->room = query.k;
    }
    query.skip_seen = 0;
    query.candidates = r->candidates.given ? r->candidates.items : NULL;
    query.candidate_count = r->candidates.count;
    query.veto = refuse;
    query.veto_user = (void *)(uintptr_t)&no;
    int32_t count = 0;
    sessrec_source source = v->count ? SESSREC_FROM_MODEL : SESSREC_FROM_POPULARITY;
    if (!r->candidates.given || r->candidates.count) {
        const sessrec_result result =
            sessrec_session_recommend(bring_to_life(s, v), &query, s->list, &count, &source);
        if (result != SESSREC_OK) return sessrec_result_text(result);
    }
    print_list(s, r, count, source);
    return NULL;
}

// Seconds since 1970 as the clock said at the start; from there on nobody who sets the clock changes them.
static double seconds_now(service *s) {
#if defined(CLOCK_MONOTONIC)
    struct timespec since;
    clock_gettime(CLOCK_MONOTONIC, &since);
    const double ticks = (double)since.tv_sec + 1e-9 * (double)since.tv_nsec;
#else
    const double ticks = (double)time(NULL);
#endif
    if (!(s->started > 0)) s->started = (double)time(NULL) - ticks;
    return s->started + ticks;
}

static void answer_line(service *s, char *line, size_t size, int too_long) {
    request r;
    memset(&r, 0, sizeof r);
    r.k = s->k;
    r.allow_seen = s->allow_seen;
    if (size && line[size - 1] == '\r') line[--size] = 0;
    if (too_long) r.wrong = "the line is longer than 1 MiB";
    else if (strlen(line) != size) r.wrong = "there is a NUL in it";
    else if (s->json && line[strspn(line, " \t")] == '{') parse_json(s, line, &r);
    else parse_tabs(s, line, &r);
    if (!r.wrong) r.wrong = answer_request(s, &r, seconds_now(s));
    if (r.wrong) print_wrong(s, r.wrong);
    free(r.exclude.items);
    free(r.candidates.items);
}

// ---- the model ----

// Sessions of a scorer with one scratch, and what its model, if it is one, needs for users. 0 without memory:
// everything is then as it was.
static int take_model(service *s, sessrec_model *model, const sessrec_scorer *scorer) {
    const size_t scratch_size = (sessrec_scorer_scratch_size(scorer, 1) + 63) & ~(size_t)63;
    sessrec_scratch *scratch = NULL;
    char *memory = (char *)malloc(scratch_size + 1);
    if (!memory) return 0;
    const sessrec_scorer old = s->scorer;
    s->scorer = *scorer;
    sessrec_scorer_scratch_init(&s->scorer, 1, memory, scratch_size, &scratch, NULL);
    const size_t size = (sessrec_scorer_session_size(&s->scorer, 0, scratch) + 63) & ~(size_t)63;
    const size_t users = model ? sessrec_user_size(model) : 0;
    char *sessions = (char *)malloc(LIVE * size + users + 1);
    if (!sessions) {
        s->scorer = old;
        free(memory);
        return 0;
    }
    for (size_t i = 0; i < LIVE; ++i) {
        s->lives[i].of = NULL;
        sessrec_scorer_session_init(&s->scorer, 0, scratch, sessions + i * size, size, &s->lives[i].session,
                                    NULL);
    }
    s->memory = sessions;
    s->scratch = memory;
    s->user_memory = sessions + LIVE * size;
    s->user = NULL;
    if (users) sessrec_user_init(model, s->user_memory, users, &s->user, NULL);
    s->model = model;
    if (model) sessrec_model_prepare(model);  // without memory for it the answers are the same, and later
    return 1;
}

static void renumber(visitors *all, const int32_t *now) {
    for (visitor *v = all->oldest; v; v = v->newer) {
        int32_t kept = 0;
        for (int32_t i = 0; i < v->count; ++i) {
            const int32_t item = v->items[i] < 0 ? -1 : now[v->items[i]];
            if (item >= 0 || v->items[i] < 0) v->items[kept++] = item;
        }
        v->count = kept;
    }
}

// Another model takes over, if it can be read. Sessions go on: their items get the numbers of the new one.
static void reload(service *s) {
    sessrec_model *const old_model = s->model;
    sessrec_scorer old = s->scorer, fresh;
    void *const old_memory = s->memory, *const old_scratch = s->scratch;
    sessrec_model *model = NULL;
    memset(&fresh, 0, sizeof fresh);
    if (load_scorer(s->path, &model, &fresh)) return;
    int32_t *now = (int32_t *)malloc((size_t)old.item_count * sizeof *now);
    if (!now || !take_model(s, model, &fresh)) {
        free(now);
        sessrec_scorer_destroy(&fresh);
        sessrec_model_destroy(model);
        fail_memory();
        return;
    }
    for (int32_t i = 0; i < old.item_count; ++i) now[i] = item_of(s, old.item_id(old.self, i));
    renumber(&s->sessions, now);
    renumber(&s->users, now);
    free(now);
    free(old_memory);
    free(old_scratch);
    sessrec_scorer_destroy(&old);
    sessrec_model_destroy(old_model);
    note("%s is loaded again, with %s items; %s sessions continue", s->path, grouped(s->scorer.item_count),
         grouped((int64_t)s->sessions.count));
}

// ---- the loop ----

static volatile sig_atomic_t service_stop, service_reload;

static void on_stop(int number) {
    (void)number;
    service_stop = 1;
}

#if defined(SIGHUP)
static void on_reload(int number) {
    (void)number;
    service_reload = 1;
}
#endif

#if defined(_WIN32)
static int64_t read_more(char *to, size_t room) {
    const int more = _read(0, to, (unsigned)(room < 65536 ? room : 65536));
    return more;
}
static void catch_signals(void) {
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
}
#else
static sigset_t waiting;    // what is blocked while it waits: signals are let in there and nowhere else

static void catch_signals(void) {
    struct sigaction action;
    sigset_t ours;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, &waiting);
    action.sa_handler = on_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_reload;
    sigaction(SIGHUP, &action, NULL);
}

// -1: interrupted by a signal, or failed.
static int64_t read_more(char *to, size_t room) {
    sigset_t ours;
    fd_set input;
    sigprocmask(SIG_SETMASK, &waiting, &ours);  // also where input never ends
    sigprocmask(SIG_SETMASK, &ours, NULL);
    errno = EINTR;
    if (service_stop || service_reload) return -1;
    FD_ZERO(&input);
    FD_SET(0, &input);
    if (pselect(1, &input, NULL, NULL, NULL, &waiting) < 0) return -1;
    return read(0, to, room);
}
#endif

// The next line; *size is without its end. NULL at the end of the input, or when the service is to stop.
// Answers go out before it waits.
static char *next_line(service *s, size_t *size, int *too_long, int *status) {
    *too_long = 0;
    for (size_t searched = s->begin;;) {
        char *newline = (char *)memchr(s->line + searched, '\n', s->end - searched);
        if (newline || (s->ended && (s->end > s->begin || *too_long))) {
            char *line = s->line + s->begin;
            *size = newline ? (size_t)(newline - line) : s->end - s->begin;
            s->begin += *size + (newline != NULL);
            line[*size] = 0;
            return line;
        }
        if (s->ended || (*status = check_stdout()) != 0) return NULL;
        searched = s->end;
        if (s->end - s->begin > LINE_MOST) {  // goes on without what it has had
            *too_long = 1;
            s->begin = s->end = searched = 0;
        }
        if (s->begin) {
            memmove(s->line, s->line + s->begin, s->end - s->begin);
            s->end -= s->begin;
            searched -= s->begin;
            s->begin = 0;
        }
        if (s->end + 1 == s->line_room) {
            char *larger = (char *)realloc(s->line, 2 * s->line_room);
            if (!larger) {
                *status = fail_memory();
                return NULL;
            }
            s->line = larger;
            s->line_room *= 2;
        }
        const int64_t more = read_more(s->line + s->end, s->line_room - s->end - 1);
        if (service_stop) return NULL;
        if (service_reload) {
            service_reload = 0;
            reload(s);
        }
        if (more > 0) s->end += (size_t)more;
        if (more == 0) s->ended = 1;
        if (more < 0 && errno != EINTR && errno != EAGAIN) {
            *status = fail(EXIT_DATA, "stdin: cannot be read: %s", strerror(errno));
            return NULL;
        }
    }
}

// Saves the visitors, if that is asked for, and frees everything.
static int service_end(service *s) {
    visitors *const all[2] = {&s->sessions, &s->users};
    int failed = 0;
    for (int kind = 0; kind < 2; ++kind) {
        while (all[kind]->oldest) {
            if (s->states) failed |= !save_visitor(s, all[kind], all[kind]->oldest);
            visitors_remove(s, all[kind], all[kind]->oldest);
        }
        free(all[kind]->chains);
    }
    free(s->memory);
    free(s->scratch);
    sessrec_scorer_destroy(&s->scorer);
    sessrec_model_destroy(s->model);
    free(s->list);
    free(s->line);
    free(s->out.bytes);
    if (!failed) return 0;
    return fail(EXIT_DATA, "%s: some sessions cannot be written: %s", s->states, strerror(errno));
}

// Takes over the scorer, and its model.
static int service_run(service *s, sessrec_model *model, sessrec_scorer *scorer) {
    int status = 0, too_long;
    size_t size;
    char *line;
    s->line_room = 65536;
    s->line = (char *)malloc(s->line_room);
    if (!s->line || !take_model(s, model, scorer)) {
        sessrec_scorer_destroy(scorer);
        sessrec_model_destroy(model);
        free(s->line);
        return fail_memory();
    }
    s->sessions.seed = s->users.seed = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u ^ (uintptr_t)s->line;
    catch_signals();
    while ((line = next_line(s, &size, &too_long, &status)) != NULL) {
        s->number++;
        answer_line(s, line, size, too_long);
    }
    if (!status) status = check_stdout();
    const int ended = service_end(s);
    return status ? status : ended;
}

#endif // SESSREC_SERVICE_H
