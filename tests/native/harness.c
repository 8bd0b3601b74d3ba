/* Runs cases from a text file through the C kernels, for every variant, under sanitisers.
 *
 * A line is an operation and its fields, inputs and expected results, hexadecimal, "-" for empty. Every buffer is a
 * heap block of exactly its size, so that one byte read or written past an end is caught. Prints the number of checks
 * made; on a difference prints the line and exits with 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hashing.h"
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

/* Runs the operation that a line names, with every variant of the kernel it belongs to. */
static void run_operation(const char *name, const block *f)
{
    static const struct {
        const char *name;
        void (*curve)(const fusion_ristretto *ops, const block *f);
        void (*sha256)(const fusion_sha256 *sha, const block *f);
        void (*sha512)(const fusion_sha512 *sha, const block *f);
    } operations[] = {
        {"from_uniform", .curve = run_from_uniform}, {"decode", .curve = run_decode},
        {"multiply", .curve = run_multiply},         {"multiply_base", .curve = run_multiply_base},
        {"add", .curve = run_add},                   {"sha256", .sha256 = run_sha256},
        {"hmac", .sha256 = run_hmac},                {"rows", .sha256 = run_sha256_rows},
        {"columns", .sha256 = run_columns},          {"sha512", .sha512 = run_sha512},
        {"expand", .sha512 = run_expand},
    }, *found = NULL;
    for (size_t k = 0; k < sizeof operations / sizeof operations[0]; k++)
        if (!strcmp(name, operations[k].name)) found = &operations[k];
    if (!found) fail("unknown operation");
    const fusion_ristretto *curve;
    const fusion_sha256 *sha256;
    const fusion_sha512 *sha512;
    for (int i = 0; found->curve && (curve = fusion_ristretto_variant(i)); i++) found->curve(curve, f);
    for (int i = 0; found->sha256 && (sha256 = fusion_sha256_variant(i)); i++) found->sha256(sha256, f);
    for (int i = 0; found->sha512 && (sha512 = fusion_sha512_variant(i)); i++) found->sha512(sha512, f);
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
