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
     "&control->echo[next & 1][i]", "&control->echo[0][i]", ["spsc"]),
    ("a look allows one element more than there is room for", SPSC_H,
     "weft__spsc_permit(side, ring->mask + 1 - used);",
     "weft__spsc_permit(side, ring->mask + 2 - used);", ["spsc"]),
    ("a look allows one element more than there are", SPSC_H,
     "weft__spsc_permit(side, ready);", "weft__spsc_permit(side, ready + 1);", ["spsc"]),
    ("an heir is allowed what its predecessor was", SPSC_H,
     """    side->limit = side->next;
    int64_t room""", """    int64_t room""", ["spsc"]),
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
