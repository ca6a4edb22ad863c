/* Floating-point kernels beside those of kernels.c: spectral norm and a fast Fourier transform. */
#include "checksum.h"

static u64 bitsOf(double value) {
  union { double d; u64 u; } bits = { value };
  return bits.u;
}

/* The spectral norm of the matrix 1 / ((i + j)(i + j + 1) / 2 + i + 1), by the power method: divisions. */
#define SIZE 400
static double u[SIZE], v[SIZE], between[SIZE];

static double entry(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(const double *from, double *to) {
  for (int i = 0; i < SIZE; i++) {
    double sum = 0;
    for (int j = 0; j < SIZE; j++) sum += entry(i, j) * from[j];
    to[i] = sum;
  }
}

static void timesTransposed(const double *from, double *to) {
  for (int i = 0; i < SIZE; i++) {
    double sum = 0;
    for (int j = 0; j < SIZE; j++) sum += entry(j, i) * from[j];
    to[i] = sum;
  }
}

u64 spectral(void) {
  for (int i = 0; i < SIZE; i++) u[i] = 1;
  for (int round = 0; round < 100; round++) {
    times(u, between), timesTransposed(between, v);
    times(v, between), timesTransposed(between, u);
  }
  double uv = 0, vv = 0;
  for (int i = 0; i < SIZE; i++) uv += u[i] * v[i], vv += v[i] * v[i];
  return bitsOf(__builtin_sqrt(uv / vv));
}

/* Radix-2 transform in place, there and back: strided loads, multiplications and additions. */
#define POINTS (1 << 13)
static double re[POINTS], im[POINTS], cosines[POINTS / 2], sines[POINTS / 2];

/* Turns by half the angle, from a half-turn on: cos(x/2) and sin(x/2) by square roots; the rest by products. */
static void makeTurns(void) {
  double c = -1, s = 0;
  cosines[0] = 1, sines[0] = 0;
  for (int step = POINTS / 4; step >= 1; step /= 2) {
    s = __builtin_sqrt((1 - c) / 2), c = __builtin_sqrt((1 + c) / 2);
    for (int i = 0; i < POINTS / 2; i += 2 * step) {
      cosines[i + step] = cosines[i] * c - sines[i] * s;
      sines[i + step] = sines[i] * c + cosines[i] * s;
    }
  }
}

static void transform(double sign) {
  for (int i = 1, j = 0; i < POINTS; i++) {
    int bit = POINTS / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    double t = re[i];
    re[i] = re[j], re[j] = t;
    t = im[i], im[i] = im[j], im[j] = t;
  }
  for (int half = 1; half < POINTS; half *= 2) {
    int stride = POINTS / 2 / half;
    for (int start = 0; start < POINTS; start += 2 * half)
      for (int k = 0; k < half; k++) {
        double c = cosines[k * stride], s = sign * sines[k * stride];
        int low = start + k, high = low + half;
        double x = re[high] * c - im[high] * s, y = re[high] * s + im[high] * c;
        re[high] = re[low] - x, im[high] = im[low] - y;
        re[low] += x, im[low] += y;
      }
  }
}

u64 fft(void) {
  makeTurns();
  for (int i = 0; i < POINTS; i++) re[i] = (double)(next() % 2000) / 1000 - 1, im[i] = 0;
  for (int round = 0; round < 180; round++) {
    transform(1);
    transform(-1);
    for (int i = 0; i < POINTS; i++) re[i] /= POINTS, im[i] /= POINTS;
  }
  return bitsOf(re[1]) ^ bitsOf(re[POINTS - 1]);
}
