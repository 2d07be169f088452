/* SPDX-License-Identifier: BSD-2-Clause */
/* start.S — the first instructions of a fiber. The return address is marked undefined, so that gdb
 * and perf end a back-trace here instead of walking into whatever lies above the stack. */

#if defined(__x86_64__)

    .text
    .globl weft__fiber_start
    .hidden weft__fiber_start
    .type weft__fiber_start, @function
    .balign 16
weft__fiber_start:
    .cfi_startproc
    .cfi_undefined rip
    callq *%rbp /* the entry travels in the saved frame pointer; it never returns */
    ud2
    .cfi_endproc
    .size weft__fiber_start, . - weft__fiber_start

#elif defined(__aarch64__)

    .text
    .globl weft__fiber_start
    .hidden weft__fiber_start
    .type weft__fiber_start, %function
    .balign 16
weft__fiber_start:
    .cfi_startproc
    .cfi_undefined x30
    mov x9, x29
    mov x29, #0
    mov x30, #0
    blr x9 /* the entry travels in the saved frame pointer; it never returns */
    brk #0
    .cfi_endproc
    .size weft__fiber_start, . - weft__fiber_start

#endif

    .section .note.GNU-stack, "", %progbits
