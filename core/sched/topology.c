/* SPDX-License-Identifier: BSD-2-Clause */
/* topology.c — which processor each worker is bound to, and how far workers are from each other.
 *
 * hwloc knows the machine; this is the only file that includes it. It is asked once in the life of
 * a process, and only if somebody wants to be bound: unbound workers wander, so distances between
 * them would be fiction. What is needed afterwards is five small numbers for each processor; they
 * are copied into `machine` and hwloc's own topology is destroyed at once.
 *
 * hwloc is made to do as little as it can:
 *
 *   - only packages, cores, caches and NUMA nodes are kept, no devices;
 *   - DONT_CHANGE_BINDING, since its x86 backend else binds the calling thread to each processor
 *     in turn;
 *   - its plugins stay out. On Debian they load OpenCL, X11 and libstdc++, and 1.1 MiB of that
 *     stays resident even after hwloc has closed them. They can only be kept out by the
 *     environment, which must not be written while another thread may read it; so it is done, and
 *     undone, only while glibc says that there is one thread. Otherwise the plugins load and go.
 *     A user's HWLOC_PLUGINS_PATH is never touched, nor is HWLOC_XMLFILE or HWLOC_SYNTHETIC.
 *
 * Placement follows OpenMP: an ordered list of places, `close` takes them one after the other,
 * `spread` takes them at equal distances. The list is in the order of hwloc's logical numbers, in
 * which neighbours share the most; cores of the fastest kind come first, and slower ones are used
 * only when there are more workers than fast places. Within a place that holds several processors
 * a worker takes the next one not taken. A worker is always bound to one processor and not to the
 * whole place: two workers on one core would otherwise be free to share one of its threads.
 *
 * Without hwloc every allowed processor is a core of its own, in the order of its number.
 *
 * Never: bind a thread here. The engine does that, for threads it made. */
#include "sched/topology.h"

#include "alloc.h"
#include "panic.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef WEFT_HAVE_HWLOC
#include <hwloc.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
#define __libc_single_threaded 0 /* A C library that does not tell might have threads. */
#endif
#endif

/* A processor's position. Numbers count from 0 in hwloc's logical order, the same number meaning
 * the same thing. */
struct processor {
    uint16_t cpu; /* the kernel's number */
    uint16_t core;
    uint16_t cache; /* the outermost cache it is below */
    uint16_t numa;
    uint16_t package;
    uint16_t slower; /* 0: of the fastest kind */
};

/* Written once, under `machine_once`. Untouched pages of it cost nothing. */
static struct {
    unsigned count; /* 0: not known */
    struct weft__topology topology;
    struct processor processor[WEFT__CPUS_MAX];
} machine;

static pthread_once_t machine_once = PTHREAD_ONCE_INIT;

/* An ordered list of places; place i is cpu[first[i]] ... cpu[first[i + 1] - 1]. */
struct place_list {
    unsigned places;
    unsigned fast;     /* so many at the start have only the fastest kind of core */
    unsigned entries;  /* in `cpu` */
    unsigned last_key; /* group, or place of the list, that is being filled */
    unsigned *first;
    struct processor *cpu;
    unsigned workers; /* to be seated */
    const struct weft__settings *settings;
};

/* ---- the machine ---------------------------------------------------------------------------- */

#ifdef WEFT_HAVE_HWLOC

/* Keeps hwloc's plugins from loading, where the environment may be written. */
static bool shut_out_plugins(void)
{
    return __libc_single_threaded && getenv("HWLOC_PLUGINS_PATH") == NULL &&
           setenv("HWLOC_PLUGINS_PATH", "", 1) == 0;
}

