// The reader of the golden vectors, on whose strictness the worth of the comparison depends.
#include "golden_file.h"
#include "test.h"

// Parses a text; the caller frees the file.
static int parse(const char *text, golden_file *file) {
    size_t size = strlen(text);
    memset(file, 0, sizeof *file);
    file->text = (char *)malloc(size + 1);
    if (!file->text) return 0;
    memcpy(file->text, text, size + 1);
    return golden_parse(file, size);
}

static void check_refused(const char *text, const char *problem) {
    golden_file file;
    CHECK(!parse(text, &file));
    CHECK_TEXT(file.problem, problem);
    golden_free(&file);
}

static void reading(void) {
    golden_file file;
    TEST("metas and tensors come back by name, with comments anywhere before a record") {
        CHECK(parse("sessrec-golden 1\n# a word, # more\nmeta family cell\n#\nmeta B 3\n# x\ntensor x 2 2 "
                    "3\n1 2\n3 -4.5e-1 5\n6\n"
                    "itensor mask 1 2 0 1\n",
                    &file));
        CHECK_TEXT(file.problem, "");
        CHECK_TEXT(golden_value(&file, "family"), "cell");
        CHECK_TEXT(golden_value(&file, "B"), "3");
        CHECK(!golden_value(&file, "H"));
        const golden_tensor *x = golden_find(&file, "x"), *mask = golden_find(&file, "mask");
        CHECK(x && mask && !golden_find(&file, "h"));
        if (x && mask) {
            CHECK_EQ(x->dims, 2);
            CHECK_EQ(x->dim[0], 2);
            CHECK_EQ(x->dim[1], 3);
            CHECK_EQ(x->count, 6);
            CHECK_NEAR(x->data[3], -0.45, 1e-15);
            CHECK_EQ(x->is_integer, 0);
            CHECK_EQ(mask->is_integer, 1);
            CHECK_EQ(mask->data[1], 1);
        }
        golden_free(&file);
    }
    TEST("names, dimensions and lines have no maximum length") {
        char text[5000] = "sessrec-golden 1 tensor ";
        size_t at = strlen(text);
        memset(text + at, 'n', 1000);
        snprintf(text + at + 1000, sizeof text - at - 1000, " 40");
        for (int i = 0; i < 40; ++i) strcat(text, " 1");
        strcat(text, " 7");
        CHECK(parse(text, &file));
        CHECK_EQ(file.tensors, 1);
        if (file.tensors == 1) {
            CHECK_EQ(strlen(file.tensor[0].name), 1000);
            CHECK_EQ(file.tensor[0].dims, 40);
            CHECK_NEAR(file.tensor[0].data[0], 7, 0);
        }
        golden_free(&file);
    }
}

static void refusing(void) {
    TEST("a file of another kind or version is refused") {
        check_refused("", "line 1: the file does not begin with \"sessrec-golden 1\"");
        check_refused("sessrec-golden 2\ntensor x 1 1 1",
                      "line 1: the file does not begin with \"sessrec-golden 1\"");
        check_refused("sessrec-golden 1\nmeta a b\n", "line 3: the file has no tensor");
    }
    TEST("an unknown record is refused, and so is anything behind the numbers of a tensor") {
        check_refused("sessrec-golden 1\nmetta a b\n", "line 2: \"metta\" begins no record");
        check_refused("sessrec-golden 1\ntensor x 1 2\n1 2 3\n", "line 3: \"3\" begins no record");
        check_refused("sessrec-golden 1\nmeta a b c\n", "line 2: \"c\" begins no record");
    }
    TEST("too few numbers are refused") {
        check_refused("sessrec-golden 1\ntensor x 1 2\n1\n",
                      "line 4: the file ends within the numbers of a tensor");
        check_refused("sessrec-golden 1\ntensor x 1 2\n1\n# no\n", "line 4: \"#\" is no number");
    }
    TEST("what is no finite number is refused, and a fraction among integers") {
        check_refused("sessrec-golden 1\ntensor x 1 1 nan", "line 2: \"nan\" is no number");
        check_refused("sessrec-golden 1\ntensor x 1 1 -inf", "line 2: \"-inf\" is no number");
        check_refused("sessrec-golden 1\ntensor x 1 1 1e999", "line 2: \"1e999\" is no number");
        check_refused("sessrec-golden 1\ntensor x 1 1 0x10", "line 2: \"0x10\" is no number");
        check_refused("sessrec-golden 1\nitensor x 1 1 1.5", "line 2: \"1.5\" is no integer");
    }
    TEST("a header that promises more than the file holds is refused before memory is taken") {
        check_refused("sessrec-golden 1\ntensor x 1 999999999999 1",
                      "line 2: tensor x is empty or larger than the rest of the file");
        check_refused("sessrec-golden 1\ntensor x 3 9 9 9 1 2 3",
                      "line 2: tensor x is empty or larger than the rest of the file");
        check_refused("sessrec-golden 1\ntensor x 999999999999 1",
                      "line 2: tensor x has an impossible number of dimensions");
    }
    TEST("empty tensors and tensors without dimensions are refused") {
        check_refused("sessrec-golden 1\ntensor x 1 0\n",
                      "line 2: tensor x is empty or larger than the rest of the file");
        check_refused("sessrec-golden 1\ntensor x 0\n1",
                      "line 2: tensor x has an impossible number of dimensions");
        check_refused("sessrec-golden 1\ntensor x 1 -1\n1",
                      "line 2: tensor x is empty or larger than the rest of the file");
    }
    TEST("a name that stands there twice and a late meta line are refused") {
        check_refused("sessrec-golden 1\nmeta a 1\nmeta a 2\n", "line 3: meta a stands there twice");
        check_refused("sessrec-golden 1\ntensor x 1 1 1\ntensor x 1 1 1\n",
                      "line 3: tensor x stands there twice");
        check_refused("sessrec-golden 1\ntensor x 1 1 1\nmeta a 1\n",
                      "line 3: a meta line stands behind a tensor");
    }
    TEST("every truncation of a good file is refused, down to its last number") {
        const char *text = "sessrec-golden 1\nmeta a b\ntensor x 1 2 1.5 2.5\nitensor y 1 1 7";
        char part[100];
        size_t last = strlen(text) - 1, first = strlen("sessrec-golden 1\nmeta a b\ntensor x 1 2 1.5 2.5");
        for (size_t size = 0; size <= last; ++size) {
            golden_file file;
            memcpy(part, text, size);
            part[size] = 0;
            // A cut inside the last digits, or behind a whole tensor, leaves a well-formed file.
            int whole = size == first || size == first - 1 || size == first - 2 || size == first + 1;
            CHECK_EQ(parse(part, &file), whole);
            golden_free(&file);
        }
    }
    TEST("a file that is not there is a sentence") {
        golden_file file;
        CHECK(!golden_read("no/such/file.txt", &file));
        CHECK_TEXT(file.problem, "cannot open no/such/file.txt");
        golden_free(&file);
    }
}

int main(void) {
    reading();
    refusing();
    return test_report("reader of golden vectors");
}
