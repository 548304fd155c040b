// BatchNorm in training, with ReLU and the residual sum: y = relu(a·(x - mean) + bias + z), forward and backward, in float32.
//
// x has M rows of C channels (channels last). Rows are split into PARTS, and these into blocks, whatever the number of
// threads. A block is summed in float32, and blocks are merged in float64. A lane is a channel, so the results depend
// neither on the number of threads nor on the number of lanes.

#include "lanes.h"

enum { PARTS = 64, BLOCK = 4096 };  // floats of a block: it stays in the first-level cache for its second reading

INLINE int64_t begin(const int64_t M, const int part) { return M * part / PARTS; }

INLINE int64_t rows_of_block(const int64_t C) { return C <= BLOCK / 64 ? 64 : C < BLOCK / 4 ? BLOCK / C : 4; }

// ReLU lets NaN pass, and so does its derivative.
INLINE bits positive(const vec value) { return ~(value <= (vec){0}); }
INLINE vec relu(const vec value) { return (vec)((bits)value & positive(value)); }

// Merge the mean and the sum of squares about it of a share of the values into those of the others (Chan et al., 1979).
// weight = n · share, where n values were there before.
INLINE void merge(double* mean, double* squares, const double other, const double others, const double share, const double weight)
{
    const double delta = other - *mean;
    *mean += delta * share;
    *squares += others + delta * delta * weight;
}

// Mean and sum of squares about it of each channel of `rows` rows.
INLINE void moments(const float* x, const int64_t rows, double* mean, double* squares, const int64_t C)
{
    const int64_t height = rows_of_block(C);
    for (int64_t first = 0; first < rows; first += height) {
        const int64_t k = rows - first < height ? rows - first : height;
        const double share = (double)k / (first + k), weight = first * share;
        const float* block = x + first * C;
        COLUMNS(C, {
            vec sum = {0}, sum_of_odd = {0}, rest = {0}, rest_of_odd = {0}, square = {0}, square_of_odd = {0};
            int64_t r = 0;
            for (; r + 1 < k; r += 2) {
                sum += load(block + r * C + c, n);
                sum_of_odd += load(block + (r + 1) * C + c, n);
            }
            if (r < k) sum += load(block + r * C + c, n);
            const vec own = (sum + sum_of_odd) / (float)k;
            for (r = 0; r + 1 < k; r += 2) {
                const vec even = load(block + r * C + c, n) - own, odd = load(block + (r + 1) * C + c, n) - own;
                rest += even;
                rest_of_odd += odd;
                square += even * even;
                square_of_odd += odd * odd;
            }
            if (r < k) {
                const vec even = load(block + r * C + c, n) - own;
                rest += even;
                square += even * even;
            }
            rest += rest_of_odd;
            square += square_of_odd;
            for (int lane = 0; lane < n; ++lane) {
                const double shift = (double)rest[lane] / k;  // what the mean has lost in float32
                merge(mean + c + lane, squares + c + lane, own[lane] + shift, square[lane] - rest[lane] * shift, share, weight);
            }
        })
    }
}

// y = a·(x - mean) + bias [+ z], [ReLU]. To subtract the mean first keeps what a large mean would drown.
INLINE void scaled(const float* x, const float* z, float* y, const int64_t rows, const float* state, const int with_relu,
                   const int64_t C)
{
    const float *mean = state, *a = state + 2 * C, *bias = state + 3 * C;
    for (int64_t r = 0; r < rows; ++r, x += C, y += C)
        COLUMNS(C, {
            vec value = (load(x + c, n) - load(mean + c, n)) * load(a + c, n) + load(bias + c, n);
            if (z) value += load(z + r * C + c, n);
            store(y + c, with_relu ? relu(value) : value, n);
        })
}

// Sums of the gradient g = dy [where y is positive], and of g·(x - mean). If z was added, g is its gradient, dz.
INLINE void gradient_sums(const float* x, const float* dy, const float* y, float* dz, const int64_t rows,
                          const float* state, const int with_relu, double* sums, double* products, const int64_t C)
{
    const float *mean = state, *a = state + 2 * C, *bias = state + 3 * C;
    const int64_t height = rows_of_block(C);
    for (int64_t first = 0; first < rows; first += height) {
        const int64_t end = first + height < rows ? first + height : rows;
        COLUMNS(C, {
            const vec m = load(mean + c, n), slope = load(a + c, n), offset = load(bias + c, n);
            vec sum = {0}, product = {0};
            for (int64_t i = first * C + c; i < end * C; i += C) {
                const vec centred = load(x + i, n) - m;
                vec g = load(dy + i, n);
                if (y) {
                    if (with_relu) g = (vec)((bits)g & positive(load(y + i, n)));
                    store(dz + i, g, n);
                } else if (with_relu) {
                    g = (vec)((bits)g & positive(centred * slope + offset));
                }
                sum += g;
                product += g * centred;
            }
            for (int lane = 0; lane < n; ++lane) {
                sums[c + lane] += sum[lane];
                products[c + lane] += product[lane];
            }
        })
    }
}

