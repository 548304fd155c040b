// Convolutions with 3×3 kernels, stride 1 and a border of zeros, by Winograd's F(2×2, 3×3) (arXiv:1509.09308, section 4):
// 16 products for 4 outputs, where a direct convolution needs 36.
//
// Maps are (B, H, W, C), channels last, of any size. Outputs are computed in tiles of 2×2, from patches of 4×4. Groups of
// TILES tiles are transformed and multiplied at a time. Each output belongs to one group, and sums over groups have fixed
// parts, so the results do not depend on the number of threads.

#include "lanes.h"

enum { TILES = 24, POINTS = 16, PARTS = 8 };

typedef struct {
    int64_t images, height, width;  // of the maps
    int64_t rows, columns, tiles;   // tiles of an image, and of all images
} Grid;

static Grid grid_of(const int64_t images, const int64_t height, const int64_t width)
{
    const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
    return (Grid){images, height, width, rows, columns, images * rows * columns};
}

INLINE int64_t padded(const int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// From one point of a group to the next. Multiples of 4096 bytes would share their places in the first-level cache.
INLINE int64_t apart(const int64_t stride) { return TILES * stride + 16; }

INLINE float* floats(const int64_t count) { return aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64); }

// What a thread needs for one group: transformed patches of C maps, as much for K maps, and a patch of either.
typedef struct {
    float *patches, *others, *copy;
} Space;

static Space space_for(const int64_t C, const int64_t K)
{
    return (Space){floats(POINTS * apart(padded(C))), floats(POINTS * apart(padded(K))), floats(16 * padded(C > K ? C : K))};
}

INLINE int is_short(const Space* space) { return !space->patches || !space->others || !space->copy; }

static void release(const Space* space)
{
    free(space->patches);
    free(space->others);
    free(space->copy);
}

// A tile: where its values, or those of its patch, begin, how far apart its rows are, and how many are inside of the map.
typedef struct {
    int64_t at, top, left, bottom, right;  // `at` counts positions of all maps; the others, rows and columns of the tile
} Tile;

// The tile of this number, whose size×size values begin `shift` before it.
INLINE Tile tile_of(const Grid* grid, const uint32_t number, const int shift, const int size)
{
    const uint32_t of_image = grid->rows * grid->columns, image = number / of_image, place = number % of_image;
    const int64_t row = 2 * (int64_t)(place / (uint32_t)grid->columns) - shift;
    const int64_t column = 2 * (int64_t)(place % (uint32_t)grid->columns) - shift;
    const int64_t below = grid->height - row, beside = grid->width - column;
    return (Tile){(image * grid->height + row) * grid->width + column, row < 0 ? -row : 0, column < 0 ? -column : 0,
                  below < size ? below : size, beside < size ? beside : size};
}

INLINE int is_inside(const Tile* tile, const int size)
{
    return !tile->top && !tile->left && tile->bottom == size && tile->right == size;
}

// Ask for values that will soon be needed: which, the processor cannot guess from four rows at once.
INLINE void prefetch(const float* rows, const int64_t row, const int count, const int64_t length)
{
    for (int i = 0; i < count; ++i)
        for (int64_t at = 0; at < length; at += 16) __builtin_prefetch(rows + i * row + at);
}

// Copy the values inside of the map of a tile at a border to the middle of zeros.
static void copy_in(const float* maps, const int64_t width, const Tile* tile, float* copy, const int size, const int64_t C)
{
    memset(copy, 0, sizeof(float) * size * size * C);
    for (int64_t i = tile->top; i < tile->bottom; ++i)
        memcpy(copy + (i * size + tile->left) * C, maps + (tile->at + i * width + tile->left) * C,
               sizeof(float) * (tile->right - tile->left) * C);
}

// Bᵀ·d·B of the 4×4 values at d: POINTS results, `far` apart.
INLINE void transform_patch(const float* d, const int64_t row, float* to, const int64_t far, const int64_t C)
{
    COLUMNS(C, {
        vec half[4][4];
    UNROLLED
        for (int j = 0; j < 4; ++j) {
            const float* at = d + j * C + c;
            const vec d0 = load(at, n), d1 = load(at + row, n), d2 = load(at + 2 * row, n), d3 = load(at + 3 * row, n);
            half[0][j] = d0 - d2;
            half[1][j] = d1 + d2;
            half[2][j] = d2 - d1;
            half[3][j] = d1 - d3;
        }
    UNROLLED
        for (int i = 0; i < 4; ++i) {
            float* point = to + 4 * i * far + c;
            store(point, half[i][0] - half[i][2], LANES);
            store(point + far, half[i][1] + half[i][2], LANES);
            store(point + 2 * far, half[i][2] - half[i][1], LANES);
            store(point + 3 * far, half[i][1] - half[i][3], LANES);
        }
    })
}

