"""Builds the extension `fusion.kernels._native`; setup.py hands `ffibuilder` to cffi.

One translation unit per file of csrc/, no dependency, no machine flag: a variant for a newer CPU carries its
own target attributes and is chosen at run time.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

# Relative when setup.py names this file, as setuptools wants its sources.
CSRC = Path(__file__).parent / "csrc"

_HEADERS = (
    "aes",
    "excode",
    "gf128",
    "ggm",
    "hashing",
    "join",
    "logarithm",
    "ntt",
    "okvs",
    "rlwe",
    "scalar25519",
    "variants",
)

ffibuilder = FFI()
ffibuilder.cdef(
    """
    typedef struct {
        const char *name;
        void (*from_uniform)(uint8_t *points, const uint8_t *uniform, size_t n);
        void (*decode)(uint8_t *points, uint8_t *valid, const uint8_t *encodings, size_t n);
        void (*encode)(uint8_t *encodings, const uint8_t *points, size_t n);
        void (*multiply)(uint8_t *out, const uint8_t *points, const uint8_t *scalar, size_t n);
        void (*multiply_encode)(uint8_t *encodings, const uint8_t *points, const uint8_t *scalar, size_t n);
        void (*multiply_base)(uint8_t *out, const uint8_t *scalars, size_t n);
        void (*add)(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n);
    } fusion_ristretto;
    const fusion_ristretto *fusion_ristretto_variant(int i);

    typedef struct {
        const char *name;
        size_t table_bytes;
        void (*fill_table)(uint8_t *table, const uint8_t *point);
        void (*multiply_fixed)(uint8_t *out, size_t stride, const uint8_t *table, const uint8_t *scalars,
                               const uint8_t *value_table, const int64_t *values, size_t n);
        void (*clear_sums)(uint8_t *sums, size_t n);
        void (*histogram)(uint8_t *sums, const uint16_t *codes, size_t bins, const uint8_t *points, size_t stride,
                          size_t n);
        void (*group_sum)(uint8_t *sums, const uint32_t *at, const uint32_t *rows, const uint8_t *points,
                          size_t stride, size_t n);
        void (*close_sums)(uint8_t *points, size_t stride, const uint8_t *sums, size_t n);
        void (*quadruple)(uint8_t *out, const uint8_t *points, size_t n);
        void (*neighbours)(uint64_t *keys, const uint8_t *centres, size_t n, const uint8_t *steps, size_t m);
    } fusion_elgamal;
    const fusion_elgamal *fusion_elgamal_variant(int i);
    void fusion_negate_points(uint8_t *out, const uint8_t *points, size_t n);
    void fusion_reduce_scalars(uint8_t *scalars, const uint8_t *wide, size_t n);
    size_t fusion_logarithm_insert(uint64_t *table, int bits, uint64_t count, const uint64_t *keys, uint64_t first,
                                   uint64_t gap, size_t n, size_t m);
    void fusion_logarithm_search(const fusion_elgamal *ops, const uint64_t *table, int bits, int64_t *place,
                                 int64_t *multiple, const int64_t *skip, uint64_t *keys, const uint8_t *centres,
                                 size_t n, const uint8_t *steps, size_t m);

    typedef struct { const char *name; ...; } fusion_sha256;
    typedef struct { const char *name; ...; } fusion_sha512;
    const fusion_sha256 *fusion_sha256_variant(int i);
    const fusion_sha512 *fusion_sha512_variant(int i);
    void fusion_expand_message_xmd(const fusion_sha512 *sha, uint8_t *out, size_t length, const uint8_t *rows,
                                   size_t width, const uint8_t *dst, size_t dst_length, size_t n);
    void fusion_sha256_columns(const fusion_sha256 *sha, uint8_t *out, const uint8_t *prefix, size_t prefix_length,
                               const int64_t **offsets, const uint8_t **data, size_t columns,
                               size_t start, size_t n);
    void fusion_sha256_rows(const fusion_sha256 *sha, uint8_t *out, size_t out_width, const uint8_t *prefix,
                            size_t prefix_length, const uint8_t *rows, size_t width, size_t n);

    typedef struct {
        const char *name;
        void (*encrypt)(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n);
        void (*compress)(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n);
    } fusion_aes;
    const fusion_aes *fusion_aes_variant(int i);
    void fusion_aes128_expand(uint8_t *round_keys, const uint8_t *key);

    typedef struct {
        const char *name;
        void (*multiply)(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n);
        void (*scale)(uint8_t *out, const uint8_t *a, const uint8_t *s, size_t n);
        void (*scale_add)(uint8_t *out, const uint8_t *a, const uint8_t *s, size_t n);
    } fusion_gf128;
    const fusion_gf128 *fusion_gf128_variant(int i);

    typedef struct {
        uint32_t bins, slots;
        uint8_t round_keys[4][176];
    } fusion_okvs;
    void fusion_okvs_init(fusion_okvs *okvs, const uint8_t *seed, uint32_t bins, uint32_t slots);
    void fusion_okvs_slots(const fusion_okvs *okvs, const fusion_aes *aes, uint32_t *slots, const uint8_t *keys,
                           size_t n);
    void fusion_okvs_sort(const fusion_okvs *okvs, uint32_t *order, uint32_t *first, const uint32_t *slots, size_t n);
    size_t fusion_okvs_encode_scratch(const fusion_okvs *okvs);
    size_t fusion_okvs_decode_scratch(void);
    int fusion_okvs_encode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *store, const uint8_t *keys,
                           const uint8_t *values, const uint32_t *order, const uint32_t *first, uint8_t *scratch,
                           size_t start, size_t stop);
    void fusion_okvs_decode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *values, const uint8_t *keys,
                            const uint8_t *store, const uint32_t *order, uint8_t *scratch, size_t start, size_t stop);

    void fusion_ggm_expand(const fusion_aes *aes, uint8_t *out, uint8_t *sums, const uint8_t *seeds,
                           const uint8_t *keys, size_t leaves, size_t depth, size_t trees);
    void fusion_ggm_puncture(const fusion_aes *aes, uint8_t *out, uint8_t *totals, const uint8_t *hints,
                             const uint64_t *points, const uint8_t *keys, size_t leaves, size_t depth, size_t trees);
    void fusion_ggm_place(uint8_t *out, const uint64_t *points, const uint8_t *values, size_t leaves, size_t trees);

    typedef struct { uint64_t p, n; ...; } fusion_modulus;
    void fusion_modulus_init(fusion_modulus *modulus, uint64_t *roots, uint64_t p, uint64_t n);
    typedef struct {
        const char *name;
        void (*forward)(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
        void (*inverse)(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
        void (*add)(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                    size_t rows);
        void (*subtract)(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli,
                         size_t limbs, size_t rows);
        void (*multiply)(uint64_t *out, const uint64_t *a, size_t a_step, const uint64_t *b, size_t b_step,
                         size_t terms, const fusion_modulus *moduli, size_t limbs, size_t rows);
    } fusion_ntt;
    const fusion_ntt *fusion_ntt_variant(int i);

    typedef struct {
        uint64_t t, half, one, q, q_ratio, q_inverse, q_inverse_ratio, half_q, p[4], p_ratio[4];
        uint64_t t_residue[4], t_residue_ratio[4], t_inverse[4], t_inverse_ratio[4];
        uint64_t garner[4][4], garner_ratio[4][4];
        uint64_t bits, power[4], power_ratio[4], half_q_word, q_inverse_word;
    } fusion_scale;
    void fusion_rlwe_uniform(const fusion_aes *aes, uint64_t *out, const uint8_t *round_keys,
                             const fusion_modulus *moduli, size_t limbs, size_t first_row, size_t rows);
    void fusion_rlwe_lift(uint64_t *out, const int64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
    void fusion_rlwe_reduce(uint64_t *out, const uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
    void fusion_rlwe_encode(uint64_t *out, const uint64_t *m, const int64_t *e, const fusion_scale *scale,
                            const fusion_modulus *moduli, size_t limbs, size_t rows);
    void fusion_rlwe_decode(uint64_t *out, const uint64_t *x, const fusion_scale *scale,
                            const fusion_modulus *moduli, size_t limbs, size_t rows);
    void fusion_rlwe_join(uint64_t *out, const uint64_t *x, uint64_t garner, uint64_t garner_ratio,
                          const fusion_modulus *moduli, size_t rows);
    void fusion_rlwe_round(uint64_t *x, const fusion_scale *scale, size_t n);
    typedef struct {
        const char *name;
        void (*ternary)(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                        size_t rows);
        void (*error)(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                      size_t rows);
        void (*flood)(const fusion_aes *aes, uint64_t *x, const uint8_t *round_keys, unsigned bits,
                      const fusion_modulus *moduli, size_t limbs, size_t n, size_t first_row, size_t rows);
        void (*switch_words)(uint64_t *out, const uint64_t *x, const fusion_scale *scale,
                             const fusion_modulus *moduli, size_t limbs, size_t n, size_t rows);
        void (*pack)(uint8_t *out, const uint64_t *x, unsigned bits, size_t n);
        void (*unpack)(uint64_t *out, const uint8_t *x, unsigned bits, size_t n);
    } fusion_rlwe;
    const fusion_rlwe *fusion_rlwe_variant(int i);

    typedef struct {
        const fusion_aes *aes;
        const fusion_gf128 *field;
        const uint8_t *round_keys, *weights;
        size_t n;
    } fusion_excode;
    size_t fusion_excode_buckets(size_t n);
    void fusion_excode_count(const fusion_excode *code, uint32_t *counts, uint32_t pass, size_t start, size_t stop);
    void fusion_excode_sum(uint8_t *sum, const uint8_t *x, size_t start, size_t stop);
    void fusion_excode_scatter(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint8_t *before,
                               uint32_t *next, size_t start, size_t stop);
    void fusion_excode_scatter_noise(const fusion_excode *code, uint8_t *out, const uint64_t *points,
                                     const uint8_t *values, size_t leaves, const uint8_t *before, uint32_t *next,
                                     size_t start, size_t stop);
    void fusion_excode_order(const fusion_excode *code, uint16_t *order, const uint32_t *starts, uint32_t pass,
                             size_t first, size_t last);
    void fusion_excode_next_pass(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint32_t *starts,
                                 const uint16_t *order, const uint8_t *before, uint32_t *next, size_t first,
                                 size_t last);
    void fusion_excode_shuffle(uint8_t *out, const uint8_t *x, const uint32_t *starts, const uint16_t *order,
                               size_t first, size_t last);
    void fusion_excode_contract(const fusion_excode *code, uint8_t *x, size_t first, size_t last);

    typedef struct { uint64_t high; uint32_t low, row; } fusion_join_entry;
    typedef struct { fusion_join_entry *entries; const uint32_t *first; const uint8_t *rows; } fusion_join_set;
    void fusion_join_count(uint32_t *counts, const uint8_t *rows, size_t width, size_t n, int bits, size_t start,
                           size_t stop);
    void fusion_join_spread(fusion_join_entry *entries, uint32_t *next, const uint8_t *rows, size_t width, size_t n,
                            int bits, size_t start, size_t stop);
    size_t fusion_join_match(int64_t *i, int64_t *j, const fusion_join_set *a, const fusion_join_set *b, size_t width,
                             int bits, size_t start, size_t stop, fusion_join_entry *scratch);
    void fusion_join_repeats(uint8_t *repeated, const fusion_join_set *a, size_t width, int bits, size_t start,
                             size_t stop, fusion_join_entry *scratch);
    """
)
ffibuilder.set_source(
    "fusion.kernels._native",
    "".join(f'#include "{name}.h"\n' for name in _HEADERS),
    sources=[str(path) for path in sorted(CSRC.glob("*.c"))],
    depends=[str(path) for path in sorted(CSRC.glob("*.h"))],
    include_dirs=[str(CSRC)],
    extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"],
    py_limited_api=True,
)
