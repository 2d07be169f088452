/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.c — statistics of every subtree of a real tree: the taxonomy of all life, or whatever tree
 * the data file holds.
 *
 * The tree is as nature made it: most nodes are leaves, one node has 41,236 children, another path
 * is 40 levels long, and nothing in a node tells how much lies below. A row of siblings is halved
 * down to eight, each upper half is a task; so a task is a few dozen nanoseconds of work and a
 * system that spends more on it than that cannot gain anything.
 *
 * The oracle computes the same numbers without recursion, parents after children in reverse
 * breadth-first order. Format of the file: "WEFTTREE", the number of nodes (64 bits), then the
 * index of each node's parent (32 bits), the root being its own; all little-endian. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "WEFTTREE"
#define ROW_MAX 8
#define NODES_MAX (UINT64_C(1) << 31)

/* Nodes in breadth-first order, so that the children of node i are the range from first[i] up to
 * first[i + 1]. Node 0 is the root. */
typedef struct tree {
    size_t nodes;
    uint32_t *first; /* nodes + 1 of them */
    uint32_t *parent;
    uint32_t *below; /* result: nodes in the subtree, written by the run */
} tree;

typedef struct tree_sum {
    uint64_t nodes;
    uint64_t leaves;
    uint64_t paths; /* sum over the nodes of the size of their subtree */
    uint32_t height;
} tree_sum;

static tree world;
static tree_sum result;

static tree_sum add(tree_sum a, tree_sum b)
{
    a.nodes += b.nodes;
    a.leaves += b.leaves;
    a.paths += b.paths;
    a.height = a.height > b.height ? a.height : b.height;
    return a;
}

BENCH_TASK(tree_sum, tree_row, uint32_t, begin, uint32_t, end)
{
    if (end - begin > ROW_MAX) {
        uint32_t middle = begin + (end - begin) / 2;
        bench_spawn(upper, tree_row, middle, end);
        tree_sum lower = tree_row(begin, middle);
        return add(bench_join(upper), lower);
    }
    tree_sum row = {0, 0, 0, 0};
    for (uint32_t node = begin; node < end; node++) {
        tree_sum self = {0, 0, 0, 0};
        uint32_t children = world.first[node];
        uint32_t children_end = world.first[node + 1];
        if (children == children_end)
            self.leaves = 1;
        else
            self = tree_row(children, children_end);
        self.nodes++;
        self.height++;
        self.paths += self.nodes;
        world.below[node] = (uint32_t)self.nodes;
        row = add(row, self);
    }
    return row;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t digest(tree_sum sum, const uint32_t *below)
{
    uint64_t hash = mix(mix(mix(mix(0, sum.nodes), sum.leaves), sum.paths), sum.height);
    for (size_t i = 0; i < world.nodes; i++)
        hash = mix(hash, below[i]);
    return hash >> 12; /* JSON readers keep 53 bits */
}

/* The parents' indices as they stand in the file; NULL after one line on stderr. */
static uint32_t *read_parents(const char *path, size_t *count)
{
    char magic[8];
    uint64_t nodes = 0;
    uint32_t *parent = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) {
        bench_complain("tree: %s: %s", path, strerror(errno));
        return NULL;
    }
    if (fread(magic, 1, 8, file) == 8 && fread(&nodes, sizeof nodes, 1, file) == 1 &&
        memcmp(magic, MAGIC, 8) == 0 && nodes >= 1 && nodes < NODES_MAX)
        parent = (uint32_t *)malloc(nodes * sizeof *parent);
    if (parent && (fread(parent, sizeof *parent, nodes, file) != nodes || fgetc(file) != EOF)) {
        free(parent);
        parent = NULL;
    }
    fclose(file);
    if (!parent)
        bench_complain("tree: %s: not a tree file, or cut short", path);
    *count = nodes;
    return parent;
}

/* Where the children of each node begin in a list sorted by parent, and that list; -1 if a parent
 * does not exist or there is not exactly one root. */
