#include "c/metrics.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "c/boundary.h"

namespace farpoint::c {
namespace {

// Stored values are rounded, so a bound computed from one could be short by an ulp or two. Certificates are
// rounded outwards by this much, several times what is needed.
constexpr double kCertificateSlack = 0x1p-22;
constexpr double kCosineSlack = 0x1p-40;

farpoint::Metric kind_of(farpoint_metric name) {
  switch (name) {
    case FARPOINT_EUCLIDEAN:
    case FARPOINT_SQEUCLIDEAN:
      return farpoint::Metric::squared_euclidean;
    case FARPOINT_COSINE:
      return farpoint::Metric::cosine;
    case FARPOINT_MANHATTAN:
      return farpoint::Metric::manhattan;
    case FARPOINT_CHEBYSHEV:
      return farpoint::Metric::chebyshev;
    case FARPOINT_HAMMING:
      return farpoint::Metric::hamming;
    case FARPOINT_JACCARD:
      return farpoint::Metric::jaccard;
    default:
      refuse("metric = " + std::to_string(name) +
             " is not one; they are the constants FARPOINT_EUCLIDEAN to FARPOINT_JACCARD");
  }
}

}  // namespace

Metric::Metric(farpoint_metric name) : name_(name), kind_(kind_of(name)) {}

int Metric::degree() const {
  switch (kind_) {
    case farpoint::Metric::squared_euclidean:
      return 2;
    case farpoint::Metric::manhattan:
    case farpoint::Metric::chebyshev:
      return 1;
    default:
      return 0;
  }
}

double Metric::distance(double value, Unit unit) const {
  if (is_euclidean()) {
    // The exponent is even, so it is halved after the root: squares of the largest float64 would overflow.
    return std::ldexp(std::sqrt(value), unit.exponent / 2);
  }
  return degree() == 0 ? value : std::ldexp(value, unit.exponent);
}

template <class Stored>
double Metric::smallest_stored(double distance, Unit unit) const {
  // Values of one sign are in the order of their bits: infinity is far enough, and 0 is not.
  using Bits = std::conditional_t<sizeof(Stored) == 4, std::uint32_t, std::uint64_t>;
  const auto value = [](Bits bits) { return static_cast<double>(std::bit_cast<Stored>(bits)); };
  Bits below = 0;
  auto above = std::bit_cast<Bits>(std::numeric_limits<Stored>::infinity());
  while (above - below > 1) {
    const Bits middle = below + (above - below) / 2;
    (this->distance(value(middle), unit) >= distance ? above : below) = middle;
  }
  return value(above);
}

double Metric::smallest_value(double distance, Unit unit, ElementType type) const {
  if (distance <= 0 || std::isinf(distance)) {
    return std::max(distance, 0.0);
  }
  return stores_double(type) ? smallest_stored<double>(distance, unit)
                             : smallest_stored<float>(distance, unit);
}

double Metric::largest_spread(double radius) const {
  switch (name_) {
    case FARPOINT_SQEUCLIDEAN:
      return 4.0 * radius * (1 + kCertificateSlack);
    case FARPOINT_COSINE: {
      // Angles obey the triangle inequality: with radius = 1 - cos(t), two points of one cell are at most
      // 1 - cos(2 t) = 2 r (2 - r) apart while 2 t <= pi, and never more than 2.
      const double slack = radius * (1 + kCertificateSlack) + kCosineSlack;
      return slack >= 1.0 ? 2.0 : std::min(2.0, 2.0 * slack * (2.0 - slack));
    }
    case FARPOINT_HAMMING:  // whole numbers, which nothing rounded
      return 2.0 * radius;
    case FARPOINT_JACCARD:
      return std::min(1.0, 2.0 * radius * (1 + kCertificateSlack));
    default:
      return 2.0 * radius * (1 + kCertificateSlack);
  }
}

}  // namespace farpoint::c
