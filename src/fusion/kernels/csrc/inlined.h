/* TARGET_INLINE: a helper that is inlined into functions for the same kind of CPU. The includer has defined TARGET. */
#ifndef FUSION_INLINED_H
#define FUSION_INLINED_H

/* Everything is inlined into the loops. Not under a sanitizer, which checks each load of each copy: that build would
 * take minutes, and nobody times it. */
#if defined(__has_feature)
#define FIELD_HAS_FEATURE __has_feature
#else
#define FIELD_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || FIELD_HAS_FEATURE(address_sanitizer)
#define TARGET_INLINE static __attribute__((noinline, unused)) TARGET
#else
#define TARGET_INLINE static inline __attribute__((always_inline)) TARGET
#endif

#endif