// A·g·Aᵀ of the 2×2 values at g.
INLINE void transform_gradient(const float* g, const int64_t row, float* to, const int64_t far, const int64_t K)
{
    COLUMNS(K, {
        vec half[4][2];
    UNROLLED
        for (int j = 0; j < 2; ++j) {
            const vec g0 = load(g + j * K + c, n), g1 = load(g + row + j * K + c, n);
            half[0][j] = g0;
            half[1][j] = g0 + g1;
            half[2][j] = g0 - g1;
            half[3][j] = -g1;
        }
    UNROLLED
        for (int i = 0; i < 4; ++i) {
            float* point = to + 4 * i * far + c;
            store(point, half[i][0], LANES);
            store(point + far, half[i][0] + half[i][1], LANES);
            store(point + 2 * far, half[i][0] - half[i][1], LANES);
            store(point + 3 * far, -half[i][1], LANES);
        }
    })
}

// The 2×2 values Aᵀ·m·A.
INLINE void transform_product(const float* m, const int64_t far, float* to, const int64_t row, const int64_t K)
{
    COLUMNS(K, {
        vec half[2][4];
    UNROLLED
        for (int j = 0; j < 4; ++j) {
            const float* at = m + j * far + c;
            const vec m0 = load(at, LANES), m1 = load(at + 4 * far, LANES);
            const vec m2 = load(at + 8 * far, LANES), m3 = load(at + 12 * far, LANES);
            half[0][j] = m0 + m1 + m2;
            half[1][j] = m1 - m2 - m3;
        }
    UNROLLED
        for (int i = 0; i < 2; ++i) {
            store(to + i * row + c, half[i][0] + half[i][1] + half[i][2], n);
            store(to + i * row + K + c, half[i][1] - half[i][2] - half[i][3], n);
        }
    })
}

// The patches of a group, or its tiles of gradients, transformed: (POINTS, TILES, padded C). Zeros follow the last tile.
INLINE void transform(const float* maps, const Grid* grid, const int64_t group, float* copy, float* to, const int of_patches, const int64_t C)
{
    const int64_t stride = padded(C), far = apart(stride), first = group * TILES;
    const int size = of_patches ? 4 : 2;
    for (int t = 0; t < TILES; ++t) {
        const float* values = copy;
        int64_t row = size * C;
        if (first + t >= grid->tiles) {
            memset(copy, 0, sizeof(float) * size * size * C);
        } else {
            const Tile tile = tile_of(grid, first + t, of_patches ? 1 : 0, size);
            if (is_inside(&tile, size)) {
                values = maps + tile.at * C;
                row = grid->width * C;
                prefetch(values + (2 * TILES + size - 2) * C, row, size, 2 * C);  // of the next group
            } else {
                copy_in(maps, grid->width, &tile, copy, size, C);
            }
        }
        if (of_patches)
            transform_patch(values, row, to + t * stride, far, C);
        else
            transform_gradient(values, row, to + t * stride, far, C);
    }
}

INLINE void write_outputs(const float* products, const Grid* grid, const int64_t group, float* copy, float* y, const int64_t K)
{
    const int64_t stride = padded(K), far = apart(stride), first = group * TILES;
    for (int t = 0; t < TILES && first + t < grid->tiles; ++t) {
        const Tile tile = tile_of(grid, first + t, 0, 2);
        if (is_inside(&tile, 2)) {
            float* outputs = y + tile.at * K;
            prefetch(outputs + 4 * 2 * K, grid->width * K, 2, 2 * K);  // four tiles ahead
            transform_product(products + t * stride, far, outputs, grid->width * K, K);
            continue;
        }
        transform_product(products + t * stride, far, copy, 2 * K, K);
        for (int64_t i = 0; i < tile.bottom; ++i)
            memcpy(y + (tile.at + i * grid->width) * K, copy + i * 2 * K, sizeof(float) * tile.right * K);
    }
}

