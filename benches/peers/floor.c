// The floor: prototypes in C of what one core can do, no library. Built by floor.py:
// cc -O3 -march=native -ffast-math -shared -fPIC -o libfloor.so floor.c -lmvec -lm
#define _GNU_SOURCE
#include <fcntl.h>
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A chain of dependent additions, one a cycle: gives the clock.
long clock_chain(long n) {
    long x = 1;
    for (long k = 0; k < n / 8; k++)
        __asm__ volatile("add $1,%0\n add $1,%0\n add $1,%0\n add $1,%0\n"
                         "add $1,%0\n add $1,%0\n add $1,%0\n add $1,%0\n" : "+r"(x));
    return x;
}

// So many multiply-adds of float64 in registers, twelve sums side by side: the limit of the arithmetic alone.
double multiply_adds(long n) {
#ifdef __AVX512F__
    typedef double vec __attribute__((vector_size(64)));
#else
    typedef double vec __attribute__((vector_size(32)));
#endif
    const long lanes = sizeof(vec) / sizeof(double);
    vec a = {1.0, 2.0}, b = {0.5, 0.25}, zero = {0};
    vec s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero;
    vec s6 = zero, s7 = zero, s8 = zero, s9 = zero, s10 = zero, s11 = zero;
    for (long k = 0; k < n / (12 * lanes); k++) {
#define S(s) s += a * b; __asm__ volatile("" : "+v"(s));
        S(s0) S(s1) S(s2) S(s3) S(s4) S(s5) S(s6) S(s7) S(s8) S(s9) S(s10) S(s11)
#undef S
        __asm__ volatile("" : "+v"(a));   // or a * b would be taken out of the loop
    }
    s0 += s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;
    return s0[0] + s0[1];
}

// Multiply `width` numbers in each of some rows: what any effect in place must touch.
void touch(float *p, size_t rows, size_t stride, size_t width) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++) p[r * stride + i] *= 0.9999f;
}

// Set them: what a mask must touch.
void fill(float *p, size_t rows, size_t stride, size_t width, float value) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++) p[r * stride + i] = value;
}

// PCM16 to float32.
void cvt16(const int16_t *s, float *d, size_t n) {
    const float k = 1.0f / 32768.0f;
    for (size_t i = 0; i < n; i++) d[i] = s[i] * k;
}

// Open, read and convert a file with the usual header of 44 bytes.
long wav_read_cvt(const char *path, int16_t *tmp, float *d, size_t n) {
    int fd = open(path, O_RDONLY); if (fd < 0) return -1;
    char h[44]; if (read(fd, h, 44) != 44) { close(fd); return -2; }
    size_t done = 0;
    while (done < n) {                       // 64 KiB chunks keep the bounce buffer in L2
        size_t want = (n - done) < 32768 ? (n - done) : 32768;
        ssize_t g = read(fd, tmp, want * 2); if (g <= 0) break;
        cvt16(tmp, d + done, g / 2); done += g / 2;
    }
    close(fd); return (long)done;
}

// log10 of floats: a polynomial, about 1e-6.
void vlog10(const float *s, float *d, size_t n) {
    for (size_t i = 0; i < n; i++) {
        union { float f; int32_t u; } v; v.f = s[i] > 1e-10f ? s[i] : 1e-10f;
        int32_t e = (v.u - 0x3f3504f3) >> 23; v.u -= e << 23;
        float m = v.f - 1.0f, p = 7.0376836292e-2f;
        p = p * m - 1.1514610310e-1f; p = p * m + 1.1676998740e-1f; p = p * m - 1.2420140846e-1f;
        p = p * m + 1.4249322787e-1f; p = p * m - 1.6668057665e-1f; p = p * m + 2.0000714765e-1f;
        p = p * m - 2.4999993993e-1f; p = p * m + 3.3333331174e-1f;
        float z = m * m; float y = m * z * p - 0.5f * z + m;
        d[i] = (y + e * 0.69314718056f) * 4.3429448190f;
    }
}

