/* SPDX-License-Identifier: BSD-2-Clause */
/* unwind.c — who called whom on a stack that may change while we look.
 *
 * Optimised code on x86-64 keeps no frame pointers, so frames are found by the tables that every
 * program carries for exceptions (.eh_frame): for each instruction they say where the caller's
 * registers are. The C library's own walkers only begin at their caller, trust what they read, and
 * would die on the stack of a fiber that is resumed meanwhile. This one begins at any saved
 * context and reads nothing outside the fiber's stack, and in the tables nothing that
 * _Unwind_Find_FDE() has not found to belong to the address. It may end early, or show a caller
 * that was; it never faults, allocates or locks.
 *
 * Understood are the rules that compilers write for C: the caller's frame is at a register plus an
 * offset, or at a place in the frame (realigned stacks), and registers are saved relative to it.
 * A walk ends at anything else. aarch64 has linked frames, where a compiler was not told otherwise.
 */
#include "debug/unwind.h"

#include <string.h>
#include <ucontext.h>

/* The stack is read while its fiber may run, and holds the red zones of sanitizers. */
#define UNCHECKED __attribute__((noinline, no_sanitize("address", "thread")))

void weft__walk_bounds(weft__walk *walk, const weft__fiber *fiber)
{
    walk->low = (uintptr_t)fiber->stack_low;
    walk->high = walk->low + fiber->stack_bytes;
    walk->known = 0;
    walk->is_call = 0;
}

uintptr_t weft__walk_address(const weft__walk *walk)
{
    return walk->registers[WEFT__PC] - (walk->is_call ? 1 : 0);
}

static UNCHECKED int read_word(const weft__walk *walk, uintptr_t address, uintptr_t *word)
{
    if (address < walk->low || address > walk->high - sizeof *word || address % sizeof *word != 0)
        return 0;
    *word = *(const volatile uintptr_t *)address;
    return 1;
}

#if defined(__x86_64__)

UNCHECKED void weft__walk_fiber(weft__walk *walk, const weft__fiber *fiber)
{
    weft__walk_bounds(walk, fiber);
    walk->registers[WEFT__PC] = (uintptr_t)fiber->context.resume_at;
    walk->registers[WEFT__RSP] = (uintptr_t)fiber->context.stack;
    walk->registers[WEFT__RBP] = (uintptr_t)fiber->context.frame;
    walk->known = 1u << WEFT__PC | 1u << WEFT__RSP | 1u << WEFT__RBP;
}

void weft__walk_signal(weft__walk *walk, const weft__fiber *fiber, const void *ucontext)
{
    static const unsigned char order[WEFT__REGISTERS] = {
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
        REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    const ucontext_t *context = ucontext;
    weft__walk_bounds(walk, fiber);
    for (unsigned i = 0; i < WEFT__REGISTERS; i++)
        walk->registers[i] = (uintptr_t)context->uc_mcontext.gregs[order[i]];
    walk->known = (1u << WEFT__REGISTERS) - 1;
}

/* ---- reading the tables ---------------------------------------------------------------------- */

/* Bytes of a table that are still to be read; reading behind the end yields zeros. */
typedef struct cursor {
    const unsigned char *at;
    const unsigned char *end;
} cursor;

static uint64_t read_fixed(cursor *in, size_t bytes)
{
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < bytes) {
        in->at = in->end;
        return 0;
    }
    memcpy(&value, in->at, bytes);
    in->at += bytes;
    return value;
}

