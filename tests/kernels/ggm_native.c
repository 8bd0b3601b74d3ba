/* Trees in heap blocks of exactly their size, for the sanitisers. Built with MEMCHECK, their secrets are marked as
 * uninitialised, and valgrind's memcheck reports every branch and address that depends on one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MEMCHECK
#include <valgrind/memcheck.h>
#define HIDE(p, n) (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n)
#define SHOW(p, n) (void)VALGRIND_MAKE_MEM_DEFINED(p, n)
#else
#define HIDE(p, n) (void)(p)
#define SHOW(p, n) (void)(p)
#endif

#include "ggm.h"

enum { BLOCK = 16, TREES = 3 };

static uint8_t *fresh(size_t n, unsigned seed)
{
    uint8_t *p = malloc(n ? n : 1);
    if (!p) abort();
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((i + seed) * 2654435761u >> 13);
    return p;
}

static int check_trees(const fusion_aes *aes, size_t leaves)
{
    size_t depth = 0, bytes = BLOCK * leaves * TREES;
    while ((size_t)1 << depth < leaves) depth++;
    uint8_t *seeds = fresh(BLOCK * TREES, 1), *keys = fresh(BLOCK * TREES * depth, 2), *whole = fresh(bytes, 3);
    uint8_t *sums = fresh(2 * BLOCK * TREES * depth, 4), *hints = fresh(BLOCK * TREES * depth, 5);
    uint8_t *part = fresh(bytes, 6), *totals = fresh(BLOCK * TREES, 7);
    uint64_t *points = malloc(TREES * sizeof *points);
    if (!points) abort();
    HIDE(seeds, BLOCK * TREES);
    fusion_ggm_expand(aes, whole, sums, seeds, keys, leaves, depth, TREES);
    for (size_t t = 0; t < TREES; t++) {
        points[t] = t == 0 ? 0 : t == 1 ? leaves - 1 : leaves / 2;
        for (size_t d = 0; d < depth; d++)
            memcpy(hints + BLOCK * (depth * t + d), sums + BLOCK * (2 * (depth * t + d) + 1 - (points[t] >> d & 1)),
                   BLOCK);
        for (size_t d = 0; d < BLOCK; d++)
            totals[BLOCK * t + d] = whole[BLOCK * (leaves * t + points[t]) + d];
    }
    HIDE(points, TREES * sizeof *points);
    uint8_t *missing = fresh(BLOCK * TREES, 8);
    memcpy(missing, totals, BLOCK * TREES);
    fusion_ggm_puncture(aes, part, totals, hints, points, keys, leaves, depth, TREES);
    fusion_ggm_place(part, points, missing, leaves, TREES);
    SHOW(part, bytes);
    SHOW(whole, bytes);
    int wrong = memcmp(part, whole, bytes) != 0;
    free(seeds), free(keys), free(whole), free(sums), free(hints), free(part), free(totals), free(points), free(missing);
    return wrong;
}

int main(int argc, char **argv)
{
    static const size_t leaves[] = {2, 3, 4, 5, 16, 23, 64, 100};
    int variants = 0, wrong = 0;
    if (argc == 2 && !strcmp(argv[1], "leak")) {
        uint8_t *secret = fresh(1, 0);
        HIDE(secret, 1);
        if (*secret) puts("a branch on a secret");
        free(secret);
        return 0;
    }
    while (fusion_aes_variant(variants)) variants++;
    int first = argc == 2 && !strcmp(argv[1], "portable") ? variants - 1 : 0;
    for (int v = first; v < variants; v++)
        for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) wrong |= check_trees(fusion_aes_variant(v), leaves[i]);
    puts(wrong ? "wrong" : "done");
    return wrong;
}
