/* Runs cases from a text file through the C kernels, for every variant, under sanitisers.
 *
 * A line is an operation and its fields, inputs and expected results, hexadecimal, "-" for empty. Every buffer is a
 * heap block of exactly its size, so that one byte read or written past an end is caught. Prints the number of checks
 * made; on a difference prints the line and exits with 1. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aes.h"
#include "excode.h"
#include "gf128.h"
#include "hashing.h"
#include "join.h"
#include "logarithm.h"
#include "ntt.h"
#include "okvs.h"
#include "rlwe.h"
#include "scalar25519.h"
#include "sha512.h"
#include "variants.h"

#define MAX_FIELDS 12

typedef struct {
    uint8_t *bytes;
    size_t size;
} block;

static int line_number, checks;

static void fail(const char *why)
{
    printf("line %d: %s\n", line_number, why);
    exit(1);
}

static block allocate(size_t size)
{
    block b = {malloc(size), size}; /* of no bytes, too: none of them may be read */
    if (size && !b.bytes) fail("out of memory");
    return b;
}

static uint8_t digit(char c)
{
    if (c >= '0' && c <= '9') return (uint8_t)(c - '0');
    if (c < 'a' || c > 'f') fail("not hexadecimal");
    return (uint8_t)(c - 'a' + 10);
}