static uint64_t read_leb(cursor *in, int is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    unsigned char byte = 0;
    do {
        byte = (unsigned char)read_fixed(in, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0 && in->at < in->end);
    if (is_signed && shift < 64 && (byte & 0x40) != 0)
        value |= ~(uint64_t)0 << shift;
    return value;
}

static uint64_t read_unsigned(cursor *in)
{
    return read_leb(in, 0);
}

static int64_t read_signed(cursor *in)
{
    return (int64_t)read_leb(in, 1);
}

/* What holds at one instruction. */
enum rule_kind { SAME = 0, UNDEFINED, AT_OFFSET, UNSUPPORTED };

typedef struct rules {
    unsigned cfa_register;
    int64_t cfa_offset;
    cursor cfa_expression; /* instead of these two, if not empty */
    struct {
        unsigned char kind;
        int32_t offset;
    } of[WEFT__REGISTERS];
} rules;

/* The part of a table that concerns one function. */
typedef struct function_table {
    cursor initial; /* instructions for all functions that share a header */
    cursor own;
    uint64_t code_unit;
    int64_t data_unit;
    uintptr_t begin; /* of the function */
    int is_signal_frame;
} function_table;

#define REMEMBERED_MAX 4

typedef struct interpreter {
    const function_table *table;
    rules now;
    rules initial;
    rules remembered[REMEMBERED_MAX];
    unsigned depth;
    uintptr_t location;
} interpreter;

static cursor read_record(const unsigned char *record)
{
    uint32_t bytes;
    memcpy(&bytes, record, sizeof bytes);
    return (cursor){.at = record + sizeof bytes, .end = record + sizeof bytes + bytes};
}

static size_t encoded_bytes(unsigned encoding)
{
    switch (encoding & 0x07) {
    case 2:
        return 2;
    case 3:
        return 4;
    default:
        return 8;
    }
}

/* The header that functions share. Nonzero: understood; `*encoding` is that of addresses. */
static int read_header(const unsigned char *record, function_table *table, unsigned *encoding)
{
    cursor in = read_record(record);
    (void)read_fixed(&in, 4); /* says that it is a header */
    unsigned version = (unsigned)read_fixed(&in, 1);
    const char *letters = (const char *)in.at;
    in.at += strnlen(letters, (size_t)(in.end - in.at)) + 1;
    table->code_unit = read_unsigned(&in);
    table->data_unit = read_signed(&in);
    (void)(version == 1 ? read_fixed(&in, 1) : read_unsigned(&in)); /* the return address */
    *encoding = 0;
    table->is_signal_frame = 0;
    if (letters[0] != 'z') {
        table->initial = in;
        return letters[0] == '\0';
    }
    uint64_t bytes = read_unsigned(&in);
    table->initial = (cursor){.at = in.at + bytes, .end = in.end};
    for (const char *letter = letters + 1; *letter != '\0'; letter++) {
        if (*letter == 'R')
            *encoding = (unsigned)read_fixed(&in, 1);
        else if (*letter == 'L')
            (void)read_fixed(&in, 1);
        else if (*letter == 'P')
            (void)read_fixed(&in, encoded_bytes((unsigned)read_fixed(&in, 1)));
        else if (*letter == 'S')
            table->is_signal_frame = 1;
        else
            return 0;
    }
    return table->initial.at <= table->initial.end;
}

/* What libgcc, and every other library under exceptions, offers. */
struct dwarf_eh_bases {
    void *text;
    void *data;
    void *function;
};
const void *_Unwind_Find_FDE(void *address, struct dwarf_eh_bases *bases);

static int find_table(uintptr_t address, function_table *table)
{
    struct dwarf_eh_bases bases = {NULL, NULL, NULL};
    const unsigned char *record = _Unwind_Find_FDE((void *)address, &bases);
    unsigned encoding = 0;
    if (record == NULL)
        return 0;
    int32_t distance;
    memcpy(&distance, record + 4, sizeof distance);
    if (!read_header(record + 4 - distance, table, &encoding))
        return 0;
    table->begin = (uintptr_t)bases.function;
    table->own = read_record(record);
    (void)read_fixed(&table->own, 4);
    (void)read_fixed(&table->own, encoded_bytes(encoding));
    (void)read_fixed(&table->own, encoded_bytes(encoding));
    uint64_t more = read_unsigned(&table->own);
    table->own.at += more;
    return table->own.at <= table->own.end;
}

/* ---- running the tables' program ------------------------------------------------------------- */

static void set_rule(interpreter *self, uint64_t number, enum rule_kind kind, int64_t offset)
{
    if (number >= WEFT__REGISTERS)
        return;
    self->now.of[number].kind = (unsigned char)kind;
    self->now.of[number].offset = (int32_t)offset;
}

static cursor read_block(cursor *in)
{
    uint64_t bytes = read_unsigned(in);
    cursor block = {.at = in->at, .end = in->at + bytes};
    if (bytes > (uint64_t)(in->end - in->at))
        block.end = in->end;
    in->at = block.end;
    return block;
}

static void set_cfa(interpreter *self, uint64_t number, int64_t offset)
{
    self->now.cfa_register = (unsigned)number;
    self->now.cfa_offset = offset;
    self->now.cfa_expression = (cursor){NULL, NULL};
}

/* The instructions that say where a register is. Zero: it is none of them. */
static int run_register_rule(interpreter *self, unsigned code, cursor *in)
{
    int64_t unit = self->table->data_unit;
    uint64_t number = read_unsigned(in);
    switch (code) {
    case 0x05: /* offset_extended */
        set_rule(self, number, AT_OFFSET, (int64_t)read_unsigned(in) * unit);
        return 1;
    case 0x11: /* offset_extended_sf */
        set_rule(self, number, AT_OFFSET, read_signed(in) * unit);
        return 1;
    case 0x06: /* restore_extended */
        if (number < WEFT__REGISTERS)
            self->now.of[number] = self->initial.of[number];
        return 1;
    case 0x07: /* undefined */
        set_rule(self, number, UNDEFINED, 0);
        return 1;
    case 0x08: /* same_value */
        set_rule(self, number, SAME, 0);
        return 1;
    case 0x10: /* expression */
    case 0x16: /* val_expression */
        (void)read_block(in);
        set_rule(self, number, UNSUPPORTED, 0);
        return 1;
    case 0x09: /* register */
    case 0x14: /* val_offset */
    case 0x15: /* val_offset_sf */
        (void)read_unsigned(in);
        set_rule(self, number, UNSUPPORTED, 0);
        return 1;
    default:
        return 0;
    }
}

/* The instructions that say where the caller's frame is, and the others. Zero: not understood. */
static int run_other(interpreter *self, unsigned code, cursor *in)
{
    int64_t unit = self->table->data_unit;
    switch (code) {
    case 0x00: /* nop */
        return 1;
    case 0x0a: /* remember_state */
        if (self->depth == REMEMBERED_MAX)
            return 0;
        self->remembered[self->depth++] = self->now;
        return 1;
    case 0x0b: /* restore_state */
        if (self->depth == 0)
            return 0;
        self->now = self->remembered[--self->depth];
        return 1;
    case 0x0c: { /* def_cfa */
        uint64_t number = read_unsigned(in);
        set_cfa(self, number, (int64_t)read_unsigned(in));
        return 1;
    }
    case 0x12: { /* def_cfa_sf */
        uint64_t number = read_unsigned(in);
        set_cfa(self, number, read_signed(in) * unit);
        return 1;
    }
    case 0x0d: /* def_cfa_register */
        set_cfa(self, read_unsigned(in), self->now.cfa_offset);
        return 1;
    case 0x0e: /* def_cfa_offset */
        self->now.cfa_offset = (int64_t)read_unsigned(in);
        return 1;
    case 0x13: /* def_cfa_offset_sf */
        self->now.cfa_offset = read_signed(in) * unit;
        return 1;
    case 0x0f: /* def_cfa_expression */
        self->now.cfa_expression = read_block(in);
        return 1;
    case 0x2e: /* GNU_args_size */
        (void)read_unsigned(in);
        return 1;
    default:
        return run_register_rule(self, code, in);
    }
}

/* Advance the location, if that is what the instruction does. */
static int run_advance(interpreter *self, unsigned code, cursor *in)
{
    uint64_t distance;
    if (code >> 6 == 1)
        distance = code & 0x3f;
    else if (code == 0x02 || code == 0x03 || code == 0x04)
        distance = read_fixed(in, (size_t)1 << (code - 2));
    else
        return 0;
    self->location += distance * self->table->code_unit;
    return 1;
}

/* Run instructions up to those for `address`. Zero: not understood. */
static int run(interpreter *self, cursor in, uintptr_t address)
{
    while (in.at < in.end) {
        unsigned code = (unsigned)read_fixed(&in, 1);
        if (run_advance(self, code, &in)) {
            if (self->location > address)
                return 1;
        } else if (code >> 6 == 2) {
            set_rule(self, code & 0x3f, AT_OFFSET,
                     (int64_t)read_unsigned(&in) * self->table->data_unit);
        } else if (code >> 6 == 3) {
            if ((code & 0x3f) < WEFT__REGISTERS)
                self->now.of[code & 0x3f] = self->initial.of[code & 0x3f];
        } else if (!run_other(self, code, &in)) {
            return 0;
        }
    }
    return 1;
}

/* ---- one step -------------------------------------------------------------------------------- */

static int get_register(const weft__walk *walk, uint64_t number, uintptr_t *value)
{
    if (number >= WEFT__REGISTERS || (walk->known >> number & 1) == 0)
        return 0;
    *value = walk->registers[number];
    return 1;
}

/* An expression of the only form that compilers write: a register, an offset, what lies there. */
static int evaluate(const weft__walk *walk, cursor in, uintptr_t *value)
{
    unsigned code = (unsigned)read_fixed(&in, 1);
    if (code < 0x70 || code > 0x8f || !get_register(walk, code - 0x70, value))
        return 0;
    *value += (uintptr_t)read_signed(&in);
    while (in.at < in.end)
        if (read_fixed(&in, 1) != 0x06 || !read_word(walk, *value, value)) /* deref */
            return 0;
    return 1;
}

static int find_caller_frame(const weft__walk *walk, const rules *now, uintptr_t *frame)
{
    if (now->cfa_expression.at != NULL)
        return evaluate(walk, now->cfa_expression, frame);
    if (!get_register(walk, now->cfa_register, frame))
        return 0;
    *frame += (uintptr_t)now->cfa_offset;
    return 1;
}

/* The caller's registers, by the rules. */
static int apply(weft__walk *walk, const rules *now)
{
    weft__walk caller = *walk;
    uintptr_t frame;
    if (!find_caller_frame(walk, now, &frame) || frame <= walk->low || frame > walk->high)
        return 0;
    for (unsigned i = 0; i < WEFT__REGISTERS; i++) {
        unsigned kind = now->of[i].kind;
        if (kind == AT_OFFSET &&
            !read_word(walk, frame + (uintptr_t)(intptr_t)now->of[i].offset, &caller.registers[i]))
            kind = UNDEFINED;
        if (kind == AT_OFFSET)
            caller.known |= 1u << i;
        else if (kind != SAME)
            caller.known &= ~(1u << i);
    }
    if (now->of[WEFT__PC].kind != AT_OFFSET || !(caller.known >> WEFT__PC & 1))
        return 0;
    caller.registers[WEFT__RSP] = frame;
    caller.known |= 1u << WEFT__RSP;
    *walk = caller;
    return 1;
}

int weft__walk_next(weft__walk *walk)
{
    function_table table;
    interpreter self;
    uintptr_t address = weft__walk_address(walk);
    uintptr_t before = walk->registers[WEFT__RSP];
    if (!find_table(address, &table))
        return 0;
    memset(&self, 0, sizeof self);
    self.table = &table;
    self.location = table.begin;
    if (!run(&self, table.initial, UINTPTR_MAX))
        return 0;
    self.initial = self.now;
    if (!run(&self, table.own, address) || !apply(walk, &self.now))
        return 0;
    walk->is_call = !table.is_signal_frame;
    return walk->registers[WEFT__RSP] > before; /* outwards, or it would never end */
}

#else

UNCHECKED void weft__walk_fiber(weft__walk *walk, const weft__fiber *fiber)
{
    weft__walk_bounds(walk, fiber);
    walk->registers[WEFT__PC] = (uintptr_t)fiber->context.resume_at;
    walk->registers[WEFT__RBP] = (uintptr_t)fiber->context.frame;
}

void weft__walk_signal(weft__walk *walk, const weft__fiber *fiber, const void *ucontext)
{
    const ucontext_t *context = ucontext;
    weft__walk_bounds(walk, fiber);
    walk->registers[WEFT__PC] = (uintptr_t)context->uc_mcontext.pc;
    walk->registers[WEFT__RBP] = (uintptr_t)context->uc_mcontext.regs[29];
}

int weft__walk_next(weft__walk *walk)
{
    uintptr_t frame = walk->registers[WEFT__RBP];
    uintptr_t outer = 0;
    uintptr_t address = 0;
    if (!read_word(walk, frame, &outer) || !read_word(walk, frame + sizeof frame, &address) ||
        address == 0)
        return 0;
    walk->registers[WEFT__PC] = address;
    walk->registers[WEFT__RBP] = outer;
    walk->is_call = 1;
    return outer > frame || outer == 0;
}

#endif
