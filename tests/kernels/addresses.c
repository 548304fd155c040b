// Calls every kernel with arrays that end where they should, of many sizes.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int norm_forward(const float*, const float*, float*, int64_t, int64_t, const float*, const float*, float*, float*, double, double, int,
                 float*, int);
int norm_backward(const float*, const float*, const float*, float*, float*, int64_t, int64_t, const float*, int, float*,
                  float*, int);
int winograd(const float*, const float*, const int64_t*, int, float*, int64_t, int64_t, int64_t, int64_t, int64_t, int);
int winograd_kernels(const float*, const float*, float*, const int64_t*, int64_t, int64_t, int64_t, int64_t, int64_t, int);

static float* numbers(const int64_t count)
{
    float* made = malloc(count * sizeof(float));
    for (int64_t i = 0; i < count; ++i) made[i] = (float)rand() / RAND_MAX - 0.5f;
    return made;
}

static void one(const int64_t B, const int64_t H, const int64_t W, const int64_t C, const int64_t K)
{
    const int64_t M = B * H * W, strides[] = {C * 9, 9, 3, 1};
    float *x = numbers(M * C), *z = numbers(M * C), *y = numbers(M * C), *dx = numbers(M * C), *dz = numbers(M * C);
    float *channel[4], *state = numbers(5 * C), *out = numbers(M * K), *kernels = numbers(K * C * 9);
    for (int i = 0; i < 4; ++i) channel[i] = numbers(C);
    int failed = norm_forward(x, z, y, M, C, channel[0], channel[1], channel[2], channel[3], 0.1, 1e-5, 1, state, 1);
    failed |= norm_backward(x, z, y, dx, dz, M, C, state, 1, channel[0], channel[1], 1);
    failed |= norm_backward(x, z, 0, dx, 0, M, C, state, 1, channel[0], channel[1], 1);
    failed |= winograd(x, kernels, strides, 0, out, B, H, W, C, K, 1);
    failed |= winograd_kernels(x, out, kernels, strides, B, H, W, C, K, 1);
    float* all[] = {x, z, y, dx, dz, state, out, kernels, channel[0], channel[1], channel[2], channel[3]};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) free(all[i]);
    if (failed) exit(2);
}

int main(void)
{
    const int64_t sizes[] = {1, 2, 5, 8, 16, 17, 32, 64, 67};
    for (int c = 0; c < 9; ++c)
        for (int k = 0; k < 9; ++k) one(1 + c % 3, 4 + k, 11 - c, sizes[c], sizes[k]);
    return 0;
}
