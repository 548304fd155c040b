// Vectors of float32 in GCC's and Clang's extension of C, which both translate for AVX2, AVX-512 and NEON alike.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t bits __attribute__((vector_size(4 * LANES)));

#define INLINE static inline __attribute__((always_inline))
#define NOT_INLINED static __attribute__((noinline))  // compiles faster
#define UNROLLED _Pragma("GCC unroll 16")

// With n == LANES, which compilers see, these are single instructions; with less, the other lanes are zero.
INLINE vec load(const float* from, const int64_t n)
{
    vec value = {0};
    memcpy(&value, from, sizeof(float) * n);
    return value;
}

INLINE void store(float* to, const vec value, const int64_t n)
{
    memcpy(to, &value, sizeof(float) * n);
}

// Run a body for each group of lanes of C columns, from column c on, with n of them; the last group may be smaller.
#define COLUMNS(C, ...)                              \
    for (int64_t c = 0; c < (C); c += LANES) {       \
        if (c + LANES <= (C)) {                      \
            enum { n = LANES };                      \
            __VA_ARGS__                              \
        } else {                                     \
            const int64_t n = (C)-c;                 \
            __VA_ARGS__                              \
        }                                            \
    }

// Call `function` with the number of columns C as a constant where it is a usual one: its loops are then unrolled.
#define BY_WIDTH(C, function, ...)                   \
    switch (C) {                                     \
    case 16: function(__VA_ARGS__, 16); break;       \
    case 32: function(__VA_ARGS__, 32); break;       \
    case 64: function(__VA_ARGS__, 64); break;       \
    default: function(__VA_ARGS__, C);               \
    }

#define BY_WIDTHS(C, K, function, ...)                                    \
    switch ((C) == (K) ? (C) : 0) {                                       \
    case 16: function(__VA_ARGS__, 16, 16); break;                        \
    case 32: function(__VA_ARGS__, 32, 32); break;                        \
    default: function(__VA_ARGS__, C, K);                                 \
    }