// dx = a·g - p·(x - mean) - q.
INLINE void gradient(const float* x, const float* g, float* dx, const int64_t rows,
                     const float* state, const int with_relu, const float* p, const float* q, const int64_t C)
{
    const float *mean = state, *a = state + 2 * C, *bias = state + 3 * C;
    for (int64_t r = 0; r < rows; ++r, x += C, g += C, dx += C)
        COLUMNS(C, {
            const vec centred = load(x + c, n) - load(mean + c, n), slope = load(a + c, n);
            vec own = load(g + c, n);
            if (with_relu) own = (vec)((bits)own & positive(centred * slope + load(bias + c, n)));
            store(dx + c, own * slope - centred * load(p + c, n) - load(q + c, n), n);
        })
}

// Statistics of all parts; the running ones are updated. state (5, C): mean, 1/deviation, a = weight/deviation, bias, and what
// the mean lost in rounding to float32. The bias makes up for that.
static void finish(const double* means, const double* squares, const int64_t M, const int64_t C, const float* weight,
                   const float* bias, float* running_mean, float* running_variance, const double momentum,
                   const double eps, float* state)
{
    for (int64_t c = 0; c < C; ++c) {
        double mean = 0, square = 0;
        for (int part = 0; part < PARTS; ++part) {
            const int64_t before = begin(M, part), end = begin(M, part + 1);
            if (end == before) continue;
            const double share = (double)(end - before) / end;
            merge(&mean, &square, means[part * C + c], squares[part * C + c], share, before * share);
        }
        const double scale = 1 / sqrt(square / M + eps);
        state[c] = mean;
        state[C + c] = scale;
        state[2 * C + c] = scale * weight[c];
        state[4 * C + c] = mean - state[c];
        state[3 * C + c] = bias[c] - scale * weight[c] * (mean - state[c]);
        running_mean[c] += momentum * (mean - running_mean[c]);
        running_variance[c] += momentum * (square / (M - 1) - running_variance[c]);
    }
}

// Returns 0, or -1 if there is no memory.
int norm_forward(const float* x, const float* z, float* y, const int64_t M, const int64_t C, const float* weight,
                 const float* bias, float* running_mean, float* running_variance, const double momentum,
                 const double eps, const int with_relu, float* state, const int threads)
{
    double* means = calloc(2 * PARTS * C, sizeof(double));
    if (!means) return -1;
    double* squares = means + PARTS * C;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int part = 0; part < PARTS; ++part) {
            const int64_t first = begin(M, part), rows = begin(M, part + 1) - first;
            BY_WIDTH(C, moments, x + first * C, rows, means + part * C, squares + part * C)
        }
#pragma omp single
        finish(means, squares, M, C, weight, bias, running_mean, running_variance, momentum, eps, state);
#pragma omp for schedule(static)
        for (int reversed = 0; reversed < PARTS; ++reversed) {  // the last part was read last, and may be in the cache
            const int part = PARTS - 1 - reversed;
            const int64_t first = begin(M, part), rows = begin(M, part + 1) - first, at = first * C;
            BY_WIDTH(C, scaled, x + at, z ? z + at : 0, y + at, rows, state, with_relu)
        }
    }
    free(means);
    return 0;
}

// y and dz are given if z was added. Returns 0, or -1 if there is no memory.
int norm_backward(const float* x, const float* dy, const float* y, float* dx, float* dz,
                  const int64_t M, const int64_t C, const float* state, const int with_relu, float* dweight,
                  float* dbias, const int threads)
{
    double* sums = calloc(2 * PARTS * C, sizeof(double));
    float* p = malloc(2 * C * sizeof(float));
    if (!sums || !p) {
        free(sums);
        free(p);
        return -1;
    }
    double* products = sums + PARTS * C;
    float* q = p + C;
    const float *scale = state + C, *a = state + 2 * C, *lost = state + 4 * C, *g = y ? dz : dy;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int part = 0; part < PARTS; ++part) {
            const int64_t first = begin(M, part), rows = begin(M, part + 1) - first, at = first * C;
            BY_WIDTH(C, gradient_sums, x + at, dy + at, y ? y + at : 0, dz ? dz + at : 0, rows, state, with_relu,
                     sums + part * C, products + part * C)
        }
#pragma omp single
        for (int64_t c = 0; c < C; ++c) {
            double sum = 0, product = 0;
            for (int part = 0; part < PARTS; ++part) {
                sum += sums[part * C + c];
                product += products[part * C + c];
            }
            product -= sum * lost[c];
            dweight[c] = product * scale[c];
            dbias[c] = sum;
            p[c] = a[c] * product * scale[c] * scale[c] / M;
            q[c] = a[c] * sum / M - p[c] * lost[c];
        }
#pragma omp for schedule(static)
        for (int reversed = 0; reversed < PARTS; ++reversed) {
            const int part = PARTS - 1 - reversed;
            const int64_t first = begin(M, part), rows = begin(M, part + 1) - first, at = first * C;
            BY_WIDTH(C, gradient, x + at, g + at, dx + at, rows, state, with_relu && !y, p, q)
        }
    }
    free(sums);
    free(p);
    return 0;
}