// `height` rows and `width` vectors of to [+]= Σ_s left[s]·right[s], with constants that let all sums stay in registers.
INLINE void product(const float* left, const int64_t of_row, const int64_t of_step, const float* right, const int64_t steps,
                    const int64_t stride, float* to, const int adds, const int height, const int width)
{
    vec sums[16][2];
    UNROLLED
    for (int r = 0; r < height; ++r)
    UNROLLED
        for (int w = 0; w < width; ++w) sums[r][w] = adds ? load(to + r * stride + w * LANES, LANES) : (vec){0};
    for (int64_t s = 0; s < steps; ++s, left += of_step, right += stride) {
        vec factors[2];
    UNROLLED
        for (int w = 0; w < width; ++w) factors[w] = load(right + w * LANES, LANES);
    UNROLLED
        for (int r = 0; r < height; ++r)
    UNROLLED
            for (int w = 0; w < width; ++w) sums[r][w] += left[r * of_row] * factors[w];
    }
    UNROLLED
    for (int r = 0; r < height; ++r)
    UNROLLED
        for (int w = 0; w < width; ++w) store(to + r * stride + w * LANES, sums[r][w], LANES);
}

// The same for any number of rows.
INLINE void rows_of_product(const float* left, const int64_t of_row, const int64_t of_step, const float* right, const int64_t steps,
                            const int64_t stride, float* to, const int adds, const int64_t height, const int width)
{
    int64_t r = 0;
#define WITH(COUNT)                                  \
    for (; r + COUNT <= height; r += COUNT)          \
        product(left + r * of_row, of_row, of_step, right, steps, stride, to + r * stride, adds, COUNT, width);
    WITH(6)
    WITH(4)
    WITH(1)
#undef WITH
}

// to (rows, padded K) [+]= Σ_s left (rows, s)·right (s, padded K).
NOT_INLINED void multiply(const float* left, const int64_t of_row, const int64_t of_step, const float* right, const int64_t steps,
                     float* to, const int adds, const int64_t rows, const int64_t K)
{
    const int64_t stride = padded(K);
    int64_t k = 0;
    for (; k + 2 * LANES <= stride; k += 2 * LANES)
        rows_of_product(left, of_row, of_step, right + k, steps, stride, to + k, adds, rows, 2);
    if (k < stride) rows_of_product(left, of_row, of_step, right + k, steps, stride, to + k, adds, rows, 1);
}

// G·g·Gᵀ of each kernel: (POINTS, C, padded K). `strides`: of K, C, row and column of the kernels.
static void transform_kernels(const float* kernels, const int64_t* strides, const int flips, float* to, const int64_t C, const int64_t K)
{
    const int64_t stride = padded(K);
    for (int64_t c = 0; c < C; ++c)
        for (int64_t k = 0; k < stride; ++k) {
            float g[3][3] = {{0}}, half[4][3];
            if (k < K)
                for (int i = 0; i < 3; ++i)
                    for (int j = 0; j < 3; ++j) {
                        const int row = flips ? 2 - i : i, column = flips ? 2 - j : j;
                        g[i][j] = kernels[k * strides[0] + c * strides[1] + row * strides[2] + column * strides[3]];
                    }
            for (int j = 0; j < 3; ++j) {
                half[0][j] = g[0][j];
                half[1][j] = (g[0][j] + g[1][j] + g[2][j]) / 2;
                half[2][j] = (g[0][j] - g[1][j] + g[2][j]) / 2;
                half[3][j] = g[2][j];
            }
            float* point = to + c * stride + k;
            for (int i = 0; i < 4; ++i) {
                point[(4 * i + 0) * C * stride] = half[i][0];
                point[(4 * i + 1) * C * stride] = (half[i][0] + half[i][1] + half[i][2]) / 2;
                point[(4 * i + 2) * C * stride] = (half[i][0] - half[i][1] + half[i][2]) / 2;
                point[(4 * i + 3) * C * stride] = half[i][2];
            }
        }
}

INLINE void outputs_of_group(const float* x, const float* kernels, float* y, const Grid* grid, const int64_t group,
                             const Space* space, const int64_t C, const int64_t K)
{
    transform(x, grid, group, space->copy, space->patches, 1, C);
    for (int f = 0; f < POINTS; ++f)
        multiply(space->patches + f * apart(padded(C)), padded(C), 1, kernels + f * C * padded(K), C,
                 space->others + f * apart(padded(K)), 0, TILES, K);
    write_outputs(space->others, grid, group, space->copy, y, K);
}