// A batched real FFT 1024, eight frames at a time in SIMD lanes (SoA), complex-512 radix-4/2 Stockham,
//      fused window+gather, real post-processing, |X|^2, sparse triangular mel, log10.  Prototype floor.
typedef float v8 __attribute__((vector_size(32)));
typedef struct { v8 re, im; } c8;
static float twr[512], twi[512], rtr[513], rti[513], win[1024];
static int mel_lo[128], mel_n[128], mel_off[128]; static float mel_w[4096]; static int n_mel;
void fft_init(const float *w, int nm, const int *lo, const int *cnt, const float *weights) {
    for (int i = 0; i < 512; i++) { twr[i] = cos(-2 * M_PI * i / 512); twi[i] = sin(-2 * M_PI * i / 512); }
    for (int i = 0; i <= 512; i++) { rtr[i] = cos(-2 * M_PI * i / 1024); rti[i] = sin(-2 * M_PI * i / 1024); }
    memcpy(win, w, sizeof win); n_mel = nm; int o = 0;
    for (int i = 0; i < nm; i++) { mel_lo[i] = lo[i]; mel_n[i] = cnt[i]; mel_off[i] = o; memcpy(mel_w + o, weights + o, cnt[i] * 4); o += cnt[i]; }
}
static inline __attribute__((always_inline)) void r4pass(const c8 *restrict x, c8 *restrict y, int n, int s) {
    // Stockham radix-4, length n at stride s; n1 = n/4
    int n1 = n / 4;
    for (int p = 0; p < n1; p++) {
        float w1r = twr[p * s], w1i = twi[p * s];
        float w2r = twr[2 * p * s], w2i = twi[2 * p * s];
        float w3r = w1r * w2r - w1i * w2i, w3i = w1r * w2i + w1i * w2r;
        for (int q = 0; q < s; q++) {
            c8 a = x[q + s * p], b = x[q + s * (p + n1)], c = x[q + s * (p + 2 * n1)], d = x[q + s * (p + 3 * n1)];
            v8 apcr = a.re + c.re, apci = a.im + c.im, amcr = a.re - c.re, amci = a.im - c.im;
            v8 bpdr = b.re + d.re, bpdi = b.im + d.im, jr = -(b.im - d.im), ji = b.re - d.re; // j*(b-d)
            c8 *o = y + q + s * 4 * p;
            o[0].re = apcr + bpdr; o[0].im = apci + bpdi;
            v8 tr = amcr - jr, ti = amci - ji;
            o[s].re = tr * w1r - ti * w1i; o[s].im = tr * w1i + ti * w1r;
            tr = apcr - bpdr; ti = apci - bpdi;
            o[2 * s].re = tr * w2r - ti * w2i; o[2 * s].im = tr * w2i + ti * w2r;
            tr = amcr + jr; ti = amci + ji;
            o[3 * s].re = tr * w3r - ti * w3i; o[3 * s].im = tr * w3i + ti * w3r;
        }
    }
}
static inline void r2last(const c8 *restrict x, c8 *restrict y, int s) {
    for (int q = 0; q < s; q++) { c8 a = x[q], b = x[q + s]; y[q].re = a.re + b.re; y[q].im = a.im + b.im; y[q + s].re = a.re - b.re; y[q + s].im = a.im - b.im; }
}
static __attribute__((noinline)) void fft512(c8 *a, c8 *b) {  // result in b
    r4pass(a, b, 512, 1); r4pass(b, a, 128, 4); r4pass(a, b, 32, 16); r4pass(b, a, 8, 64); r2last(a, b, 256);
}

