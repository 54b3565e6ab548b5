// Packing: rows of any element type become centred float32, interleaved by lanes.
//
//   out[j * lanes + l] = float32((x_j * before - centre_j) * after)
//
// Squared distances: before = 1, after = a power of two that keeps everything near 1. Cosine:
// before = 1 / |x|, after = 1. Errors: core/bounds.h, step 2.
//
// Rows are first converted one by one (contiguous loads and stores), then interleaved: writing each row
// straight into its lane would touch one cache line an element.
//
// Included by screen.inl inside the level's anonymous namespace.

template <class T>
double pack_row(const std::byte* row_bytes, std::int64_t d, double before, const double* centre, double after,
                float* out) {
  const auto* row = reinterpret_cast<const T*>(row_bytes);
  // Independent sums hide the latency of the additions.
  constexpr std::int64_t kSums = 4;
  DoubleVector norms[kSums] = {};
  std::int64_t j = 0;
  for (; j + kSums * kDoubles <= d; j += kSums * kDoubles) {
#pragma GCC unroll 4
    for (std::int64_t s = 0; s < kSums; ++s) {
      const std::int64_t first = j + s * kDoubles;
      const DoubleVector centred =
          (load_doubles<T>(row + first) * before - load<DoubleVector>(centre + first)) * after;
      const HalfFloatVector packed = __builtin_convertvector(centred, HalfFloatVector);
      store(out + first, packed);
      const DoubleVector exact = __builtin_convertvector(packed, DoubleVector);
      norms[s] += exact * exact;
    }
  }
  const DoubleVector sums = (norms[0] + norms[1]) + (norms[2] + norms[3]);
  double norm = 0;
  for (int l = 0; l < kDoubles; ++l) {
    norm += sums[l];
  }
  for (; j < d; ++j) {
    const auto packed = static_cast<float>((static_cast<double>(widen(row[j])) * before - centre[j]) * after);
    out[j] = packed;
    norm += static_cast<double>(packed) * static_cast<double>(packed);
  }
  return norm;
}

typedef float FourFloats __attribute__((vector_size(16)));
typedef std::int32_t FourPlaces __attribute__((vector_size(16)));

// Elements of a (0 to 3) and b (4 to 7). From its elements gcc would build such a vector one by one.
#if defined(__clang__)
#define FARPOINT_SHUFFLE(a, b, w, x, y, z) __builtin_shufflevector(a, b, w, x, y, z)
#else
#define FARPOINT_SHUFFLE(a, b, w, x, y, z) __builtin_shuffle(a, b, FourPlaces{w, x, y, z})
#endif

// In squares of 4 x 4 that are transposed in registers.
void interleave(const float* const* rows, std::int64_t d, float* out) {
  std::int64_t j = 0;
  for (; j + 4 <= d; j += 4) {
    for (int l = 0; l < kLanes; l += 4) {
      const auto a = load<FourFloats>(rows[l] + j);
      const auto b = load<FourFloats>(rows[l + 1] + j);
      const auto c = load<FourFloats>(rows[l + 2] + j);
      const auto e = load<FourFloats>(rows[l + 3] + j);
      const FourFloats ab0 = FARPOINT_SHUFFLE(a, b, 0, 4, 1, 5);
      const FourFloats ab2 = FARPOINT_SHUFFLE(a, b, 2, 6, 3, 7);
      const FourFloats ce0 = FARPOINT_SHUFFLE(c, e, 0, 4, 1, 5);
      const FourFloats ce2 = FARPOINT_SHUFFLE(c, e, 2, 6, 3, 7);
      float* column = out + j * kLanes + l;
      store(column, FARPOINT_SHUFFLE(ab0, ce0, 0, 1, 4, 5));
      store(column + kLanes, FARPOINT_SHUFFLE(ab0, ce0, 2, 3, 6, 7));
      store(column + std::int64_t{2} * kLanes, FARPOINT_SHUFFLE(ab2, ce2, 0, 1, 4, 5));
      store(column + std::int64_t{3} * kLanes, FARPOINT_SHUFFLE(ab2, ce2, 2, 3, 6, 7));
    }
  }
  for (; j < d; ++j) {
    for (int l = 0; l < kLanes; ++l) {
      out[j * kLanes + l] = rows[l][j];
    }
  }
}