static hwloc_topology_t load_topology(void)
{
    static const hwloc_obj_type_t wanted[] = {
        HWLOC_OBJ_PACKAGE,
        HWLOC_OBJ_L3CACHE,
        HWLOC_OBJ_L2CACHE,
        HWLOC_OBJ_CORE,
    };
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
    hwloc_topology_t topology;
    bool shut = shut_out_plugins();
    int rc = hwloc_topology_init(&topology);

    if (shut)
        unsetenv("HWLOC_PLUGINS_PATH");
    if (rc != 0)
        return NULL;
#if HWLOC_API_VERSION >= 0x00020500
    flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
#endif
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        hwloc_topology_set_type_filter(topology, wanted[i], HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_flags(topology, flags);
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return NULL;
    }
    return topology;
}

/* Answers the logical number of the processor's ancestor of a type, or `otherwise`. */
static uint16_t ancestor(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_type_t type,
                         unsigned otherwise)
{
    hwloc_obj_t object = hwloc_get_ancestor_obj_by_type(topology, type, pu);
    return (uint16_t)(object != NULL ? object->logical_index : otherwise);
}

/* Answers the nearest NUMA node: the one with the fewest processors, ours among them. */
static uint16_t nearest_numa(hwloc_topology_t topology, hwloc_obj_t pu)
{
    hwloc_obj_t node = NULL, nearest = NULL;

    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL) {
        if (!hwloc_bitmap_isset(node->cpuset, pu->os_index))
            continue;
        if (nearest == NULL ||
            hwloc_bitmap_weight(node->cpuset) < hwloc_bitmap_weight(nearest->cpuset))
            nearest = node;
    }
    return (uint16_t)(nearest != NULL ? nearest->logical_index : 0);
}

static unsigned count_objects(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int count = hwloc_get_nbobjs_by_type(topology, type);
    return count > 0 ? (unsigned)count : 0;
}

/* Counts kinds of cores that hwloc can put into an order; 1 if it cannot. */
static int ranked_kinds(hwloc_topology_t topology)
{
    int kinds = hwloc_cpukinds_get_nr(topology, 0), efficiency = -1;
    if (kinds > 1 && hwloc_cpukinds_get_info(topology, 0, NULL, &efficiency, NULL, NULL, 0) != 0)
        return 1;
    return kinds > 1 && efficiency >= 0 ? kinds : 1;
}

static void read_processors(hwloc_topology_t topology)
{
    int kinds = ranked_kinds(topology);
    unsigned l3 = count_objects(topology, HWLOC_OBJ_L3CACHE);
    hwloc_obj_type_t outermost = l3 > 0 ? HWLOC_OBJ_L3CACHE : HWLOC_OBJ_L2CACHE;
    unsigned caches = count_objects(topology, outermost);
    hwloc_obj_t pu = NULL;

    while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != NULL) {
        struct processor *p = &machine.processor[machine.count];
        int kind;
        if (pu->os_index >= WEFT__CPUS_MAX || machine.count == WEFT__CPUS_MAX)
            continue;
        p->cpu = (uint16_t)pu->os_index;
        p->core = ancestor(topology, pu, HWLOC_OBJ_CORE, pu->logical_index);
        p->cache = ancestor(topology, pu, outermost, caches + p->core);
        p->numa = nearest_numa(topology, pu);
        p->package = ancestor(topology, pu, HWLOC_OBJ_PACKAGE, 0);
        kind = kinds > 1 ? hwloc_cpukinds_get_by_cpuset(topology, pu->cpuset, 0) : -1;
        p->slower = (uint16_t)(kind >= 0 ? kinds - 1 - kind : 0);
        machine.count++;
    }
    machine.topology = (struct weft__topology){
        .packages = count_objects(topology, HWLOC_OBJ_PACKAGE),
        .cores = count_objects(topology, HWLOC_OBJ_CORE),
        .threads = machine.count,
        .caches = l3,
        .numa_nodes = count_objects(topology, HWLOC_OBJ_NUMANODE),
        .kinds = (unsigned)kinds,
    };
}