// y (B, H, W, K) of x (B, H, W, C). With `flips`, kernels are turned by 180°, as for the gradient of an input.
// Returns 0, or -1 if there is no memory.
int winograd(const float* x, const float* kernels, const int64_t* strides, const int flips, float* y, const int64_t B,
             const int64_t H, const int64_t W, const int64_t C, const int64_t K, const int threads)
{
    const Grid grid = grid_of(B, H, W);
    const int64_t groups = (grid.tiles + TILES - 1) / TILES;
    float* transformed = floats(POINTS * C * padded(K));
    if (!transformed) return -1;
    transform_kernels(kernels, strides, flips, transformed, C, K);
    int failed = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(| : failed)
    {
        const Space space = space_for(C, K);
        failed |= is_short(&space);
#pragma omp for schedule(static)
        for (int64_t group = 0; group < groups; ++group)
            if (!failed) BY_WIDTHS(C, K, outputs_of_group, x, transformed, y, &grid, group, &space)
        release(&space);
    }
    free(transformed);
    return failed ? -1 : 0;
}

// Gᵀ·d·G of the sums of all parts, to the gradients of kernels k to k + LANES of one input map.
static void write_kernels(const float* sums, const int64_t of_part, const int64_t of_point, float* to, const int64_t* strides,
                          const int64_t kernels)
{
    double d[POINTS][LANES] = {{0}};
    for (int part = 0; part < PARTS; ++part)
        for (int f = 0; f < POINTS; ++f)
            for (int lane = 0; lane < LANES; ++lane) d[f][lane] += sums[part * of_part + f * of_point + lane];
    for (int64_t lane = 0; lane < kernels; ++lane, to += strides[0]) {
        double half[3][4];
        for (int j = 0; j < 4; ++j) {
            const double d0 = d[j][lane], d1 = d[4 + j][lane], d2 = d[8 + j][lane], d3 = d[12 + j][lane];
            half[0][j] = d0 + (d1 + d2) / 2;
            half[1][j] = (d1 - d2) / 2;
            half[2][j] = (d1 + d2) / 2 + d3;
        }
        for (int i = 0; i < 3; ++i) {
            to[i * strides[2]] = half[i][0] + (half[i][1] + half[i][2]) / 2;
            to[i * strides[2] + strides[3]] = (half[i][1] - half[i][2]) / 2;
            to[i * strides[2] + 2 * strides[3]] = (half[i][1] + half[i][2]) / 2 + half[i][3];
        }
    }
}

INLINE void gradient_of_group(const float* x, const float* dy, float* sums, const Grid* grid, const int64_t group,
                              const Space* space, const int64_t C, const int64_t K)
{
    transform(x, grid, group, space->copy, space->patches, 1, C);
    transform(dy, grid, group, space->copy, space->others, 0, K);
    for (int f = 0; f < POINTS; ++f)
        multiply(space->patches + f * apart(padded(C)), 1, padded(C), space->others + f * apart(padded(K)), TILES,
                 sums + f * C * padded(K), 1, C, K);
}

// The gradient of the kernels, from x (B, H, W, C) and dy (B, H, W, K). Returns 0, or -1 if there is no memory.
int winograd_kernels(const float* x, const float* dy, float* to, const int64_t* strides, const int64_t B, const int64_t H,
                     const int64_t W, const int64_t C, const int64_t K, const int threads)
{
    const Grid grid = grid_of(B, H, W);
    const int64_t groups = (grid.tiles + TILES - 1) / TILES, of_part = POINTS * C * padded(K);
    float* sums = calloc(PARTS * of_part, sizeof(float));
    if (!sums) return -1;
    int failed = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(| : failed)
    {
        const Space space = space_for(C, K);
        failed |= is_short(&space);
#pragma omp for schedule(static)
        for (int part = 0; part < PARTS; ++part)
            for (int64_t group = groups * part / PARTS; group < groups * (part + 1) / PARTS && !failed; ++group)
                BY_WIDTHS(C, K, gradient_of_group, x, dy, sums + part * of_part, &grid, group, &space)
        release(&space);
    }
    for (int64_t c = 0; c < C && !failed; ++c)
        for (int64_t k = 0; k < K; k += LANES)
            write_kernels(sums + c * padded(K) + k, of_part, C * padded(K), to + k * strides[0] + c * strides[1], strides,
                          K - k < LANES ? K - k : LANES);
    free(sums);
    return failed ? -1 : 0;
}