// x: padded clip (N+1024 floats, zero padded 512 each side); out: [n_mel][T]
void logmel_clip(const float *xp, int T, float *out, int ldo) {
    static __thread c8 *A, *B; static __thread v8 *P;
    if (!A) { A = aligned_alloc(64, 512 * sizeof(c8)); B = aligned_alloc(64, 512 * sizeof(c8)); P = aligned_alloc(64, 520 * sizeof(v8)); }
    for (int t0 = 0; t0 < T; t0 += 8) {
        const float *base = xp + (size_t)t0 * 512;
        int nf = T - t0 < 8 ? T - t0 : 8;
        // 8x8 transposes: lane f = frame t0+f
        for (int i = 0; i < 1024; i += 8) {
            __m256 r[8], t[8];
            for (int f = 0; f < 8; f++) r[f] = _mm256_loadu_ps(base + (size_t)(f < nf ? f : 0) * 512 + i);
            __m256 w = _mm256_loadu_ps(win + i);
            for (int f = 0; f < 8; f++) r[f] = _mm256_mul_ps(r[f], w);
            for (int k = 0; k < 4; k++) { t[2*k] = _mm256_unpacklo_ps(r[2*k], r[2*k+1]); t[2*k+1] = _mm256_unpackhi_ps(r[2*k], r[2*k+1]); }
            r[0]=_mm256_shuffle_ps(t[0],t[2],0x44); r[1]=_mm256_shuffle_ps(t[0],t[2],0xEE); r[2]=_mm256_shuffle_ps(t[1],t[3],0x44); r[3]=_mm256_shuffle_ps(t[1],t[3],0xEE);
            r[4]=_mm256_shuffle_ps(t[4],t[6],0x44); r[5]=_mm256_shuffle_ps(t[4],t[6],0xEE); r[6]=_mm256_shuffle_ps(t[5],t[7],0x44); r[7]=_mm256_shuffle_ps(t[5],t[7],0xEE);
            float *o = (float *)(A + i / 2);
            for (int k = 0; k < 4; k++) { _mm256_store_ps(o + 8 * k, _mm256_permute2f128_ps(r[k], r[k+4], 0x20)); _mm256_store_ps(o + 8 * (k + 4), _mm256_permute2f128_ps(r[k], r[k+4], 0x31)); }
        }
        fft512(A, B);
        v8 e = B[0].re + B[0].im, o = B[0].re - B[0].im; P[0] = e * e; P[512] = o * o;
        for (int k = 1; k <= 256; k++) {
            c8 u = B[k], v = B[512 - k];
            v8 er = (u.re + v.re) * 0.5f, ei = (u.im - v.im) * 0.5f, dr = (u.im + v.im) * 0.5f, di = (v.re - u.re) * 0.5f;
            v8 pr = dr * rtr[k] - di * rti[k], pi = dr * rti[k] + di * rtr[k];
            v8 ar = er + pr, ai = ei + pi, br = er - pr, bi = pi - ei;
            P[k] = ar * ar + ai * ai; P[512 - k] = br * br + bi * bi;
        }
        float tmp[128][8] __attribute__((aligned(32)));
        for (int m = 0; m < n_mel; m++) {
            v8 s = {0}; const float *w = mel_w + mel_off[m]; const v8 *p = P + mel_lo[m];
            for (int k = 0; k < mel_n[m]; k++) s += p[k] * w[k];
            *(v8 *)tmp[m] = s;
        }
        vlog10(&tmp[0][0], &tmp[0][0], 8 * n_mel);
        for (int m = 0; m < n_mel; m++) { float *d = out + (size_t)m * ldo + t0; if (nf == 8) _mm256_storeu_ps(d, _mm256_load_ps(tmp[m])); else for (int f = 0; f < nf; f++) d[f] = tmp[m][f]; }
    }
}
void logmel_clip_i16(const int16_t *x, int n, float *scratch, int T, float *out, int ldo) {
    memset(scratch, 0, 512 * 4); cvt16(x, scratch + 512, n); memset(scratch + 512 + n, 0, 512 * 4);
    logmel_clip(scratch, T, out, ldo);
}

