#include "ggm.h"

#include "constant_time.h"

enum { BLOCK = AES_BLOCK };

typedef struct {
    uint64_t word[2];
} block;

static inline block load(const uint8_t *p)
{
    block b;
    memcpy(&b, p, BLOCK);
    return b;
}

static inline void store(uint8_t *p, block b) { memcpy(p, &b, BLOCK); }

static inline block add(block a, block b) { return (block){{a.word[0] ^ b.word[0], a.word[1] ^ b.word[1]}}; }

static inline block mask(block b, uint64_t m) { return (block){{b.word[0] & m, b.word[1] & m}}; }

static block sum(const uint8_t *nodes, size_t n)
{
    block total = {{0, 0}};
    for (size_t i = 0; i < n; i++) total = add(total, load(nodes + BLOCK * i));
    return total;
}

static block sum_without(const uint8_t *nodes, size_t n, uint64_t place)
{
    block total = {{0, 0}};
    for (size_t i = 0; i < n; i++) total = add(total, mask(load(nodes + BLOCK * i), ~ct_equal_in_vectors(i, place)));
    return total;
}

/* The block at `place`, if there is one, becomes `value`. */
static void replace(uint8_t *nodes, size_t n, uint64_t place, block value)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t m = ct_equal_in_vectors(i, place);
        store(nodes + BLOCK * i, add(mask(load(nodes + BLOCK * i), ~m), mask(value, m)));
    }
}

/* The children of the `parents` nodes, in place; returns how many of them are right ones, which start at `parents`. */
static size_t grow(const fusion_aes *aes, uint8_t *nodes, const uint8_t key[BLOCK], size_t parents, size_t leaves)
{
    uint8_t round_keys[AES128_ROUND_KEYS];
    size_t rights = leaves - parents < parents ? leaves - parents : parents;
    uint8_t *right = nodes + BLOCK * parents;
    fusion_aes128_expand(round_keys, key);
    memcpy(right, nodes, BLOCK * rights);
    for (size_t i = 0; i < rights; i++) right[BLOCK * i] ^= 1;
    aes->compress(right, right, round_keys, rights);
    aes->compress(nodes, nodes, round_keys, parents);
    return rights;
}

void fusion_ggm_expand(const fusion_aes *aes, uint8_t *out, uint8_t *sums, const uint8_t *seeds, const uint8_t *keys,
                       size_t leaves, size_t depth, size_t trees)
{
    for (size_t t = 0; t < trees; t++, out += BLOCK * leaves, seeds += BLOCK) {
        memcpy(out, seeds, BLOCK);
        for (size_t d = 0, parents = 1; d < depth; d++, parents *= 2, keys += BLOCK, sums += 2 * BLOCK) {
            size_t rights = grow(aes, out, keys, parents, leaves);
            store(sums, sum(out, parents));
            store(sums + BLOCK, sum(out + BLOCK * parents, rights));
        }
    }
}

void fusion_ggm_puncture(const fusion_aes *aes, uint8_t *out, uint8_t *totals, const uint8_t *hints,
                         const uint64_t *points, const uint8_t *keys, size_t leaves, size_t depth, size_t trees)
{
    for (size_t t = 0; t < trees; t++, out += BLOCK * leaves, totals += BLOCK) {
        uint64_t path = 0; /* the place of the node of this level that is unknown, and held as zero */
        memset(out, 0, BLOCK);
        for (size_t d = 0, parents = 1; d < depth; d++, parents *= 2, keys += BLOCK, hints += BLOCK) {
            size_t rights = grow(aes, out, keys, parents, leaves);
            uint8_t *right = out + BLOCK * parents;
            uint64_t goes_right = ct_hide(-(points[t] >> d & 1));
            block left_sum = sum_without(out, parents, path), right_sum = sum_without(right, rights, path);
            /* The path's sibling is what its side's sum still lacks; the path itself is not known again. */
            replace(out, parents, path, mask(add(load(hints), left_sum), goes_right));
            replace(right, rights, path, mask(add(load(hints), right_sum), ~goes_right));
            path |= (points[t] >> d & 1) << d;
        }
        store(totals, sum(out, leaves));
    }
}

void fusion_ggm_place(uint8_t *out, const uint64_t *points, const uint8_t *values, size_t leaves, size_t trees)
{
    for (size_t t = 0; t < trees; t++, out += BLOCK * leaves) {
        const block value = load(values + BLOCK * t);
        for (size_t i = 0; i < leaves; i++)
            store(out + BLOCK * i, add(load(out + BLOCK * i), mask(value, ct_equal_in_vectors(i, points[t]))));
    }
}
