// export.h - a model as source code for a device, for sessrec.c
//
// Part of examples/sessrec.c, which includes it after methods.h.

static const char EXPORT_BEGINS[] = "// sessrec export";

// The part of a path after the last slash, as a name in C: "out/my-shop.h" is my_shop.
static void export_name(const char *path, char name[64]) {
    const char *slash = strrchr(path, '/');
    size_t length = 0;
    for (const char *at = slash ? slash + 1 : path; *at && *at != '.' && length < 62; ++at) {
        const int digit = *at >= '0' && *at <= '9';
        if (digit && !length) name[length++] = '_';
        const int letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        name[length++] = (char)(digit || letter ? *at : '_');
    }
    if (!length) name[length++] = '_';
    name[length] = 0;
}

static void export_array(buffer *t, const char *name, const unsigned char *bytes, size_t size) {
    text_put(t, "#if defined(_MSC_VER)\n__declspec(align(64))\n#else\n");
    text_put(t, "__attribute__((aligned(64)))\n#endif\n");
    text_put(t, "static const unsigned char %s_bytes[%lld] = {", name, (long long)size);
    for (size_t i = 0; i < size; ++i) text_put(t, i % 24 ? "%d," : "\n%d,", bytes[i]);
    text_put(t, "};\n");
}

// For a file PATH.S; the bytes are in the file `bin`, which lies beside it.
static void export_assembly(buffer *t, const char *name, const char *bin) {
    const char *slash = strrchr(bin, '/');
    text_put(t, "// extern const unsigned char %s_bytes[], %s_end[]; assemble with -I and this folder\n",
             name, name);
    text_put(t, "    .section .rodata.%s_bytes, \"a\"\n    .balign 64\n    .global %s_bytes, %s_end\n",
             name, name, name);
    text_put(t, "%s_bytes:\n    .incbin \"", name);
    text_add(t, slash ? slash + 1 : bin, strlen(slash ? slash + 1 : bin));
    text_put(t, "\"\n%s_end:\n", name);
}

// What --int8 and --no-ids make of the scorer that was loaded.
static int export_form(const settings *s, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_scorer small;
    if (!s->int8) return s->no_ids ? fail(EXIT_USAGE, "--no-ids needs --int8: other models have ids") : 0;
    if (!w->model) return fail(EXIT_DATA, "%s: --int8 needs a model of floats", s->input[0]);
    const sessrec_result result = sessrec_model_quantize(w->model, !s->no_ids, NULL, &small, &err);
    if (result) return status_of(s->input[0], result, &err);
    sessrec_scorer_destroy(&w->scorer);
    w->scorer = small;
    return 0;
}

// Writes the file, or the source of it and for assembly the bytes beside it.
static int export_write(const settings *s, const sessrec_scorer *scorer, const unsigned char *bytes,
                        size_t size, buffer *source, buffer *bin) {
    const char *path = s->output, *dot = strrchr(path, '.');
    const int header = dot && !strcmp(dot, ".h"),
              assembly = dot && (!strcmp(dot, ".S") || !strcmp(dot, ".s"));
    sessrec_output outputs[2];
    sessrec_error err = {SESSREC_OK, 0, ""};
    char name[64];
    int32_t count = 0;
    memset(outputs, 0, sizeof outputs);
    export_name(path, name);
    if (header || assembly) {
        text_put(source, "%s: %s items, %s bytes\n", EXPORT_BEGINS, grouped(scorer->item_count),
                 grouped((int64_t)size));
        text_add(bin, path, (size_t)(dot - path));
        text_add(bin, ".bin", 5);
        if (header) export_array(source, name, bytes, size);
        else if (!bin->failed) export_assembly(source, name, bin->bytes);
        if (source->failed || bin->failed) return fail_memory();
        outputs[count].path = path;
        outputs[count].begins = EXPORT_BEGINS;
        outputs[count].bytes = source->bytes;
        outputs[count++].size = source->size;
    }
    if (assembly && sessrec_same_file(bin->bytes, s->input[0]))
        return fail(EXIT_USAGE, "%s would be overwritten; give another name", s->input[0]);
    if (!header) {
        outputs[count].path = assembly ? bin->bytes : path;
        outputs[count].begins = MODEL_BEGINS;
        outputs[count].bytes = bytes;
        outputs[count++].size = size;
    }
    return status_of(NULL, sessrec_outputs_write(outputs, count, &err), &err);
}

static int command_export(settings *s, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    buffer source = {NULL, 0, 0, 0}, bin = {NULL, 0, 0, 0};
    if (!s->output) return fail(EXIT_USAGE, "export needs an output file: -o FILE");
    int status = check_outputs(s);
    if (!status) status = load_any(s->input[0], &w->model, &w->scorer);
    if (!status) status = export_form(s, w);
    if (status) return status;
    const size_t size = sessrec_scorer_export_size(&w->scorer);
    unsigned char *bytes = (unsigned char *)malloc(size + 1);
    if (!bytes) return fail_memory();
    status = status_of(s->input[0], sessrec_scorer_export(&w->scorer, bytes, size), &err);
    if (!status) status = export_write(s, &w->scorer, bytes, size, &source, &bin);
    if (!status)
        printf("model    %s: %s bytes, %s items\n", s->output, grouped((int64_t)size),
               grouped(w->scorer.item_count));
    free(source.bytes);
    free(bin.bytes);
    free(bytes);
    return status;
}
