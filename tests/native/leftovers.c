/* Runs the operations that take a scalar on a stack of our own, then looks on it for what they must not leave: the
 * scalar, its digits, and limbs of the projective coordinates of products. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scalar25519.h"
#include "variants.h"

#define N 70
#define STACK ((size_t)1 << 20)

static uint8_t points[FUSION_POINT_BYTES * N], products[FUSION_POINT_BYTES * N], encodings[32 * N], scalars[32 * N];
static uint8_t stack[STACK] __attribute__((aligned(4096)));
static const fusion_ristretto *ops;

static void *multiply(void *scalar) { return ops->multiply(products, points, scalar, N), NULL; }
static void *multiply_encode(void *scalar) { return ops->multiply_encode(encodings, points, scalar, N), NULL; }
static void *multiply_base(void *rows) { return ops->multiply_base(products, rows, N), NULL; }

static uint8_t tables[2][1 << 17] __attribute__((aligned(64)));
static int64_t values[N];
static const fusion_elgamal *elgamal;

static void *encrypt(void *rows)
{
    return elgamal->multiply_fixed(products, FUSION_POINT_BYTES, tables[0], rows, tables[1], values, N), NULL;
}

static void *reduce(void *wide) { return fusion_reduce_scalars(products, wide, N), NULL; }

static void *careless(void *scalar)
{
    uint8_t deep[1 << 14]; /* the end of a thread writes over what is shallow */
    memcpy(deep, scalar, 32);
    __asm__ __volatile__("" : : "r"(deep) : "memory");
    return NULL;
}

static void run(void *(*function)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    memset(stack, 0, sizeof stack);
    if (pthread_attr_init(&attributes) || pthread_attr_setstack(&attributes, stack, sizeof stack) ||
        pthread_create(&thread, &attributes, function, argument) || pthread_join(thread, NULL))
        exit(1);
}

/* How often the 8-byte pieces of `secret` stand on the stack. */
static size_t left(const void *secret, size_t size)
{
    size_t found = 0;
    for (size_t piece = 0; piece + 8 <= size; piece += 8)
        for (size_t at = 0; at + 8 <= sizeof stack; at++)
            found += !memcmp(stack + at, (const uint8_t *)secret + piece, 8);
    return found;
}

static size_t digits_left(const uint8_t scalar[32])
{
    int8_t digits[64];
    int carry = 0;
    for (int i = 0; i < 64; i++) {
        int x = (scalar[i / 2] >> 4 * (i % 2) & 15) + carry;
        carry = (x + 8) >> 4;
        digits[i] = (int8_t)(x - 16 * carry);
    }
    return left(digits, sizeof digits);
}

/* Radix 2^51, as an element stands in words and in the lanes of AVX-512, and radix 2^25.5, one limb or two a word, as in
 * those of AVX2; of the first, a middle and the last row. */
static size_t coordinates_left(const uint8_t *rows)
{
    size_t found = 0;
    for (size_t row = 0; row < N; row += 23)
        for (size_t k = 0; k < 4; k++) {
            uint64_t w[4], limbs[5], halves[10], pairs[5];
            memcpy(w, rows + FUSION_POINT_BYTES * row + 32 * k, sizeof w);
            limbs[0] = w[0], limbs[1] = w[0] >> 51 | w[1] << 13, limbs[2] = w[1] >> 38 | w[2] << 26;
            limbs[3] = w[2] >> 25 | w[3] << 39, limbs[4] = w[3] >> 12;
            for (int i = 0; i < 5; i++) limbs[i] &= ((uint64_t)1 << 51) - 1;
            for (int i = 0; i < 5; i++) {
                halves[2 * i] = limbs[i] & (((uint64_t)1 << 26) - 1), halves[2 * i + 1] = limbs[i] >> 26;
                pairs[i] = halves[2 * i] | halves[2 * i + 1] << 32;
            }
            found += left(limbs, sizeof limbs) + left(halves, sizeof halves) + left(pairs, sizeof pairs);
        }
    return found;
}

static void report(const char *variant, const char *operation, size_t found)
{
    if (found) printf("%s %s left %zu pieces\n", variant, operation, found);
}

int main(int argc, char **argv)
{
    static uint8_t uniform[64 * N];
    uint8_t scalar[32], half[32];
    for (size_t i = 0; i < sizeof uniform; i++) uniform[i] = (uint8_t)(i * i * 7 + i / 64);
    for (int i = 0; i < 32; i++) half[i] = i < 31 ? (uint8_t)(i * 37 + 11) : 3;
    for (int i = 0; i < 32; i++) scalar[i] = (uint8_t)(half[i] << 1 | (i ? half[i - 1] >> 7 : 0)); /* even */
    for (size_t i = 0; i < sizeof scalars; i++) scalars[i] = i % 32 ? scalar[i % 32] : (uint8_t)(i / 16);
    for (int i = 0; (ops = fusion_ristretto_variant(i)); i++) {
        ops->from_uniform(points, uniform, N);
        if (argc == 2 && !strcmp(argv[1], "careless")) {
            run(careless, scalar);
            report(ops->name, "careless", left(scalar, sizeof scalar));
            continue;
        }
        run(multiply, scalar);
        report(ops->name, "multiply", left(scalar, 32) + digits_left(scalar) + coordinates_left(products));
        run(multiply_encode, scalar);
        ops->multiply(products, points, half, N);
        report(ops->name, "multiply_encode", left(half, 32) + digits_left(half) + coordinates_left(products));
        run(multiply_base, scalars);
        report(ops->name, "multiply_base", digits_left(scalars + 32 * (N - 1)) + coordinates_left(products));
    }
    for (int i = 0; argc == 1 && (elgamal = fusion_elgamal_variant(i)); i++) {
        if (elgamal->table_bytes > sizeof tables[0]) return 1;
        for (int k = 0; k < 2; k++) elgamal->fill_table(tables[k], points + FUSION_POINT_BYTES * (size_t)k);
        for (int k = 0; k < N; k++) values[k] = 0x123456789abcdef * (k + 1);
        run(encrypt, scalars);
        report(elgamal->name, "encrypt", digits_left(scalars + 32 * (N - 1)) + coordinates_left(products) +
                              left(&values[N - 1], sizeof values[0]));
    }
    run(reduce, uniform);
    report("every variant's", "reduce", argc == 1 ? left(products + 32 * (N - 1), 32) : 0);
    puts("done");
    return 0;
}
