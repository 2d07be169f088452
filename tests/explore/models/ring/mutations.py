# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes with rings, which the models beside this file must notice."""

SPSC_H = "ipc/spsc.h"
MPMC_H = "ipc/mpmc.h"

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("an echo is believed without a second look at tail", SPSC_H,
     "    if (weft__load_relaxed(&ring->control->tail) != side->seen) ",
     "    if (0) ", ["spsc.echo"]),
    ("an echo is taken whichever element it is of", SPSC_H,
     "    if (side->seen != (WEFT__POSITION(side->next + 1) | WEFT__ECHO) || ",
     "    if (", ["spsc"]),
    ("all echoes have one place", SPSC_H,
     "    uint64_t *echo = ring->control->echo[side->next & 1];\n",
     "    uint64_t *echo = ring->control->echo[0];\n", ["spsc"]),
    ("tail tells of an element before it is echoed", SPSC_H,
     """    memcpy(words, elem, bytes);
    for (size_t i = 0; 8 * i < bytes; i++) {
        /* edge spsc.echo (release)""",
     """    memcpy(words, elem, bytes);
    weft__store_release(&ring->control->tail, WEFT__POSITION(side->next + 1) | WEFT__ECHO);
    for (size_t i = 0; 8 * i < bytes; i++) {
        /* edge spsc.echo (release)""", ["spsc"]),
    ("a push that should look again forgets why it began", MPMC_H,
     """                if (refusal == 0)
                    continue;
                rc = refusal;
                break;
            }
        }
        if ((tail""",
     """                rc = refusal;
                if (refusal == 0)
                    continue;
                break;
            }
        }
        if ((tail""", ["stranger"]),
    ("a pop that should look again forgets why it began", MPMC_H,
     """                if (refusal == 0)
                    continue;
                rc = refusal;
                break;
            }
        }
        if (!weft__ring_is""",
     """                rc = refusal;
                if (refusal == 0)
                    continue;
                break;
            }
        }
        if (!weft__ring_is""", ["stranger"]),
]