static void load_machine(void)
{
    hwloc_topology_t topology = load_topology();
    if (topology == NULL)
        return;
    read_processors(topology);
    hwloc_topology_destroy(topology);
}

#else

static void load_machine(void)
{
}

#endif

struct weft__topology weft__topology_count(void)
{
    pthread_once(&machine_once, load_machine);
    return machine.topology;
}

/* ---- places --------------------------------------------------------------------------------- */

/* Finds a processor's position; one that is not known is alone on a core with its own number. */
static struct processor position_of(unsigned cpu)
{
    for (unsigned i = 0; i < machine.count; i++)
        if (machine.processor[i].cpu == cpu)
            return machine.processor[i];
    return (struct processor){.cpu = (uint16_t)cpu, .core = (uint16_t)cpu};
}

/* Which processors belong together: the number that all of one place have in common. */
static unsigned group_of(const struct processor *p, enum weft__places_kind kind)
{
    switch (kind) {
    case WEFT__PLACES_THREADS:
        return p->cpu;
    case WEFT__PLACES_CACHES:
        return p->cache;
    case WEFT__PLACES_NUMA:
        return p->numa;
    case WEFT__PLACES_SOCKETS:
        return p->package;
    case WEFT__PLACES_CORES:
    case WEFT__PLACES_LIST:
        break;
    }
    return p->core;
}

/* Adds a processor to the place being filled, or to a new one if `key` has changed. The first pass
 * over all processors has no memory yet and only counts. */
static void append(struct place_list *list, unsigned key, const struct processor *p)
{
    if (list->entries == 0 || key != list->last_key) {
        if (list->first != NULL)
            list->first[list->places] = list->entries;
        list->places++;
        list->last_key = key;
    }
    if (list->cpu != NULL)
        list->cpu[list->entries] = *p;
    list->entries++;
}

/* Adds all allowed processors of one speed that lie in one group, or in any if it is negative. */
static void append_known(struct place_list *list, unsigned slower, int group)
{
    enum weft__places_kind kind = list->settings->places.kind;

    for (unsigned i = 0; i < machine.count; i++) {
        const struct processor *p = &machine.processor[i];
        unsigned own = group_of(p, kind);
        if (weft__cpuset_has(&list->settings->limits.allowed_set, p->cpu) && p->slower == slower &&
            (group < 0 || own == (unsigned)group))
            append(list, own, p);
    }
}

/* Builds the places that a word stands for. Cores of one speed never share a place with others if
 * places are as small as cores; larger places begin with their fastest cores. */
static void append_kind(struct place_list *list)
{
    enum weft__places_kind kind = list->settings->places.kind;
    unsigned kinds = machine.topology.kinds;
    unsigned groups = 0;

    if (kind == WEFT__PLACES_CORES || kind == WEFT__PLACES_THREADS) {
        append_known(list, 0, -1);
        list->fast = list->places;
        for (unsigned slower = 1; slower < kinds; slower++)
            append_known(list, slower, -1);
        return;
    }
    for (unsigned i = 0; i < machine.count; i++)
        if (group_of(&machine.processor[i], kind) >= groups)
            groups = group_of(&machine.processor[i], kind) + 1;
    for (unsigned group = 0; group < groups; group++)
        for (unsigned slower = 0; slower < kinds; slower++)
            append_known(list, slower, (int)group);
    list->fast = list->places;
}

/* Without hwloc: each allowed processor by its number, and one place if places are larger. */
static void append_unknown(struct place_list *list)
{
    enum weft__places_kind kind = list->settings->places.kind;

    for (unsigned cpu = 0; cpu < WEFT__CPUS_MAX; cpu++) {
        struct processor p = {.cpu = (uint16_t)cpu, .core = (uint16_t)cpu};
        if (weft__cpuset_has(&list->settings->limits.allowed_set, cpu))
            append(list, group_of(&p, kind), &p);
    }
    list->fast = list->places;
}