// Mahalanobis floor: y_i = sum_j (L^T (x-mu))_j^2, upper-triangular-aware, f32, d=64.
//      W is row-major [k][j] (k input, j output), nonzero only for j<=k or all (tri=0).  4 rows x 16 cols tile.
void maha64(const float *x, const float *mu, const float *W, float *out, long n, int tri) {
    float bias[64];                                      // W^T mu, so that (x-mu)W = xW - bias
    for (int j = 0; j < 64; j++) { float s = 0; for (int k = 0; k < 64; k++) s += mu[k] * W[k * 64 + j]; bias[j] = s; }
    long i = 0;
    for (; i + 6 <= n; i += 6) {
        const float *r = x + i * 64; __m256 acc[6]; for (int q = 0; q < 6; q++) acc[q] = _mm256_setzero_ps();
        for (int j = 0; j < 64; j += 16) {
            __m256 c0[6], c1[6]; __m256 b0 = _mm256_loadu_ps(bias + j), b1 = _mm256_loadu_ps(bias + j + 8);
            for (int q = 0; q < 6; q++) { c0[q] = _mm256_sub_ps(_mm256_setzero_ps(), b0); c1[q] = _mm256_sub_ps(_mm256_setzero_ps(), b1); }
            int k0 = tri ? j : 0;
            for (int k = k0; k < 64; k++) {
                __m256 w0 = _mm256_loadu_ps(W + k * 64 + j), w1 = _mm256_loadu_ps(W + k * 64 + j + 8);
#define R(q) { __m256 xv = _mm256_broadcast_ss(r + q * 64 + k); c0[q] = _mm256_fmadd_ps(xv, w0, c0[q]); c1[q] = _mm256_fmadd_ps(xv, w1, c1[q]); }
                R(0) R(1) R(2) R(3) R(4) R(5)
            }
            for (int q = 0; q < 6; q++) { acc[q] = _mm256_fmadd_ps(c0[q], c0[q], acc[q]); acc[q] = _mm256_fmadd_ps(c1[q], c1[q], acc[q]); }
        }
        for (int q = 0; q < 6; q++) { float s = 0; for (int l = 0; l < 8; l++) s += acc[q][l]; out[i + q] = s; }
    }
    for (; i < n; i++) { float s = 0; for (int j = 0; j < 64; j++) { float c = -bias[j]; for (int k = 0; k < 64; k++) c += x[i * 64 + k] * W[k * 64 + j]; s += c * c; } out[i] = s; }
}

// white noise floor: 8-lane xoshiro128+, Box-Muller with libmvec log/sin/cos, blocks of 1024
void add_noise(const float *x, float *y, size_t n, float sigma, uint32_t *state) {
    typedef uint32_t u8v __attribute__((vector_size(32)));
    u8v s0, s1, s2, s3; memcpy(&s0, state, 32); memcpy(&s1, state + 8, 32); memcpy(&s2, state + 16, 32); memcpy(&s3, state + 24, 32);
    float u[1024] __attribute__((aligned(32)));
    for (size_t b = 0; b < n; b += 1024) {
        for (int i = 0; i < 1024; i += 8) {
            u8v r = s0 + s3, t = s1 << 9; s2 ^= s0; s3 ^= s1; s1 ^= s2; s0 ^= s3; s2 ^= t; s3 = (s3 << 11) | (s3 >> 21);
            r = (r >> 9) | 0x3f800000u; memcpy(u + i, &r, 32);                     // [1, 2)
        }
        size_t m = n - b < 1024 ? n - b : 1024;
        float a[512], c[512], s[512];
        for (int i = 0; i < 512; i++) a[i] = sigma * sqrtf(-2.0f * logf(2.0f - u[i]));   // (0, 1]
        for (int i = 0; i < 512; i++) c[i] = cosf(6.2831853f * (u[512 + i] - 1.5f));
        for (int i = 0; i < 512; i++) s[i] = sinf(6.2831853f * (u[512 + i] - 1.5f)); // two loops: gcc merges them into scalar sincosf otherwise
        float z[1024];
        for (int i = 0; i < 512; i++) { z[i] = a[i] * c[i]; z[512 + i] = a[i] * s[i]; }
        for (size_t i = 0; i < m; i++) y[b + i] = x[b + i] + z[i];
    }
    memcpy(state, &s0, 32); memcpy(state + 8, &s1, 32); memcpy(state + 16, &s2, 32); memcpy(state + 24, &s3, 32);
}
