// Packing: rows of any element type become centred float32, interleaved by lanes.
//
//   out[j * lanes + l] = float32((x_j * before - centre_j) * after)
//
// Squared distances: before = 1, after = a power of two that keeps everything near 1. Cosine:
// before = 1 / |x|, after = 1. Errors: core/bounds.h, step 2.
//
// Rows are first converted one by one (contiguous loads and stores), then interleaved in squares
// that stay in the first-level cache: writing each row straight into its lane would touch one cache line
// an element.
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

template <class T>
void pack_group(const std::byte* const* rows, std::int64_t d, const double* before, const double* centre,
                double after, float* out, float* scratch, double* squared_norms) {
  for (int l = 0; l < kLanes; ++l) {
    float* row = scratch + l * d;
    if (rows[l] == nullptr) {
      __builtin_memset(row, 0, static_cast<std::size_t>(d) * sizeof(float));
      squared_norms[l] = 0;
    } else {
      squared_norms[l] = pack_row<T>(rows[l], d, before[l], centre, after, row);
    }
  }
  constexpr std::int64_t kSquare = 16;
  for (std::int64_t j0 = 0; j0 < d; j0 += kSquare) {
    const std::int64_t j1 = j0 + kSquare < d ? j0 + kSquare : d;
    for (int l = 0; l < kLanes; ++l) {
      const float* row = scratch + l * d;
      for (std::int64_t j = j0; j < j1; ++j) {
        out[j * kLanes + l] = row[j];
      }
    }
  }
}
