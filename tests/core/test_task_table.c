/* SPDX-License-Identifier: BSD-2-Clause */
/* test_task_table.c — tasks are found by name, and a task can be run from its description alone.
 *
 * That is what another process does: it gets a name, the bytes of the arguments, and room for the
 * result. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <string.h>
#include <weft/task.h>

WEFT_TASK_DECLARE(int, only_declared, int, n);

WEFT_TASK(double, scale, int, n, double, by)
{
    return n * by;
}

WEFT_VOID_TASK(store, int *, to, int, value)
{
    *to = value;
}

WEFT_TASK(char, none)
{
    return 'n';
}

static const weft_task_type *find(const char *name, int *count)
{
    weft_task_table table = WEFT_TASK_TABLE;
    const weft_task_type *found = NULL;
    *count = 0;
    for (const weft_task_type *const *entry = table.begin; entry < table.end; entry++)
        if (strcmp((*entry)->name, name) == 0) {
            found = *entry;
            ++*count;
        }
    return found;
}

static void test_once_each(void **state)
{
    static const char *const names[] = {"scale", "store", "none"};
    int count;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(find(names[i], &count));
        assert_int_equal(count, 1);
    }
    assert_null(find("only_declared", &count));
    assert_int_equal(WEFT_TASK_TABLE.end - WEFT_TASK_TABLE.begin, 3);
}

static void test_run_by_description(void **state)
{
    union {
        scale_task as_task;
        char bytes[sizeof(scale_task)];
    } room;
    struct {
        int n;
        double by;
    } args = {6, 7.0};
    double result = 0;
    int count;
    (void)state;
    const weft_task_type *type = find("scale", &count);
    assert_int_equal(type->task_bytes, sizeof room);
    assert_int_equal(type->args_bytes, sizeof args);
    assert_int_equal(type->result_bytes, sizeof result);
    memcpy(room.bytes + type->args_offset, &args, sizeof args);
    type->run(&room.as_task.head);
    memcpy(&result, room.bytes + type->result_offset, sizeof result);
    assert_true(result == 42.0);
}

static void test_without_result(void **state)
{
    int count;
    (void)state;
    const weft_task_type *type = find("store", &count);
    assert_int_equal(type->result_bytes, 0);
    assert_int_equal(type->args_bytes, sizeof(store_args));
    type = find("none", &count);
    assert_int_equal(type->result_bytes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_each),
        cmocka_unit_test(test_run_by_description),
        cmocka_unit_test(test_without_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
