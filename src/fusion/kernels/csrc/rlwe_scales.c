#include "modular.h"
#include "rlwe.h"

void fusion_rlwe_lift(uint64_t *out, const int64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++, x += n)
        for (size_t l = 0; l < limbs; l++, out += n)
            for (size_t k = 0; k < n; k++) out[k] = (uint64_t)x[k] + (moduli[l].p & (uint64_t)(x[k] >> 63));
}

void fusion_rlwe_reduce(uint64_t *out, const uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++, x += n)
        for (size_t l = 0; l < limbs; l++, out += n)
            for (size_t k = 0; k < n; k++) out[k] = times_exact(x[k], 1, moduli[l].one, moduli[l].p);
}

/* With r = (q m + h) mod t the quotient is (q m + h - r) / t, and q is 0 modulo p. */
void fusion_rlwe_encode(uint64_t *out, const uint64_t *m, const int64_t *e, const fusion_scale *scale,
                        const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    const size_t n = moduli->n;
    const uint64_t t = scale->t, h = scale->half;
    for (size_t r = 0; r < rows; r++, m += n, e += n)
        for (size_t l = 0; l < limbs; l++, out += n) {
            const uint64_t p = moduli[l].p;
            for (size_t k = 0; k < n; k++) {
                uint64_t rest = less(times_exact(m[k], scale->q, scale->q_ratio, t) + h, t);
                /* t may exceed p, but not 4 p */
                uint64_t value = times(4 * p + h - rest, scale->t_inverse[l], scale->t_inverse_ratio[l], p);
                value += (uint64_t)e[k] + (p & (uint64_t)(e[k] >> 63));
                out[k] = less(less(value, 2 * p), p);
            }
        }
}

/* The mixed radix digits of y = (m x + (q - 1) / 2) mod q: y = d0 + p0 (d1 + p1 (d2 + p2 d3)), Garner's way.
 * floor((m x + (q - 1) / 2) / q), which is m x / q rounded, is ((q - 1) / 2 - y) / q modulo m. */
static inline void digits_of(uint64_t *d, const uint64_t *x, size_t n, const uint64_t *m, const uint64_t *m_ratio,
                             const fusion_scale *scale, const fusion_modulus *moduli, size_t limbs)
{
    for (size_t l = 0; l < limbs; l++) {
        const uint64_t p = moduli[l].p;
        uint64_t y = less(times_exact(x[l * n], m[l], m_ratio[l], p) + (p - 1) / 2, p);
        /* digits of other primes are below 2 p */
        for (size_t k = 0; k < l; k++)
            y = times_exact(y + 2 * p - d[k], scale->garner[l][k], scale->garner_ratio[l][k], p);
        d[l] = y;
    }
}

void fusion_rlwe_decode(uint64_t *out, const uint64_t *x, const fusion_scale *scale, const fusion_modulus *moduli,
                        size_t limbs, size_t rows)
{
    const size_t n = moduli->n;
    const uint64_t t = scale->t;
    for (size_t r = 0; r < rows; r++, x += limbs * n, out += n)
        for (size_t k = 0; k < n; k++) {
            uint64_t d[NTT_MAX_LIMBS], y = 0;
            digits_of(d, x + k, n, scale->t_residue, scale->t_residue_ratio, scale, moduli, limbs);
            for (size_t l = limbs; l-- > 0;)
                y = less(times_exact(y, scale->p[l], scale->p_ratio[l], t) + times_exact(d[l], 1, scale->one, t), t);
            out[k] = times_exact(scale->half_q + t - y, scale->q_inverse, scale->q_inverse_ratio, t);
        }
}

void fusion_rlwe_switch(uint64_t *out, const uint64_t *x, const fusion_scale *scale, const fusion_modulus *moduli,
                        size_t limbs, size_t n, size_t rows)
{
    const uint64_t mask = ~0ULL >> (64 - scale->bits);
    for (size_t r = 0; r < rows; r++, x += limbs * n, out += n)
        for (size_t k = 0; k < n; k++) {
            uint64_t d[NTT_MAX_LIMBS], y = 0;
            digits_of(d, x + k, n, scale->power, scale->power_ratio, scale, moduli, limbs);
            for (size_t l = limbs; l-- > 0;) y = y * moduli[l].p + d[l];
            out[k] = ((scale->half_q_word - y) * scale->q_inverse_word) & mask;
        }
}

void fusion_rlwe_join(uint64_t *out, const uint64_t *x, uint64_t garner, uint64_t garner_ratio,
                      const fusion_modulus *moduli, size_t rows)
{
    const size_t n = moduli->n;
    const uint64_t p = moduli[0].p, r = moduli[1].p;
    for (size_t row = 0; row < rows; row++, x += 2 * n, out += n)
        for (size_t k = 0; k < n; k++) {
            uint64_t low = x[k], high = times_exact(x[n + k] + 2 * r - low, garner, garner_ratio, r);
            uint64_t negative = -((r / 2 - high) >> 63); /* a small negative number stands near p r */
            out[k] = low + p * high - (p * r & negative);
        }
}

void fusion_rlwe_round(uint64_t *x, const fusion_scale *scale, size_t n)
{
    const uint64_t t = scale->t;
    const uint128 half = (uint128)1 << (scale->bits - 1);
    for (size_t k = 0; k < n; k++) x[k] = less((uint64_t)(((uint128)x[k] * t + half) >> scale->bits), t);
}

void fusion_rlwe_pack(uint8_t *out, const uint64_t *x, unsigned bits, size_t n)
{
    uint128 pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        pending |= (uint128)x[i] << held;
        held += bits;
        if (held < 64) continue;
        const uint64_t whole = (uint64_t)pending;
        for (int k = 0; k < 8; k++) *out++ = (uint8_t)(whole >> 8 * k);
        pending >>= 64;
        held -= 64;
    }
    for (unsigned k = 0; k < held; k += 8) *out++ = (uint8_t)(pending >> k);
}

void fusion_rlwe_unpack(uint64_t *out, const uint8_t *x, unsigned bits, size_t n)
{
    const uint64_t mask = ~0ULL >> (64 - bits);
    const uint8_t *end = x + (n * bits + 7) / 8;
    uint128 pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++, held -= bits, pending >>= bits) {
        if (held < bits && end - x >= 8) {
            uint64_t next = 0;
            for (int k = 0; k < 8; k++) next |= (uint64_t)*x++ << 8 * k;
            pending |= (uint128)next << held;
            held += 64;
        }
        for (; held < bits; held += 8) pending |= (uint128)*x++ << held;
        out[i] = (uint64_t)pending & mask;
    }
}
