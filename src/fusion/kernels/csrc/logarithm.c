#include "logarithm.h"

#include <string.h>

#define MULTIPLE ((UINT64_C(1) << FUSION_LOGARITHM_BITS) - 1)

enum { AHEAD = 16 }; /* look-ups under way at once: the table is larger than the caches */

size_t fusion_logarithm_insert(uint64_t *table, int bits, uint64_t count, const uint64_t *keys, uint64_t first,
                               uint64_t gap, size_t n, size_t m)
{
    const uint64_t places = (UINT64_C(1) << bits) - 1;
    size_t twice = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            for (int sign = 0; sign < 2; sign++) {
                const uint64_t centre = first + gap * j, value = sign ? centre - i : centre + i;
                if ((sign && (i == 0 || centre < i)) || value >= count) continue;
                const uint64_t key = keys[(2 * i + (size_t)sign) * n + j];
                uint64_t at = key & places;
                for (; table[at]; at = (at + 1) & places) twice += !((table[at] ^ key) & ~MULTIPLE);
                table[at] = (key & ~MULTIPLE) | (value + 1);
            }
    return twice;
}

static int64_t look_up(const uint64_t *table, uint64_t places, uint64_t key)
{
    for (uint64_t at = key & places; table[at]; at = (at + 1) & places)
        if (!((table[at] ^ key) & ~MULTIPLE)) return (int64_t)(table[at] & MULTIPLE) - 1;
    return -1;
}

void fusion_logarithm_search(const fusion_elgamal *ops, const uint64_t *table, int bits, int64_t *place,
                             int64_t *multiple, const int64_t *skip, uint64_t *keys, const uint8_t *centres, size_t n,
                             const uint8_t *steps, size_t m)
{
    const uint64_t places = (UINT64_C(1) << bits) - 1;
    ops->neighbours(keys, centres, n, steps, m);
    for (size_t j = 0; j < n; j++) place[j] = -1;
    for (size_t i = 0, row = 0, all = 2 * n * m; i < all; i++) {
        if (i + AHEAD < all) __builtin_prefetch(&table[keys[i + AHEAD] & places]);
        const int64_t found = look_up(table, places, keys[i]), here = (int64_t)(i / n);
        if (found >= 0 && place[row] < 0 && here >= skip[row]) {
            place[row] = here;
            multiple[row] = found;
        }
        if (++row == n) row = 0;
    }
}
