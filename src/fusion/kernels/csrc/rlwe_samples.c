#include "constant_time.h"
#include "cpu.h"
#include "rlwe.h"
#include "rlwe_stream.h"

static uint64_t word(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)p[i] << 8 * i;
    return value;
}

void fusion_rlwe_uniform(const fusion_aes *aes, uint64_t *out, const uint8_t *round_keys, const fusion_modulus *moduli,
                         size_t limbs, size_t first_row, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, out += moduli->n) {
            const uint64_t p = moduli[l].p, n = moduli[l].n, mask = ~0ULL >> __builtin_clzll(p);
            stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r), .kind = (uint32_t)l};
            for (uint64_t k = 0; k < n;) {
                refill(&s);
                for (int i = 0; i < WORDS && k < n; i++) {
                    out[k] = word(s.bytes + 8 * i) & mask;
                    k += out[k] < p;
                }
            }
        }
}

static int64_t trit(uint64_t w) { return (int64_t)((uint128)w * 3 >> 64) - 1; }

/* Without the instruction, and without the table that compilers put in its place. */
static int64_t ones(uint64_t x)
{
    x = (x & 0x5555555555555555) + (x >> 1 & 0x5555555555555555);
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x & 0x0f0f0f0f0f0f0f0f) + (x >> 4 & 0x0f0f0f0f0f0f0f0f);
    return (int64_t)(x * 0x0101010101010101 >> 56);
}

static int64_t binomial(uint64_t w) { return ones(w & 0x1fffff) - ones(w >> 21 & 0x1fffff); }

static inline void each_word(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                             size_t rows, int64_t (*sample)(uint64_t))
{
    for (size_t r = 0; r < rows; r++, out += n) {
        stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r)};
        for (size_t k = 0; k < n; k++) {
            if (k % WORDS == 0) refill(&s);
            out[k] = sample(word(s.bytes + 8 * (k % WORDS)));
        }
        wipe(&s, sizeof s);
    }
}

void fusion_rlwe_ternary(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                         size_t rows)
{
    each_word(aes, out, round_keys, n, first_row, rows, trit);
}

void fusion_rlwe_error(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                       size_t rows)
{
    each_word(aes, out, round_keys, n, first_row, rows, binomial);
}

void fusion_rlwe_flood(const fusion_aes *aes, uint64_t *x, const uint8_t *round_keys, unsigned bits,
                       const fusion_modulus *moduli, size_t limbs, size_t n, size_t first_row, size_t rows)
{
    const unsigned top = (bits - 1) / 64;
    uint64_t shifted[NTT_MAX_LIMBS], shifted_ratio[NTT_MAX_LIMBS], offset[NTT_MAX_LIMBS], mask[FLOOD_WORDS];
    int halves = bits <= 96; /* two pieces of 48 bits, of which one needs a product */
    for (size_t l = 0; l < limbs; l++) halves &= moduli[l].p >> 47 != 0;
    for (unsigned j = 0; j < FLOOD_WORDS; j++)
        mask[j] = bits >= 64 * (j + 1) ? ~0ULL : bits > 64 * j ? (1ULL << (bits - 64 * j)) - 1 : 0;
    flood_constants(shifted, shifted_ratio, offset, bits, moduli, limbs);
    for (size_t r = 0; r < rows; r++, x += limbs * n) {
        stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r)};
        for (size_t k = 0; k < n; k++) {
            if (k % (WORDS / FLOOD_WORDS) == 0) refill(&s);
            const uint8_t *at = s.bytes + 8 * FLOOD_WORDS * (k % (WORDS / FLOOD_WORDS));
            const uint64_t first = word(at) & mask[0], second = word(at + 8) & mask[1];
            const uint64_t low = first & ((1ULL << 48) - 1), high = first >> 48 | second << 16;
            for (size_t l = 0; halves && l < limbs; l++) {
                const uint64_t p = moduli[l].p;
                uint64_t value = low + times(high, shifted[l], shifted_ratio[l], p);
                value = less(less(value, 2 * p), p);
                x[l * n + k] = less(less(x[l * n + k] + value + offset[l], 2 * p), p);
            }
            for (size_t l = 0; !halves && l < limbs; l++) {
                const fusion_modulus *m = moduli + l;
                uint64_t value = word(at + 8 * top) & mask[top];
                if (mask[top] >= m->p) value = times(value, 1, m->one, m->p);
                for (unsigned j = top; j-- > 0;) {
                    value = times(value, m->word, m->word_ratio, m->p);
                    value += times(word(at + 8 * j) & mask[j], 1, m->one, m->p);
                }
                value = less(less(value, 2 * m->p), m->p);
                x[l * n + k] = less(less(x[l * n + k] + value + offset[l], 2 * m->p), m->p);
            }
        }
        wipe(&s, sizeof s);
    }
}

const fusion_rlwe fusion_rlwe_portable = {
    "portable", fusion_rlwe_ternary, fusion_rlwe_error, fusion_rlwe_flood, fusion_rlwe_switch,
    fusion_rlwe_pack, fusion_rlwe_unpack,
};

const fusion_rlwe *fusion_rlwe_variant(int i)
{
#if FUSION_IFMA
    if (fusion_cpu_has_vbmi() && i-- == 0) return &fusion_rlwe_ifma;
#endif
    return i == 0 ? &fusion_rlwe_portable : NULL;
}