static int sort_by_parent(const uint32_t *parent, size_t n, uint32_t *begin, uint32_t *child)
{
    size_t roots = 0;
    for (size_t i = 0; i < n; i++) {
        if (parent[i] >= n)
            return -1;
        if (parent[i] == i)
            roots++;
        else
            begin[parent[i] + 1]++;
    }
    for (size_t i = 0; i < n; i++)
        begin[i + 1] += begin[i];
    for (size_t i = n; i-- > 0;)
        if (parent[i] != i)
            child[--begin[parent[i] + 1]] = (uint32_t)i;
    /* begin[i + 1] is now where the children of i begin; shift it back. */
    memmove(begin, begin + 1, n * sizeof *begin);
    begin[n] = (uint32_t)(n - 1);
    return roots == 1 ? 0 : -1;
}

/* Renumber the nodes breadth-first; -1 if some of them hang on a ring instead of the root. */
static int order_nodes(const uint32_t *parent, const uint32_t *begin, const uint32_t *child)
{
    size_t n = world.nodes;
    uint32_t *old = (uint32_t *)malloc(n * sizeof *old);
    if (!old)
        return -1;
    size_t done = 0;
    size_t found = 1;
    for (old[0] = 0; parent[old[0]] != old[0];)
        old[0]++;
    world.parent[0] = 0;
    for (; done < found; done++) {
        world.first[done] = (uint32_t)found;
        for (uint32_t i = begin[old[done]]; i < begin[old[done] + 1]; i++) {
            world.parent[found] = (uint32_t)done;
            old[found++] = child[i];
        }
    }
    world.first[n] = (uint32_t)found;
    free(old);
    return found == n ? 0 : -1;
}

/* The oracle: children lie behind their parents, so going backwards needs no recursion. */
static int count_backwards(bench_problem *problem)
{
    size_t n = world.nodes;
    uint32_t *below = (uint32_t *)calloc(n, sizeof *below);
    uint32_t *height = (uint32_t *)calloc(n, sizeof *height);
    if (!below || !height)
        return bench_complain("tree: no memory for %zu nodes", n);
    tree_sum sum = {n, 0, 0, 0};
    for (size_t i = n; i-- > 0;) {
        uint32_t up = world.parent[i];
        below[i]++;
        height[i]++;
        sum.paths += below[i];
        sum.leaves += world.first[i] == world.first[i + 1];
        if (i == 0)
            break;
        below[up] += below[i];
        if (height[up] < height[i])
            height[up] = height[i];
    }
    sum.height = height[0];
    problem->expected = digest(sum, below);
    free(below);
    free(height);
    return 0;
}

/* Halvings of a row of `n` siblings down to ROW_MAX. */
static uint64_t count_splits(size_t n)
{
    return n > ROW_MAX ? 1 + count_splits(n / 2) + count_splits(n - n / 2) : 0;
}

static int prepare(bench_problem *problem)
{
    size_t n;
    uint32_t *parent = read_parents(problem->data, &n);
    if (!parent)
        return 2;
    uint32_t *begin = (uint32_t *)calloc(n + 1, sizeof *begin);
    uint32_t *child = (uint32_t *)malloc(n * sizeof *child);
    world.nodes = n;
    world.first = (uint32_t *)malloc((n + 1) * sizeof *world.first);
    world.parent = (uint32_t *)malloc(n * sizeof *world.parent);
    world.below = (uint32_t *)malloc(n * sizeof *world.below);
    if (!begin || !child || !world.first || !world.parent || !world.below)
        return bench_complain("tree: no memory for %zu nodes", n);
    if (sort_by_parent(parent, n, begin, child) != 0 || order_nodes(parent, begin, child) != 0)
        return bench_complain("tree: %s: its nodes do not form one tree", problem->data);
    free(parent);
    free(begin);
    free(child);
    for (size_t i = 0; i < n; i++)
        problem->tasks += count_splits(world.first[i + 1] - world.first[i]);
    return count_backwards(problem);
}

static void run(void)
{
    result = tree_row(0, 1);
}

/* Also wipes the sizes, so that the next run cannot pass on this one's. */
static uint64_t answer(void)
{
    uint64_t hash = digest(result, world.below);
    memset(world.below, 0, world.nodes * sizeof *world.below);
    return hash;
}

static bench_kernel kernel = {
    .name = "tree",
    .title = "statistics of every subtree of a real tree",
    .group = "",
    .least = 1,
    .quick = 1,
    .full = 1,
    .loops = 0,
    .serial_only = 0,
    .needs_data = 1,
    .stack_bytes = (size_t)16 << 20,
    .prepare = prepare,
    .run = run,
    .answer = answer,
    .next = NULL,
};
BENCH_KERNEL(kernel);
