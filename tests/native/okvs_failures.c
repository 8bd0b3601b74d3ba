/* Counts failures of a key-value store of one bin: standard input holds one number of keys a run, the argument is the
 * number of slots. Prints runs and failures. Built with a narrower band than the product's, which never fails. */
#include <stdio.h>
#include <stdlib.h>

#include "okvs.h"

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    const fusion_aes *aes = fusion_aes_variant(0);
    uint32_t slots = (uint32_t)atoi(argv[1]);
    size_t room = 64 * (size_t)slots, columns = OKVS_BLOCK * ((size_t)slots + OKVS_WORDS - 1);
    uint8_t seed[AES128_KEY] = {0};
    fusion_okvs okvs;
    fusion_okvs_init(&okvs, seed, 1, slots);
    uint8_t *keys = calloc(room, AES_BLOCK), *store = malloc(columns * OKVS_VALUE);
    uint8_t *scratch = aligned_alloc(64, (fusion_okvs_encode_scratch(&okvs) + 63) / 64 * 64);
    uint32_t *slot = malloc(room * sizeof *slot), *order = malloc(room * sizeof *order);
    uint32_t *first = malloc((slots + 2) * sizeof *first);
    if (!keys || !store || !scratch || !slot || !order || !first) return 3;
    for (size_t i = 0; i < room; i++)
        for (int b = 0; b < 4; b++) keys[AES_BLOCK * i + b] = (uint8_t)(i >> 8 * b);
    int runs = 0, failures = 0;
    for (size_t n; scanf("%zu", &n) == 1; runs++) {
        if (n > room) return 4;
        for (int b = 0; b < 4; b++) seed[b] = (uint8_t)(runs >> 8 * b);
        fusion_okvs_init(&okvs, seed, 1, slots);
        fusion_okvs_slots(&okvs, aes, slot, keys, n);
        fusion_okvs_sort(&okvs, order, first, slot, n);
        failures += fusion_okvs_encode(&okvs, aes, store, keys, keys, order, first, scratch, 0, 1) != 0;
    }
    printf("%d %d\n", runs, failures);
    free(keys), free(store), free(scratch), free(slot), free(order), free(first);
    return 0;
}
