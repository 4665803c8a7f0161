// similar.h - `sessrec similar` and `sessrec embeddings`: the items of a model beside each other
#ifndef SESSREC_SIMILAR_H
#define SESSREC_SIMILAR_H

static int nearer(const void *a, const void *b) {
    const sessrec_recommendation *x = (const sessrec_recommendation *)a;
    const sessrec_recommendation *y = (const sessrec_recommendation *)b;
    if (x->score > y->score || x->score < y->score) return x->score > y->score ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static double dot(const float *a, const float *b, int32_t width) {
    double sum = 0;
    for (int32_t i = 0; i < width; ++i) sum += (double)a[i] * (double)b[i];
    return sum;
}

// All other items by the cosine of their output rows with that of `item`, into list [items - 1].
static void sort_by_cosine(sessrec_tensor table, int32_t item, sessrec_recommendation *list) {
    const float *own = table.data + (ptrdiff_t)item * table.columns;
    const double length = dot(own, own, table.columns);
    for (int32_t i = 0, at = 0; i < table.rows; ++i) {
        const float *row = table.data + (ptrdiff_t)i * table.columns;
        const double lengths = sqrt(length * dot(row, row, table.columns));
        if (i == item) continue;
        list[at].item = i;
        list[at++].score = lengths > 0 ? (float)(dot(own, row, table.columns) / lengths) : 0;
    }
    qsort(list, (size_t)table.rows - 1, sizeof *list, nearer);
}

// What a scorer without a table recommends after the item alone, into list [k]. Returns how many, or -1
// without memory.
static int32_t list_after(const sessrec_scorer *scorer, int32_t item, int32_t k,
                          sessrec_recommendation *list) {
    const size_t size = sessrec_scorer_session_size(scorer, 1, NULL);
    sessrec_session *session = NULL;
    void *memory = malloc(size);
    int32_t count = -1;
    if (memory && !sessrec_scorer_session_init(scorer, 1, NULL, memory, size, &session, NULL) &&
        !sessrec_session_click(session, item))
        count = sessrec_recommend(session, k, list);
    free(memory);
    return count;
}

static int command_similar(settings *s, work *w) {
    sessrec_tensor table;
    const int status = load_scorer(s->input[0], &w->model, &w->scorer);
    if (status) return status;
    const sessrec_scorer *scorer = &w->scorer;
    const int32_t item = scorer->find_item(scorer->self, s->input[1]), items = scorer->item_count;
    if (item < 0) return fail(EXIT_DATA, "%s knows no item '%s'", s->input[0], s->input[1]);
    int32_t count = s->k < items - 1 ? s->k : items - 1;
    sessrec_recommendation *list = (sessrec_recommendation *)calloc((size_t)items, sizeof *list);
    if (!list) return fail_memory();
    if (w->model && !sessrec_model_tensor(w->model, "Wy", &table)) sort_by_cosine(table, item, list);
    else if (count) count = list_after(scorer, item, count, list);
    for (int32_t i = 0; i < count; ++i)
        printf("%s\t%.6g\n", scorer->item_id(scorer->self, list[i].item), (double)list[i].score);
    free(list);
    return count < 0 ? fail_memory() : 0;
}

static int command_embeddings(settings *s, work *w) {
    sessrec_tensor table;
    const int status = load_scorer(s->input[0], &w->model, &w->scorer);
    if (status) return status;
    if (!w->model || sessrec_model_tensor(w->model, "Wy", &table))
        return fail(EXIT_DATA, "%s is no network of floats, which alone has a row of numbers for each item",
                    s->input[0]);
    for (int32_t i = 0; i < table.rows; ++i) {
        printf("%s", sessrec_model_item_id(w->model, i));
        for (int32_t j = 0; j < table.columns; ++j)
            printf("\t%.9g", (double)table.data[(ptrdiff_t)i * table.columns + j]);
        putchar('\n');
    }
    return 0;
}

#endif
