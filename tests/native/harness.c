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
#include "gf128.h"
#include "hashing.h"
#include "ntt.h"
#include "okvs.h"
#include "rlwe.h"
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

/* hmac KEY MESSAGE TAG, the tag possibly truncated */
static void run_hmac(const fusion_sha256 *sha, const block *f)
{
    hmac_sha256 mac;
    block tag = allocate(SHA256_BYTES);
    const uint8_t *const data[1] = {f[1].bytes};
    hmac_sha256_init(sha, &mac, f[0].bytes, f[0].size);
    sha256 message = mac.inner;
    sha256_update(sha, &message, data, &f[1].size, 1);
    hmac_sha256_finish(sha, &mac, &message, tag.bytes, 1);
    tag.size = f[2].size;
    expect("hmac", tag, f[2]);
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

/* columns KEY START(1 byte) OFFSETS DATA OFFSETS DATA TAGS: two columns, offsets 8 bytes little-endian each */
static void run_columns(const fusion_sha256 *sha, const block *f)
{
    const int64_t *offsets[2];
    const uint8_t *data[2] = {f[3].bytes, f[5].bytes};
    block tags = allocate(f[6].size);
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
    fusion_hmac_sha256_columns(sha, tags.bytes, f[0].bytes, f[0].size, offsets, data, 2, f[1].bytes[0],
                               f[6].size / SHA256_BYTES);
    expect("hmac_columns", tags, f[6]);
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
        block uniform = allocate(f[3].size), ternary = allocate(f[4].size), error = allocate(f[5].size);
        block flooded = allocate(f[7].size);
        fusion_rlwe_uniform(aes, at(uniform), round_keys, r.moduli, r.limbs, 1, 1);
        expect("uniform", uniform, f[3]);
        fusion_rlwe_ternary(aes, (int64_t *)at(ternary), round_keys, r.n, 1, 1);
        expect("ternary", ternary, f[4]);
        fusion_rlwe_error(aes, (int64_t *)at(error), round_keys, r.n, 1, 1);
        expect("error", error, f[5]);
        memset(flooded.bytes, 0, flooded.size);
        fusion_rlwe_flood(aes, at(flooded), round_keys, f[6].bytes[0], r.moduli, r.limbs, r.n, 1, 1);
        expect("flood", flooded, f[7]);
    }
    free_ring(&r);
}

/* scales N PRIMES SCALE M E ENCODED DECODED SWITCHED LIFTED REDUCED, what is read back being ENCODED, M and E */
static void run_scales(const block *f)
{
    ring r = ring_of(f[0], f[1]);
    fusion_scale scale;
    memcpy(&scale, f[2].bytes, sizeof scale);
    block encoded = allocate(f[5].size), decoded = allocate(f[6].size), switched = allocate(f[7].size);
    block lifted = allocate(f[8].size), reduced = allocate(f[9].size);
    fusion_rlwe_encode(at(encoded), at(f[3]), (const int64_t *)at(f[4]), &scale, r.moduli, r.limbs, 1);
    expect("encode", encoded, f[5]);
    fusion_rlwe_decode(at(decoded), at(f[5]), &scale, r.moduli, r.limbs, 1);
    expect("decode", decoded, f[6]);
    fusion_rlwe_switch(at(switched), at(f[5]), &scale, r.moduli, r.limbs, r.n, 1);
    fusion_rlwe_lift(at(lifted), (const int64_t *)at(f[4]), r.moduli, r.limbs, 1);
    expect("lift", lifted, f[8]);
    fusion_rlwe_reduce(at(reduced), at(f[7]), r.moduli, r.limbs, 1);
    expect("reduce", reduced, f[9]);
    block rounded = copy(switched);
    fusion_rlwe_round(at(rounded), &scale, r.n);
    expect("round", rounded, f[6]);
    expect("switch", switched, f[7]);
    free_ring(&r);
}

/* pack BITS(1 byte) WORDS PACKED */
static void run_pack(const block *f)
{
    block packed = allocate(f[2].size), words = allocate(f[1].size);
    fusion_rlwe_pack(packed.bytes, at(f[1]), f[0].bytes[0], f[1].size / 8);
    expect("pack", packed, f[2]);
    fusion_rlwe_unpack(at(words), f[2].bytes, f[0].bytes[0], f[1].size / 8);
    expect("unpack", words, f[1]);
}

/* join N PRIMES GARNER RESIDUES WORDS, GARNER being the inverse and its ratio */
static void run_join(const block *f)
{
    ring r = ring_of(f[0], f[1]);
    block words = allocate(f[4].size);
    fusion_rlwe_join(at(words), at(f[3]), at(f[2])[0], at(f[2])[1], r.moduli, 1);
    expect("join", words, f[4]);
    free_ring(&r);
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
        {"hmac", .sha256 = run_hmac},                {"rows", .sha256 = run_sha256_rows},
        {"columns", .sha256 = run_columns},          {"sha512", .sha512 = run_sha512},
        {"expand", .sha512 = run_expand},            {"aes", .blocks = run_aes},
        {"gf128", .blocks = run_gf128},              {"okvs", .blocks = run_okvs},
        {"ntt", .blocks = run_ntt},                  {"samples", .blocks = run_samples},
        {"scales", .blocks = run_scales},            {"pack", .blocks = run_pack},
        {"join", .blocks = run_join},
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
