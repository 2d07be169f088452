/* SPDX-License-Identifier: BSD-2-Clause */
/* uts.c — Unbalanced Tree Search: count the nodes of a tree nobody can predict; a task a node.
 *
 * After Olivier and others, "UTS: An Unbalanced Tree Search Benchmark" (LCPC 2006). A node is a
 * SHA-1 state, its child number i the hash of that state followed by i, and the state decides how
 * many children there are. T1 and T1L are geometric: shallow, wide. T3 and T3L are binomial: each
 * node has m children or none, so the tree is deep, thin, and most subtrees are tiny.
 *
 * The oracle is the size and depth published with the benchmark. */
#include "bench.h"

#include <math.h>

#include "sha1.h"

#define STACK_BYTES ((size_t)256 << 20) /* T3L is 17,844 levels deep */

typedef struct uts_shape {
    int binomial;
    uint32_t seed;
    double root_children; /* b: of every node above depth_max in a geometric tree, on average */
    uint64_t depth_max;   /* geometric */
    double probability;   /* binomial: that a node has children at all … */
    int children;         /* … so many */
    uint64_t nodes;       /* published */
    uint64_t depth;
} uts_shape;

static const uts_shape t1 = {0, 19, 4, 10, 0, 0, 4130071, 10};
static const uts_shape t3 = {1, 42, 2000, 0, 0.124875, 8, 4112897, 1572};
static const uts_shape t1l = {0, 29, 4, 13, 0, 0, 102181082, 13};
static const uts_shape t3l = {1, 7, 2000, 0, 0.200014, 5, 111345631, 17844};

typedef struct uts_node {
    uint32_t state[SHA1_WORDS];
} uts_node;

typedef struct uts_count {
    uint64_t nodes;
    uint64_t depth; /* of the deepest node */
} uts_count;

static const uts_shape *shape;
static uts_count result;

static size_t children_of(const uts_node *node, uint64_t depth)
{
    double u = (double)(node->state[4] & 0x7fffffff) / 2147483648.0;
    if (shape->binomial && depth == 0)
        return (size_t)shape->root_children;
    if (shape->binomial)
        return u < shape->probability ? (size_t)shape->children : 0;
    if (depth >= shape->depth_max)
        return 0;
    double p = 1.0 / (1.0 + shape->root_children);
    return (size_t)floor(log(1.0 - u) / log(1.0 - p));
}

/* The parent stays in its frame until its children have been joined. */
BENCH_TASK(uts_count, uts_visit, const uts_node *, parent, uint32_t, index, uint64_t, depth)
{
    uts_node node;
    uint32_t message[SHA1_WORDS + 1];
    memcpy(message, parent->state, sizeof parent->state);
    message[SHA1_WORDS] = index;
    sha1(node.state, message, SHA1_WORDS + 1);
    uts_count sum = {1, depth};
    size_t n = children_of(&node, depth);
    if (n == 0)
        return sum;
    const uts_node *self = &node;
    bench_group(children, uts_visit, n);
    for (uint32_t i = 0; i < n; i++)
        bench_fork(children, uts_visit, self, i, depth + 1);
    bench_each(children, uts_visit, child)
    {
        sum.nodes += child.nodes;
        sum.depth = sum.depth > child.depth ? sum.depth : child.depth;
    }
    return sum;
}

/* The root is the hash of sixteen zero bytes and the seed; its own children are tasks already. */
BENCH_TASK(uts_count, uts_root, uint32_t, seed)
{
    uts_node node;
    uint32_t message[SHA1_WORDS] = {0, 0, 0, 0, seed};
    sha1(node.state, message, SHA1_WORDS);
    uts_count sum = {1, 0};
    size_t n = children_of(&node, 0);
    const uts_node *self = &node;
    bench_group(children, uts_visit, n + 1);
    for (uint32_t i = 0; i < n; i++)
        bench_fork(children, uts_visit, self, i, 1);
    bench_each(children, uts_visit, child)
    {
        sum.nodes += child.nodes;
        sum.depth = sum.depth > child.depth ? sum.depth : child.depth;
    }
    return sum;
}

static uint64_t digest(uts_count sum)
{
    return sum.nodes << 16 | sum.depth;
}

static int prepare(bench_problem *problem, const uts_shape *which)
{
    uts_count published = {which->nodes, which->depth};
    shape = which;
    problem->expected = digest(published);
    problem->tasks = which->nodes - 1;
    return 0;
}

static int prepare_t1(bench_problem *problem)
{
    return prepare(problem, &t1);
}

static int prepare_t3(bench_problem *problem)
{
    return prepare(problem, &t3);
}

static int prepare_t1l(bench_problem *problem)
{
    return prepare(problem, &t1l);
}

static int prepare_t3l(bench_problem *problem)
{
    return prepare(problem, &t3l);
}

static void run(void)
{
    result = uts_root(shape->seed);
}

static uint64_t answer(void)
{
    return digest(result);
}

#define UTS_KERNEL(variable, kernel_name, kernel_title, quick_size, prepare_it)                    \
    static bench_kernel variable = {                                                               \
        .name = kernel_name,                                                                       \
        .title = kernel_title,                                                                     \
        .group = "uts",                                                                            \
        .least = 1,                                                                                \
        .quick = quick_size,                                                                       \
        .full = 1,                                                                                 \
        .loops = 0,                                                                                \
        .serial_only = 0,                                                                          \
        .needs_data = 0,                                                                           \
        .stack_bytes = STACK_BYTES,                                                                \
        .prepare = prepare_it,                                                                     \
        .run = run,                                                                                \
        .answer = answer,                                                                          \
        .next = NULL,                                                                              \
    };                                                                                             \
    BENCH_KERNEL(variable)

UTS_KERNEL(kernel_t1, "uts-t1", "UTS T1: geometric tree, 4.1 million nodes, 10 levels", 1,
           prepare_t1);
UTS_KERNEL(kernel_t3, "uts-t3", "UTS T3: binomial tree, 4.1 million nodes, 1,572 levels", 1,
           prepare_t3);
UTS_KERNEL(kernel_t1l, "uts-t1l", "UTS T1L: geometric tree, 102 million nodes", 0, prepare_t1l);
UTS_KERNEL(kernel_t3l, "uts-t3l", "UTS T3L: binomial tree, 111 million nodes, 17,844 levels", 0,
           prepare_t3l);