static block parse(const char *hex, size_t digits)
{
    if (digits == 1 && hex[0] == '-') return allocate(0);
    block b = allocate(digits / 2);
    for (size_t i = 0; i < b.size; i++) b.bytes[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return b;
}

/* Compares and frees the result. */
static void expect(const char *what, block result, block expected)
{
    if (result.size != expected.size || (result.size && memcmp(result.bytes, expected.bytes, result.size))) {
        for (size_t i = 0; i < result.size; i++) printf("%02x", result.bytes[i]);
        printf("\n");
        fail(what);
    }
    free(result.bytes);
    checks++;
}

/* --- the curve, each with every variant --- */

static block encode(const fusion_ristretto *ops, block points)
{
    size_t n = points.size / FUSION_POINT_BYTES;
    block out = allocate(32 * n);
    ops->encode(out.bytes, points.bytes, n);
    free(points.bytes);
    return out;
}

static block decode(const fusion_ristretto *ops, block encodings, block *valid)
{
    size_t n = encodings.size / 32;
    block out = allocate(FUSION_POINT_BYTES * n);
    *valid = allocate(n);
    ops->decode(out.bytes, valid->bytes, encodings.bytes, n);
    return out;
}

static block decode_valid(const fusion_ristretto *ops, block encodings)
{
    block valid, points = decode(ops, encodings, &valid);
    for (size_t i = 0; i < valid.size; i++)
        if (valid.bytes[i] != 1) fail("an encoding was refused");
    free(valid.bytes);
    return points;
}

/* from_uniform UNIFORM ENCODINGS */
static void run_from_uniform(const fusion_ristretto *ops, const block *f)
{
    size_t n = f[0].size / 64;
    block points = allocate(FUSION_POINT_BYTES * n);
    ops->from_uniform(points.bytes, f[0].bytes, n);
    expect("from_uniform", encode(ops, points), f[1]);
}

/* decode ENCODINGS VALID; valid rows must encode to themselves, others to the identity. */
static void run_decode(const fusion_ristretto *ops, const block *f)
{
    block valid, points = decode(ops, f[0], &valid), expected = allocate(f[0].size);
    for (size_t i = 0; i < f[1].size; i++)
        for (size_t k = 0; k < 32; k++) expected.bytes[32 * i + k] = f[1].bytes[i] ? f[0].bytes[32 * i + k] : 0;
    expect("valid", valid, f[1]);
    expect("decode", encode(ops, points), expected);
    free(expected.bytes);
}

/* multiply ENCODINGS SCALAR ENCODINGS */
static void run_multiply(const fusion_ristretto *ops, const block *f)
{
    size_t n = f[0].size / 32;
    block points = decode_valid(ops, f[0]);
    block products = allocate(FUSION_POINT_BYTES * n), direct = allocate(32 * n);
    ops->multiply(products.bytes, points.bytes, f[1].bytes, n);
    expect("multiply", encode(ops, products), f[2]);
    ops->multiply_encode(direct.bytes, points.bytes, f[1].bytes, n);
    expect("multiply_encode", direct, f[2]);
    free(points.bytes);
}

/* multiply_base SCALARS ENCODINGS */
static void run_multiply_base(const fusion_ristretto *ops, const block *f)
{
    size_t n = f[0].size / 32;
    block points = allocate(FUSION_POINT_BYTES * n);
    ops->multiply_base(points.bytes, f[0].bytes, n);
    expect("multiply_base", encode(ops, points), f[1]);
}

/* add ENCODINGS ENCODINGS ENCODINGS */
static void run_add(const fusion_ristretto *ops, const block *f)
{
    block a = decode_valid(ops, f[0]), b = decode_valid(ops, f[1]), sum = allocate(a.size);
    ops->add(sum.bytes, a.bytes, b.bytes, a.size / FUSION_POINT_BYTES);
    expect("add", encode(ops, sum), f[2]);
    free(a.bytes);
    free(b.bytes);
}

/* --- hashing, each with every variant --- */

/* Where the message is cut for the first part: every border if it is short. */
static size_t next_cut(size_t size) { return size > 1000 ? 333331 : 1; }

/* sha256 MESSAGE DIGEST, in two parts, as many times side by side as fit, each cut elsewhere. */
static void run_sha256(const fusion_sha256 *sha, const block *f)
{
    size_t size = f[0].size, n = 1;
    for (size_t cut = 0; cut <= size; cut += next_cut(size), n = n % SHA256_SIDE + 1) {
        sha256 s[SHA256_SIDE];
        const uint8_t *first[SHA256_SIDE], *second[SHA256_SIDE];
        size_t before[SHA256_SIDE], after[SHA256_SIDE];
        block out = allocate(SHA256_BYTES * n), expected = allocate(SHA256_BYTES * n);
        for (size_t k = 0; k < n; k++) {
            before[k] = (cut + 13 * k) % (size + 1);
            after[k] = size - before[k];
            first[k] = f[0].bytes;
            second[k] = f[0].bytes + before[k];
            memcpy(expected.bytes + SHA256_BYTES * k, f[1].bytes, SHA256_BYTES);
            sha256_init(&s[k]);
        }
        sha256_update(sha, s, first, before, n);
        sha256_update(sha, s, second, after, n);
        sha256_final(sha, s, out.bytes, n);
        expect("sha256", out, expected);
        free(expected.bytes);
    }
}

/* sha512 MESSAGE DIGEST, in two parts, in one lane up to all. */
static void run_sha512(const fusion_sha512 *sha, const block *f)
{
    size_t size = f[0].size, n = 1;
    for (size_t cut = 0; cut <= size; cut += next_cut(size), n = n % SHA512_LANES + 1) {
        sha512 s;
        block out = allocate(SHA512_BYTES * n), expected = allocate(SHA512_BYTES * n);
        for (size_t k = 0; k < n; k++) memcpy(expected.bytes + SHA512_BYTES * k, f[1].bytes, SHA512_BYTES);
        sha512_init(&s, n);
        sha512_update(sha, &s, f[0].bytes, 0, cut);
        sha512_update(sha, &s, f[0].bytes + cut, 0, size - cut);
        sha512_final(sha, &s, out.bytes);
        expect("sha512", out, expected);
        free(expected.bytes);
    }
}

/* expand WIDTH(2 bytes) ROWS DST OUT N(1 byte) */
static void run_expand(const fusion_sha512 *sha, const block *f)
{
    size_t n = f[4].bytes[0];
    size_t width = (size_t)f[0].bytes[0] << 8 | f[0].bytes[1];
    block out = allocate(f[3].size);
    fusion_expand_message_xmd(sha, out.bytes, f[3].size / n, f[1].bytes, width, f[2].bytes, f[2].size, n);
    expect("expand_message_xmd", out, f[3]);
}

/* rows PREFIX ROWS OUT_WIDTH(1 byte) OUT */
static void run_sha256_rows(const fusion_sha256 *sha, const block *f)
{
    size_t out_width = f[2].bytes[0], n = f[3].size / out_width;
    block out = allocate(f[3].size);
    fusion_sha256_rows(sha, out.bytes, out_width, f[0].bytes, f[0].size, f[1].bytes, n ? f[1].size / n : 0, n);
    expect("sha256_rows", out, f[3]);
}

/* columns PREFIX START(1 byte) OFFSETS DATA OFFSETS DATA DIGESTS: two columns, offsets 8 bytes little-endian each */
static void run_columns(const fusion_sha256 *sha, const block *f)
{
    const int64_t *offsets[2];
    const uint8_t *data[2] = {f[3].bytes, f[5].bytes};
    block digests = allocate(f[6].size);
    for (int c = 0; c < 2; c++) {
        const block *source = &f[2 + 2 * c];
        int64_t *copy = malloc(source->size);
        if (!copy) fail("out of memory");
        for (size_t i = 0; i < source->size / 8; i++) {
            uint64_t value = 0;
            for (int k = 0; k < 8; k++) value |= (uint64_t)source->bytes[8 * i + k] << (8 * k);
            copy[i] = (int64_t)value;
        }
        offsets[c] = copy;
    }
    fusion_sha256_columns(sha, digests.bytes, f[0].bytes, f[0].size, offsets, data, 2, f[1].bytes[0],
                          f[6].size / SHA256_BYTES);
    expect("sha256_columns", digests, f[6]);
    free((void *)offsets[0]);
    free((void *)offsets[1]);
}

/* --- blocks, each with every variant --- */

/* aes KEY IN OUT, encrypted into another place and in place */
static void run_aes(const block *f)
{
    size_t n = f[1].size / AES_BLOCK;
    uint8_t round_keys[AES128_ROUND_KEYS];
    fusion_aes128_expand(round_keys, f[0].bytes);
    const fusion_aes *aes;
    for (int i = 0; (aes = fusion_aes_variant(i)); i++) {
        block out = allocate(f[1].size), same = allocate(f[1].size);
        aes->encrypt(out.bytes, f[1].bytes, round_keys, n);
        expect("aes", out, f[2]);
        if (same.size) memcpy(same.bytes, f[1].bytes, same.size);
        aes->compress(same.bytes, same.bytes, round_keys, n);
        for (size_t k = 0; k < same.size; k++) same.bytes[k] ^= f[1].bytes[k];
        expect("aes compress", same, f[2]);
    }
}

/* gf128 A B PRODUCTS SCALED: A * B row by row, and A times the element at the end of B, which has one row more */
static void run_gf128(const block *f)
{
    size_t n = f[0].size / GF128_BYTES;
    const uint8_t *factor = f[1].bytes + f[0].size;
    const fusion_gf128 *gf128;
    for (int i = 0; (gf128 = fusion_gf128_variant(i)); i++) {
        block product = allocate(f[0].size), scaled = allocate(f[0].size), sum = allocate(f[0].size);
        gf128->multiply(product.bytes, f[0].bytes, f[1].bytes, n);
        expect("gf128 multiply", product, f[2]);
        gf128->scale(scaled.bytes, f[0].bytes, factor, n);
        expect("gf128 scale", scaled, f[3]);
        if (sum.size) memset(sum.bytes, 0xa5, sum.size);
        gf128->scale_add(sum.bytes, f[0].bytes, factor, n);
        for (size_t k = 0; k < sum.size; k++) sum.bytes[k] ^= 0xa5;
        expect("gf128 scale_add", sum, f[3]);
    }
}

static void *words(size_t n)
{
    void *p = malloc(4 * n);
    if (n && !p) fail("out of memory");
    return p;
}

static uint8_t *scratch(size_t size)
{
    uint8_t *p = NULL;
    if (posix_memalign((void **)&p, 64, size)) fail("out of memory");
    return p;
}

/* okvs SEED BINS(1 byte) SLOTS(2 bytes) KEYS VALUES STORE: encodes and decodes; no STORE if encoding must fail */
static void run_okvs(const block *f)
{
    uint32_t bins = f[1].bytes[0], slots = (uint32_t)f[2].bytes[0] << 8 | f[2].bytes[1];
    size_t n = f[3].size / AES_BLOCK;
    const fusion_aes *aes;
    for (int i = 0; (aes = fusion_aes_variant(i)); i++) {
        fusion_okvs okvs;
        fusion_okvs_init(&okvs, f[0].bytes, bins, slots);
        uint32_t *slot = words(n), *order = words(n), *first = words((size_t)bins * slots + 2);
        uint8_t *encoding = scratch(fusion_okvs_encode_scratch(&okvs));
        uint8_t *decoding = scratch(fusion_okvs_decode_scratch());
        block store = allocate((size_t)OKVS_VALUE * OKVS_BLOCK * bins * (slots + OKVS_WORDS - 1));
        block values = allocate(f[3].size);
        fusion_okvs_slots(&okvs, aes, slot, f[3].bytes, n);
        fusion_okvs_sort(&okvs, order, first, slot, n);
        int failed = fusion_okvs_encode(&okvs, aes, store.bytes, f[3].bytes, f[4].bytes, order, first, encoding, 0,
                                        bins);
        if (failed != (f[5].size ? 0 : -1)) fail("okvs encode");
        if (!failed) fusion_okvs_decode(&okvs, aes, values.bytes, f[3].bytes, store.bytes, order, decoding, 0, n);
        expect("okvs store", store, failed ? store : f[5]);
        expect("okvs values", values, failed ? values : f[4]);
        free(slot), free(order), free(first), free(encoding), free(decoding);
    }
}

/* Two parts of a vector, or of its buckets, and where the elements of each go. */
typedef struct {
    uint32_t *starts, *next[2];
    uint16_t *order;
} code_pass;

static code_pass pass_of(const fusion_excode *code, uint32_t number, size_t middle)
{
    const size_t buckets = fusion_excode_buckets(code->n);
    code_pass p = {words(buckets + 1), {words(buckets), words(buckets)}, (uint16_t *)allocate(2 * code->n).bytes};
    for (int k = 0; k < 2; k++) memset(p.next[k], 0, 4 * buckets);
    fusion_excode_count(code, p.next[0], number, 0, middle);
    fusion_excode_count(code, p.next[1], number, middle, code->n);
    p.starts[0] = 0;
    for (size_t b = 0; b < buckets; b++) {
        p.starts[b + 1] = p.starts[b] + p.next[0][b] + p.next[1][b];
        p.next[1][b] = p.starts[b] + p.next[0][b];
        p.next[0][b] = p.starts[b];
    }
    fusion_excode_order(code, p.order, p.starts, number, 0, buckets);
    return p;
}

static void free_pass(code_pass p) { free(p.starts), free(p.next[0]), free(p.next[1]), free(p.order); }

/* code KEY WEIGHTS POINTS(8 bytes each) VALUES VECTOR OUT: the vector is what points and values say */
static void run_code(const block *f)
{
    const size_t n = f[4].size / GF128_BYTES, trees = f[3].size / GF128_BYTES, leaves = n / trees, middle = n / 3;
    const fusion_aes *aes;
    uint8_t keys[AES128_ROUND_KEYS];
    uint64_t *points = (uint64_t *)allocate(8 * trees).bytes;
    fusion_aes128_expand(keys, f[0].bytes);
    for (size_t t = 0; t < trees; t++) {
        points[t] = 0;
        for (int k = 0; k < 8; k++) points[t] |= (uint64_t)f[2].bytes[8 * t + k] << (8 * k);
    }
    for (int i = 0; (aes = fusion_aes_variant(i)); i++)
        for (int noise = 0; noise < 2; noise++) {
            const fusion_excode code = {aes, fusion_gf128_variant(i), keys, f[1].bytes, n};
            const size_t buckets = fusion_excode_buckets(n), half = (buckets + 1) / 2;
            block x = allocate(f[4].size), room = allocate(f[4].size);
            uint8_t zero[GF128_BYTES] = {0}, sum[GF128_BYTES];
            const uint8_t *const before[2] = {zero, sum};
            memcpy(room.bytes, f[4].bytes, room.size);
            code_pass first = pass_of(&code, 0, middle);
            fusion_excode_sum(sum, room.bytes, 0, middle);
            for (int part = 0; part < 2; part++) {
                const size_t start = part ? middle : 0, stop = part ? n : middle;
                if (noise)
                    fusion_excode_scatter_noise(&code, x.bytes, points, f[3].bytes, leaves, before[part],
                                                first.next[part], start, stop);
                else
                    fusion_excode_scatter(&code, x.bytes, room.bytes, before[part], first.next[part], start, stop);
            }
            code_pass second = pass_of(&code, 1, first.starts[half]);
            fusion_excode_sum(sum, x.bytes, 0, first.starts[half]);
            for (int part = 0; part < 2; part++)
                fusion_excode_next_pass(&code, room.bytes, x.bytes, first.starts, first.order, before[part],
                                        second.next[part], part ? half : 0, part ? buckets : half);
            fusion_excode_shuffle(x.bytes, room.bytes, second.starts, second.order, 0, buckets);
            fusion_excode_contract(&code, x.bytes, 0, n / (2 * FUSION_EXCODE_SIDE));
            x.size /= 2;
            expect("code", x, f[5]);
            free(room.bytes);
            free_pass(first), free_pass(second);
        }
    free(points);
}

/* Entries of a set, in partitions, from two parts; `first` gets where partitions start. */
static block spread(block rows, size_t width, size_t n, int bits, block *first)
{
    const size_t all = (size_t)1 << bits, middle = n / 2;
    block entries = allocate(n * sizeof(fusion_join_entry)), one = allocate(4 * all), both = allocate(4 * all);
    uint32_t *const next = (uint32_t *)both.bytes, *const other = (uint32_t *)one.bytes;
    *first = allocate(4 * (all + 1));
    uint32_t *const starts = (uint32_t *)first->bytes;
    memset(other, 0, one.size);
    fusion_join_count(other, rows.bytes, width, n, bits, 0, middle);
    memcpy(next, other, one.size);
    fusion_join_count(next, rows.bytes, width, n, bits, middle, n);
    starts[0] = 0;
    for (size_t p = 0; p < all; p++) starts[p + 1] = starts[p] + next[p];
    for (size_t p = 0; p < all; p++) {
        next[p] = starts[p];
        other[p] += starts[p];
    }
    fusion_join_spread((fusion_join_entry *)entries.bytes, next, rows.bytes, width, n, bits, 0, middle);
    fusion_join_spread((fusion_join_entry *)entries.bytes, other, rows.bytes, width, n, bits, middle, n);
    free(one.bytes);
    free(both.bytes);
    return entries;
}

static size_t largest(block first)
{
    uint32_t most = 0, *starts = (uint32_t *)first.bytes;
    for (size_t p = 0; p + 1 < first.size / 4; p++)
        if (starts[p + 1] - starts[p] > most) most = starts[p + 1] - starts[p];
    return most;
}

static size_t one_byte(block b) { return b.size ? b.bytes[0] : 0; }

/* join BITS N M WIDTH OURS THEIRS PAIRS REPEATED: pairs are numbers of one byte each; REPEATED flags rows of THEIRS. */
static void run_join(const block *f)
{
    const int bits = (int)one_byte(f[0]);
    const size_t n = one_byte(f[1]), m = one_byte(f[2]), width = one_byte(f[3]), all = (size_t)1 << bits;
    block first_a, first_b, a = spread(f[4], width, n, bits, &first_a), b = spread(f[5], width, m, bits, &first_b);
    const size_t pairs = f[6].size / 2, room = largest(first_a) > largest(first_b) ? largest(first_a) : largest(first_b);
    block i = allocate(8 * (n < m ? n : m)), j = allocate(i.size), scratch = allocate(room * sizeof(fusion_join_entry));
    block found = allocate(f[6].size), flags = allocate(m);
    const fusion_join_set x = {(fusion_join_entry *)a.bytes, (uint32_t *)first_a.bytes, f[4].bytes};
    const fusion_join_set y = {(fusion_join_entry *)b.bytes, (uint32_t *)first_b.bytes, f[5].bytes};
    fusion_join_entry *const space = (fusion_join_entry *)scratch.bytes;
    if (fusion_join_match((int64_t *)i.bytes, (int64_t *)j.bytes, &x, &y, width, bits, 0, all, space) != pairs)
        fail("another number of pairs");
    for (size_t k = 0; k < pairs; k++) {
        found.bytes[2 * k] = (uint8_t)((int64_t *)i.bytes)[k];
        found.bytes[2 * k + 1] = (uint8_t)((int64_t *)j.bytes)[k];
    }
    expect("pairs", found, f[6]);
    if (m) memset(flags.bytes, 0, m);
    fusion_join_repeats(flags.bytes, &y, width, bits, 0, all / 2, space);
    fusion_join_repeats(flags.bytes, &y, width, bits, all / 2, all, space);
    expect("repeated", flags, f[7]);
    block *const used[] = {&first_a, &first_b, &a, &b, &i, &j, &scratch};
    for (size_t k = 0; k < sizeof used / sizeof *used; k++) free(used[k]->bytes);
}

/* --- lattices; words are 8 bytes, little-endian, as on every machine that runs the sanitisers --- */

typedef struct {
    fusion_modulus moduli[NTT_MAX_LIMBS];
    uint64_t *roots[NTT_MAX_LIMBS];
    size_t limbs, n;
} ring;

/* From N (2 bytes) and PRIMES. */
static ring ring_of(block n, block primes)
{
    ring r = {.limbs = primes.size / 8, .n = (size_t)n.bytes[0] << 8 | n.bytes[1]};
    for (size_t l = 0; l < r.limbs; l++) {
        uint64_t p;
        memcpy(&p, primes.bytes + 8 * l, 8);
        r.roots[l] = malloc(32 * r.n);
        if (!r.roots[l]) fail("out of memory");
        fusion_modulus_init(&r.moduli[l], r.roots[l], p, r.n);
    }
    return r;
}

static void free_ring(ring *r)
{
    for (size_t l = 0; l < r->limbs; l++) free(r->roots[l]);
}

static block copy(block b)
{
    block c = allocate(b.size);
    if (b.size) memcpy(c.bytes, b.bytes, b.size);
    return c;
}

static uint64_t *at(block b) { return (uint64_t *)(void *)b.bytes; }

/* ntt N PRIMES A B PRODUCT SUM DIFFERENCE, PRODUCT one of polynomials, and also summed with itself */
static void run_ntt(const block *f)
{
    ring r = ring_of(f[0], f[1]);
    size_t rows = f[2].size / (8 * r.limbs * r.n);
    const fusion_ntt *ops;
    for (int i = 0; (ops = fusion_ntt_variant(i)); i++) {
        block a = copy(f[2]), b = copy(f[3]), out = allocate(f[2].size), twice = allocate(f[2].size / rows);
        block sum = allocate(f[2].size), difference = allocate(f[2].size), pairs = allocate(2 * twice.size);
        ops->add(at(sum), at(a), at(b), r.moduli, r.limbs, rows);
        expect("ntt add", sum, f[5]);
        ops->subtract(at(difference), at(a), at(b), r.moduli, r.limbs, rows);
        expect("ntt subtract", difference, f[6]);
        ops->forward(at(a), r.moduli, r.limbs, rows);
        ops->forward(at(b), r.moduli, r.limbs, rows);
        ops->multiply(at(out), at(a), 1, at(b), 1, 1, r.moduli, r.limbs, rows);
        ops->inverse(at(out), r.moduli, r.limbs, rows);
        block doubled = allocate(twice.size);
        ops->add(at(doubled), at(out), at(out), r.moduli, r.limbs, 1);
        expect("ntt product", out, f[4]);
        for (int k = 0; k < 2; k++) memcpy(pairs.bytes + k * twice.size, a.bytes, twice.size);
        block same = allocate(2 * twice.size);
        for (int k = 0; k < 2; k++) memcpy(same.bytes + k * twice.size, b.bytes, twice.size);
        ops->multiply(at(twice), at(pairs), 0, at(same), 2, 2, r.moduli, r.limbs, 1);
        ops->inverse(at(twice), r.moduli, r.limbs, 1);
        expect("ntt inner", twice, doubled);
        free(doubled.bytes), free(pairs.bytes), free(same.bytes), free(a.bytes), free(b.bytes);
    }
    free_ring(&r);
}

/* samples KEY N PRIMES UNIFORM TERNARY ERROR BITS(1 byte) FLOOD: row 1 of each stream, FLOOD added to zeros */
static void run_samples(const block *f)
{
    ring r = ring_of(f[1], f[2]);
    uint8_t round_keys[AES128_ROUND_KEYS];
    fusion_aes128_expand(round_keys, f[0].bytes);
    const fusion_aes *aes;
    for (int i = 0; (aes = fusion_aes_variant(i)); i++) {
        block uniform = allocate(f[3].size);
        fusion_rlwe_uniform(aes, at(uniform), round_keys, r.moduli, r.limbs, 1, 1);
        expect("uniform", uniform, f[3]);
        const fusion_rlwe *ops;
        for (int k = 0; (ops = fusion_rlwe_variant(k)); k++) {
            block ternary = allocate(f[4].size), error = allocate(f[5].size), flooded = allocate(f[7].size);
            ops->ternary(aes, (int64_t *)at(ternary), round_keys, r.n, 1, 1);
            expect("ternary", ternary, f[4]);
            ops->error(aes, (int64_t *)at(error), round_keys, r.n, 1, 1);
            expect("error", error, f[5]);
            memset(flooded.bytes, 0, flooded.size);
            ops->flood(aes, at(flooded), round_keys, f[6].bytes[0], r.moduli, r.limbs, r.n, 1, 1);
            expect("flood", flooded, f[7]);
        }
    }
    free_ring(&r);
}

/* scales N PRIMES SCALE M E ENCODED DECODED SWITCHED LIFTED REDUCED, what is read back being ENCODED, M and E */
static void run_scales(const block *f)
{
    ring r = ring_of(f[0], f[1]);
    fusion_scale scale;
    memcpy(&scale, f[2].bytes, sizeof scale);
    block encoded = allocate(f[5].size), decoded = allocate(f[6].size);
    block lifted = allocate(f[8].size), reduced = allocate(f[9].size);
    fusion_rlwe_encode(at(encoded), at(f[3]), (const int64_t *)at(f[4]), &scale, r.moduli, r.limbs, 1);
    expect("encode", encoded, f[5]);
    fusion_rlwe_decode(at(decoded), at(f[5]), &scale, r.moduli, r.limbs, 1);
    expect("decode", decoded, f[6]);
    const fusion_rlwe *ops;
    for (int k = 0; (ops = fusion_rlwe_variant(k)); k++) {
        block switched = allocate(f[7].size);
        ops->switch_words(at(switched), at(f[5]), &scale, r.moduli, r.limbs, r.n, 1);
        expect("switch", switched, f[7]);
    }
    fusion_rlwe_lift(at(lifted), (const int64_t *)at(f[4]), r.moduli, r.limbs, 1);
    expect("lift", lifted, f[8]);
    fusion_rlwe_reduce(at(reduced), at(f[7]), r.moduli, r.limbs, 1);
    expect("reduce", reduced, f[9]);
    block rounded = copy(f[7]);
    fusion_rlwe_round(at(rounded), &scale, r.n);
    expect("round", rounded, f[6]);
    free_ring(&r);
}

/* pack BITS(1 byte) WORDS PACKED */
static void run_pack(const block *f)
{
    const fusion_rlwe *ops;
    for (int k = 0; (ops = fusion_rlwe_variant(k)); k++) {
        block packed = allocate(f[2].size), words = allocate(f[1].size);
        ops->pack(packed.bytes, at(f[1]), f[0].bytes[0], f[1].size / 8);
        expect("pack", packed, f[2]);
        ops->unpack(at(words), f[2].bytes, f[0].bytes[0], f[1].size / 8);
        expect("unpack", words, f[1]);
    }
}

/* garner N PRIMES INVERSES RESIDUES WORDS, INVERSES being the inverse and its ratio */
static void run_garner(const block *f)
{
    ring r = ring_of(f[0], f[1]);
    block words = allocate(f[4].size);
    fusion_rlwe_join(at(words), at(f[3]), at(f[2])[0], at(f[2])[1], r.moduli, 1);
    expect("garner", words, f[4]);
    free_ring(&r);
}

/* --- ElGamal, with every variant; encodings go through the portable curve, whose points all variants read --- */

static block encode_portable(block points) { return encode(&fusion_ristretto_portable, points); }
static block decode_portable(block encodings) { return decode_valid(&fusion_ristretto_portable, encodings); }

static uint8_t *table_of(const fusion_elgamal *ops, const uint8_t *point)
{
    uint8_t *table = scratch(ops->table_bytes);
    ops->fill_table(table, point);
    return table;
}

/* fixed ELEMENTS(two) SCALARS VALUES ENCODINGS: scalars times the first, values times the second */
static void run_fixed(const block *f)
{
    size_t n = f[1].size / 32;
    const fusion_elgamal *ops;
    for (int i = 0; (ops = fusion_elgamal_variant(i)); i++) {
        block elements = decode_portable(f[0]), points = allocate(FUSION_POINT_BYTES * n);
        int64_t *values = (int64_t *)(void *)scratch(8 * n);
        uint8_t *first = table_of(ops, elements.bytes);
        uint8_t *second = table_of(ops, elements.bytes + FUSION_POINT_BYTES);
        for (size_t k = 0; k < n; k++) {
            values[k] = 0;
            for (size_t b = 8; b-- > 0;) values[k] = (int64_t)((uint64_t)values[k] << 8 | f[2].bytes[8 * k + b]);
        }
        ops->multiply_fixed(points.bytes, FUSION_POINT_BYTES, first, f[1].bytes, second, values, n);
        expect("fixed", encode_portable(points), f[3]);
        free(elements.bytes), free(first), free(second), free(values);
    }
}

/* sums BINS(1 byte) CODES(8 bytes a row) ENCODINGS SUMS(8 bins): by both ways of adding up */
static void run_sums(const block *f)
{
    size_t bins = f[0].bytes[0], n = f[2].size / 32;
    const fusion_elgamal *ops;
    for (int i = 0; (ops = fusion_elgamal_variant(i)); i++) {
        block points = decode_portable(f[2]);
        uint16_t *codes = (uint16_t *)(void *)scratch(2 * FUSION_SUM_LANES * n);
        uint32_t *at = words(FUSION_SUM_LANES * n), *rows = words(FUSION_SUM_LANES * n);
        for (size_t k = 0; k < FUSION_SUM_LANES * n; k++) {
            codes[k] = f[1].bytes[k];
            at[k] = (uint32_t)(k % FUSION_SUM_LANES * bins + codes[k]);
            rows[k] = (uint32_t)(k / FUSION_SUM_LANES);
        }
        for (int way = 0; way < 2; way++) {
            uint8_t *sums = scratch(FUSION_SUM_BYTES * FUSION_SUM_LANES * bins);
            block closed = allocate(FUSION_POINT_BYTES * FUSION_SUM_LANES * bins);
            ops->clear_sums(sums, FUSION_SUM_LANES * bins);
            if (way) ops->group_sum(sums, at, rows, points.bytes, FUSION_POINT_BYTES, n);
            else ops->histogram(sums, codes, bins, points.bytes, FUSION_POINT_BYTES, n);
            ops->close_sums(closed.bytes, FUSION_POINT_BYTES, sums, FUSION_SUM_LANES * bins);
            expect("sums", encode_portable(closed), f[3]);
            free(sums);
        }
        free(points.bytes), free(codes), free(at), free(rows);
    }
}

/* logarithm BITS(1 byte) CENTRES STEPS TABLE PLACES MULTIPLES: the table holds the multiples that TABLE lists, 0, 1, ...
 * at first, so that one insertion of one step, 0, fills it; the last two are as two bytes each, big-endian, plus one */
static void run_logarithm(const block *f)
{
    int bits = f[0].bytes[0];
    size_t n = f[1].size / 32, m = f[2].size / 32, count = f[3].size / 32;
    const fusion_elgamal *ops;
    for (int i = 0; (ops = fusion_elgamal_variant(i)); i++) {
        block centres = decode_portable(f[1]), steps = decode_portable(f[2]), entries = decode_portable(f[3]);
        block places = allocate(2 * n), multiples = allocate(2 * n);
        uint64_t *table = (uint64_t *)(void *)scratch((size_t)8 << bits), *keys, *own;
        int64_t *place = (int64_t *)(void *)scratch(8 * n), *multiple = (int64_t *)(void *)scratch(8 * n);
        int64_t *skip = (int64_t *)(void *)scratch(8 * n);
        own = (uint64_t *)(void *)scratch(16 * count), keys = (uint64_t *)(void *)scratch(16 * n * m);
        memset(table, 0, (size_t)8 << bits);
        ops->quadruple(centres.bytes, centres.bytes, n);
        ops->quadruple(steps.bytes, steps.bytes, m);
        ops->quadruple(entries.bytes, entries.bytes, count);
        ops->neighbours(own, entries.bytes, count, steps.bytes, 1);
        if (fusion_logarithm_insert(table, bits, count, own, 0, 1, count, 1)) fail("a key twice");
        for (size_t k = 0; k < n; k++) multiple[k] = skip[k] = 0;
        fusion_logarithm_search(ops, table, bits, place, multiple, skip, keys, centres.bytes, n, steps.bytes, m);
        for (size_t k = 0; k < n; k++) {
            int64_t found[2] = {place[k] + 1, place[k] < 0 ? 0 : multiple[k] + 1};
            places.bytes[2 * k] = (uint8_t)(found[0] >> 8), places.bytes[2 * k + 1] = (uint8_t)found[0];
            multiples.bytes[2 * k] = (uint8_t)(found[1] >> 8), multiples.bytes[2 * k + 1] = (uint8_t)found[1];
        }
        expect("places", places, f[4]);
        expect("multiples", multiples, f[5]);
        free(centres.bytes), free(steps.bytes), free(entries.bytes), free(table), free(keys), free(own);
        free(place), free(multiple), free(skip);
    }
}

/* reduce WIDE SCALARS */
static void run_reduce(const block *f)
{
    size_t n = f[0].size / 64;
    block scalars = allocate(32 * n);
    fusion_reduce_scalars(scalars.bytes, f[0].bytes, n);
    expect("reduce", scalars, f[1]);
}

/* negate ENCODINGS ENCODINGS */
static void run_negate(const block *f)
{
    block points = decode_portable(f[0]), negatives = allocate(points.size);
    fusion_negate_points(negatives.bytes, points.bytes, points.size / FUSION_POINT_BYTES);
    expect("negate", encode_portable(negatives), f[1]);
    free(points.bytes);
}

/* Which operation a line names, and the kernel whose variants all run it. */
static void run_operation(const char *name, const block *f)
{
    static const struct {
        const char *name;
        void (*curve)(const fusion_ristretto *ops, const block *f);
        void (*sha256)(const fusion_sha256 *sha, const block *f);
        void (*sha512)(const fusion_sha512 *sha, const block *f);
        void (*blocks)(const block *f); /* goes through the variants itself */
    } operations[] = {
        {"from_uniform", .curve = run_from_uniform}, {"decode", .curve = run_decode},
        {"multiply", .curve = run_multiply},         {"multiply_base", .curve = run_multiply_base},
        {"add", .curve = run_add},                   {"sha256", .sha256 = run_sha256},
        {"rows", .sha256 = run_sha256_rows},
        {"columns", .sha256 = run_columns},          {"sha512", .sha512 = run_sha512},
        {"expand", .sha512 = run_expand},            {"aes", .blocks = run_aes},
        {"gf128", .blocks = run_gf128},              {"okvs", .blocks = run_okvs},
        {"ntt", .blocks = run_ntt},                  {"samples", .blocks = run_samples},
        {"scales", .blocks = run_scales},            {"pack", .blocks = run_pack},
        {"garner", .blocks = run_garner},
        {"fixed", .blocks = run_fixed},              {"sums", .blocks = run_sums},
        {"logarithm", .blocks = run_logarithm},      {"reduce", .blocks = run_reduce},
        {"negate", .blocks = run_negate},
        {"join", .blocks = run_join},                {"code", .blocks = run_code},
    };
    for (size_t k = 0; k < sizeof operations / sizeof operations[0]; k++) {
        if (strcmp(name, operations[k].name)) continue;
        const fusion_ristretto *curve;
        const fusion_sha256 *sha256;
        const fusion_sha512 *sha512;
        for (int i = 0; operations[k].curve && (curve = fusion_ristretto_variant(i)); i++) operations[k].curve(curve, f);
        for (int i = 0; operations[k].sha256 && (sha256 = fusion_sha256_variant(i)); i++) operations[k].sha256(sha256, f);
        for (int i = 0; operations[k].sha512 && (sha512 = fusion_sha512_variant(i)); i++) operations[k].sha512(sha512, f);
        if (operations[k].blocks) operations[k].blocks(f);
        return;
    }
    fail("unknown operation");
}

static void run_line(char *line)
{
    block f[MAX_FIELDS];
    int count = 0;
    char *name = line, *at = line + strcspn(line, " \n");
    while (*at == ' ') {
        *at++ = 0;
        size_t digits = strcspn(at, " \n");
        if (count == MAX_FIELDS) fail("too many fields");
        f[count++] = parse(at, digits);
        at += digits;
    }
    *at = 0;
    run_operation(name, f);
    for (int i = 0; i < count; i++) free(f[i].bytes);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        printf("usage: harness CASES\n");
        return 2;
    }
    size_t room = 8u << 20;
    char *line = malloc(room);
    while (line && fgets(line, (int)room, file)) {
        line_number++;
        run_line(line);
    }
    free(line);
    fclose(file);
    printf("%d checks\n", checks);
    return 0;
}