static void append_listed(void *context, unsigned place, unsigned cpu)
{
    struct place_list *list = context;
    if (weft__cpuset_has(&list->settings->limits.allowed_set, cpu)) {
        struct processor p = position_of(cpu);
        append(list, place, &p);
    }
}

/* Goes over all processors once; without memory in `list` that only counts. */
static void fill(struct place_list *list)
{
    const struct weft__settings *settings = list->settings;

    list->places = 0;
    list->entries = 0;
    if (settings->places.kind == WEFT__PLACES_LIST) {
        (void)weft__places_each(settings->places.list, append_listed, list);
        list->fast = list->places;
    }
    if (list->entries == 0 && machine.count > 0)
        append_kind(list);
    if (list->entries == 0)
        append_unknown(list);
}

static int make_places(struct place_list *list)
{
    fill(list);
    if (list->entries == 0)
        return 0;
    list->first = weft__alloc((list->places + 1) * sizeof(*list->first));
    list->cpu = weft__alloc(list->entries * sizeof(*list->cpu));
    if (list->first == NULL || list->cpu == NULL) {
        weft__free(list->first);
        weft__free(list->cpu);
        return -ENOMEM;
    }
    fill(list);
    list->first[list->places] = list->entries;
    return 0;
}

/* ---- workers -------------------------------------------------------------------------------- */

/* Finds the place of a worker and, for workers that meet in it, the processor. */
static const struct processor *seat(const struct place_list *list, unsigned worker)
{
    const struct weft__settings *settings = list->settings;
    unsigned workers = list->workers, places = list->places, place, round;

    weft_assert(places > 0);
    if (settings->places.count_max != 0 && settings->places.count_max < places)
        places = settings->places.count_max;
    if (settings->bind_primary)
        places = 1;
    if (list->fast > 0 && workers <= list->fast && list->fast < places)
        places = list->fast;
    if (settings->bind == WEFT_BIND_SPREAD && workers < places)
        place = (unsigned)((uint64_t)worker * places / workers);
    else
        place = worker % places;
    round = worker / places;
    return &list->cpu[list->first[place] + round % (list->first[place + 1] - list->first[place])];
}

static unsigned char distance_of(const struct processor *a, const struct processor *b)
{
    if (machine.count == 0)
        return WEFT__SAME_NUMA;
    if (a->core == b->core)
        return WEFT__SAME_CORE;
    if (a->cache == b->cache)
        return WEFT__SAME_CACHE;
    if (a->numa == b->numa)
        return WEFT__SAME_NUMA;
    return a->package == b->package ? WEFT__SAME_PACKAGE : WEFT__FARTHER;
}

static void leave_unbound(unsigned workers, int *cpu_of_worker, unsigned char *distance)
{
    for (unsigned i = 0; i < workers; i++) {
        cpu_of_worker[i] = -1;
        for (unsigned j = 0; j < workers; j++)
            distance[(size_t)i * workers + j] = i == j ? WEFT__SELF : WEFT__SAME_NUMA;
    }
}

int weft__topology_map(const struct weft__settings *settings, unsigned workers, int *cpu_of_worker,
                       unsigned char *distance)
{
    struct place_list list = {.settings = settings, .workers = workers};
    int rc;

    leave_unbound(workers, cpu_of_worker, distance);
    if (settings->bind == WEFT_BIND_FALSE)
        return 0;
    pthread_once(&machine_once, load_machine);
    rc = make_places(&list);
    if (rc != 0 || list.entries == 0)
        return rc;
    for (unsigned i = 0; i < workers; i++) {
        const struct processor *own = seat(&list, i);
        cpu_of_worker[i] = own->cpu;
        for (unsigned j = 0; j < workers; j++)
            if (i != j)
                distance[(size_t)i * workers + j] = distance_of(own, seat(&list, j));
    }
    weft__free(list.first);
    weft__free(list.cpu);
    return 0;
}
