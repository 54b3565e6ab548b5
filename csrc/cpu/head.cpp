#include "cpu/head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/hash.h"
#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

constexpr std::size_t kMaxPrefixes = tuning::kMaxHeadColumns / kCodeColumns;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

struct FloatMatrix {
  FloatMatrix(Index r, Index c) : rows(r), columns(c), elements(at(r * c)) {}
  float* row(Index i) { return elements.data() + i * columns; }
  const float* row(Index i) const { return elements.data() + i * columns; }

  Index rows;
  Index columns;
  std::vector<float> elements;
};

// out(i, j) = a.row(i) . b.row(j), by the kernels of the screen.
FloatMatrix products(const ScreenKernels& kernels, const FloatMatrix& a, const FloatMatrix& b,
                     WorkMemory& memory, ThreadTeam& team, Control& control) {
  const Index length = a.columns;
  FloatTiles tiles(memory, kernels.tile_picks, length);
  for (Index i = 0; i < a.rows; ++i) {
    tiles.append(a.row(i), 0);
  }
  FloatMatrix out(a.rows, b.rows);
  team.for_each(b.rows, kernels.lanes, control, [&](int, Index begin, Index end) {
    const Index lanes = end - begin;
    std::vector<float> group(at(length * kernels.lanes));
    std::vector<float> sums(at(Index{kernels.lanes} * kernels.tile_picks));
    for (Index l = 0; l < lanes; ++l) {
      const float* row = b.row(begin + l);
      for (Index s = 0; s < length; ++s) {
        group[at(s * kernels.lanes + l)] = row[s];
      }
    }
    for (Index t = 0; t < tiles.tiles(); ++t) {
      kernels.product_tile(group.data(), tiles.tile(t), length, sums.data());
      const Index picks = std::min<Index>(kernels.tile_picks, a.rows - t * kernels.tile_picks);
      for (Index p = 0; p < picks; ++p) {
        std::copy_n(sums.begin() + p * kernels.lanes, lanes, out.row(t * kernels.tile_picks + p) + begin);
      }
    }
  });
  control.throw_if_stopped();
  return out;
}

double dot(const float* x, const float* y, Index count) {
  constexpr std::size_t kSums = 8;
  const std::size_t whole = at(count) / kSums * kSums;
  std::array<double, kSums> sums{};
  for (std::size_t j = 0; j < whole; j += kSums) {
    for (std::size_t l = 0; l < kSums; ++l) {
      sums[l] += static_cast<double>(x[j + l]) * static_cast<double>(y[j + l]);
    }
  }
  for (std::size_t j = whole; j < at(count); ++j) {
    sums[j - whole] += static_cast<double>(x[j]) * static_cast<double>(y[j]);
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// Gram-Schmidt, each row twice. A row that depends on those before it is replaced by an axis, and so is one
// that is shorter than this: its numbers are subnormal, or what rounding left of others, and float32 may not
// hold the inverse of its length.
constexpr double kShortestRow = 0x1p-100;

void orthonormalise(FloatMatrix& q, Control& control) {
  for (Index i = 0; i < q.rows; ++i) {
    if (control.poll()) {
      return;
    }
    float* row = q.row(i);
    for (int attempt = 0; attempt < 2; ++attempt) {
      const double before = std::sqrt(dot(row, row, q.columns));
      for (int pass = 0; pass < 2; ++pass) {
        for (Index k = 0; k < i; ++k) {
          const float* other = q.row(k);
          const auto along = static_cast<float>(dot(row, other, q.columns));
          std::transform(row, row + q.columns, other, row,
                         [along](float x, float y) { return x - along * y; });
        }
        const double norm = std::sqrt(dot(row, row, q.columns));
        const bool has_length = norm > kShortestRow;
        const auto inverse = static_cast<float>(has_length ? 1.0 / norm : 0.0);
        std::transform(row, row + q.columns, row, [inverse](float x) { return x * inverse; });
        if (pass == 0 && has_length && norm > 1e-4 * before) {
          attempt = 1;  // nothing was lost; the second pass polishes
        }
      }
      if (attempt == 0) {
        std::fill_n(row, q.columns, 0.0F);
        row[i] = 1.0F;
      }
    }
  }
}

// An upper bound of the spectral norm of Q Q^T - 1: its Frobenius norm.
double distance_from_orthonormal(const Basis& q, Index rows) {
  double sum = 0;
  for (Index i = 0; i < rows; ++i) {
    for (Index k = 0; k <= i; ++k) {
      const double error = dot(q.row(i), q.row(k), q.columns) - (i == k ? 1.0 : 0.0);
      sum += error * error * (i == k ? 1.0 : 2.0);
    }
  }
  return std::sqrt(sum) * (1.0 + 0x1p-20) + 0x1p-40;
}

// Of one step of codes.
Index sum_of_squares(const std::int8_t* codes) {
  std::int32_t sum = 0;
  for (int j = 0; j < kCodeColumns; ++j) {
    sum += codes[j] * codes[j];
  }
  return sum;
}

// The sample's rows, evenly spread.
Index sampled_row(Index s, Index sample, Index rows) {
  return std::min(static_cast<Index>((static_cast<double>(s) + unit_hash(s)) * static_cast<double>(rows) /
                                     static_cast<double>(sample)),
                  rows - 1);
}

float round_up(double x) {
  return static_cast<float>(x * (1.0 + 0x1p-20) + 0x1p-140);
}

// Of looking at a pair again with codes of whole rows, in columns of the blocked product.
double pair_cost(Index dimension) {
  return tuning::kPairCostColumns + tuning::kPairCost * static_cast<double>(dimension);
}

Index head_step(Index dimension) {
  return std::min<Index>(kCodeColumns, dimension / 2);
}

Index basis_sample(const Points& points) {
  return std::min(points.size(), std::max(tuning::kBasisSample, 2 * points.frame().dimension()));
}

}  // namespace

Basis find_basis(const Points& points, Index rows, WorkMemory& memory, ThreadTeam& team, Control& control) {
  const Frame& frame = points.frame();
  const Index d = frame.dimension();
  if (rows == 0) {
    return {};
  }
  const Index sample = basis_sample(points);
  // One column of the sample a row, so that the covariance is a product of rows.
  FloatMatrix columns(d, sample);
  FloatMatrix basis(rows, d);
  std::vector<float> packed(at(d));
  for (Index s = 0; s < sample; ++s) {
    const Index i = sampled_row(s, sample, points.size());
    frame.pack_row(points.row(i), points.self_dot(i), packed.data());
    for (Index j = 0; j < d; ++j) {
      columns.row(j)[s] = packed[at(j)];
    }
    if (s < rows) {
      std::ranges::copy(packed, basis.row(s));
    }
  }
  const FloatMatrix covariance = products(frame.screen(), columns, columns, memory, team, control);
  for (int round = 0; round < tuning::kBasisRounds; ++round) {
    // The covariance is symmetric: its rows are its columns.
    basis = products(frame.screen(), basis, covariance, memory, team, control);
    orthonormalise(basis, control);
    control.throw_if_stopped();
  }
  return {rows, d, std::move(basis.elements)};
}

struct Head::Workspace {
  Workspace(const Frame& frame, Index columns)
      : panel(at(frame.group_floats())),
        sums(at(Index{frame.lanes()} * frame.tile_picks())),
        rotated(at(frame.lanes() * columns)),
        norms(at(frame.lanes())) {}

  std::vector<float> panel;
  std::vector<float> scratch;
  std::vector<float> sums;
  std::vector<float> rotated;
  std::vector<double> norms;
};

Head::Head(const Points& points, const Basis& basis, Index columns, WorkMemory& memory)
    : points_(&points),
      basis_(memory, points.frame().tile_picks(), basis.columns),
      basis_error_(distance_from_orthonormal(basis, columns)),
      rows_(memory, points.frame().code(), columns, points.frame().code_bound(basis_error_), true),
      tiles_(memory, padded_columns(columns)),
      sources_(memory, "the rows of picks", 1, kSlabRows),
      anchors_(memory, padded_columns(columns) / kCodeColumns) {
  for (Index s = 0; s < padded_columns(columns) / kCodeColumns; ++s) {
    picks_.emplace_back(memory);
  }
  for (Index i = 0; i < columns; ++i) {
    basis_.append(basis.row(i), 0);
  }
  // Each coordinate errs by at most gamma |Q_i| |x'| (Higham, section 3.1), all of them by gamma |Q|_F |x'|.
  const double du = static_cast<double>(basis.columns) * 0x1p-24;
  rotation_error_ = du / (1.0 - du) * std::sqrt(static_cast<double>(columns) * (1.0 + basis_error_));
  rows_.map_rows(points.size(), memory);
}

void Head::code_group(std::span<const Item> items, Workspace& workspace) const {
  const Frame& frame = points_->frame();
  const Index lanes = frame.lanes();
  const Index tile_picks = frame.tile_picks();
  std::array<const std::byte*, kMaxLanes> rows{};
  std::array<double, kMaxLanes> self_dots{};
  for (std::size_t l = 0; l < items.size(); ++l) {
    rows[l] = items[l].row;
    self_dots[l] = items[l].self_dot;
  }
  frame.pack_group(std::span(rows).first(items.size()), std::span(self_dots).first(items.size()),
                   workspace.panel.data(), workspace.scratch, workspace.norms.data());
  for (Index t = 0; t < basis_.tiles(); ++t) {
    frame.screen().product_tile(workspace.panel.data(), basis_.tile(t), frame.dimension(),
                                workspace.sums.data());
    for (Index p = 0; p < std::min(tile_picks, columns() - t * tile_picks); ++p) {
      for (Index l = 0; l < static_cast<Index>(items.size()); ++l) {
        workspace.rotated[at(l * columns() + t * tile_picks + p)] = workspace.sums[at(p * lanes + l)];
      }
    }
  }
  for (std::size_t l = 0; l < items.size(); ++l) {
    const float* head = workspace.rotated.data() + static_cast<Index>(l) * columns();
    RowCode& whole = items[l].numbers->whole(items[l].entry);
    std::array<float, kMaxPrefixes> residuals{};
    frame.code().encode(head, columns(), padded(), items[l].codes, &whole, residuals.data());
    const double squared_norm = workspace.norms[l];
    const double error = rotation_error_ * std::sqrt(squared_norm) + 0x1p-126;
    std::array<PrefixCode, kMaxPrefixes> codes{};
    double head_square = 0;
    Index code_square = 0;
    for (Index s = 0; s < prefixes(); ++s) {
      const Index begin = s * kCodeColumns;
      const Index end = std::min(begin + kCodeColumns, columns());
      head_square += dot(head + begin, head + begin, end - begin);
      code_square += sum_of_squares(items[l].codes + begin);
      const double head_norm = std::max(0.0, std::sqrt(head_square) * (1.0 - 0x1p-40) - error);
      const double tail = squared_norm * (1.0 + 0x1p-40) - (1.0 - basis_error_) * head_norm * head_norm;
      PrefixCode& code = codes[at(s)];
      code.norm = round_up(static_cast<double>(whole.scale) * std::sqrt(static_cast<double>(code_square)));
      code.residual = round_up(static_cast<double>(residuals[at(s)]) + error);
      code.tail = round_up(std::sqrt(std::max(tail, 0.0)));
    }
    whole.residual = codes[at(prefixes() - 1)].residual;
    whole.tail = codes[at(prefixes() - 1)].tail;
    whole.squared_norm = static_cast<float>(squared_norm * (1.0 - 0x1p-23));
    items[l].numbers->set_shorter(items[l].entry, std::span(codes).first(at(prefixes() - 1)));
  }
}

void Head::code_items(std::span<const Item> items, ThreadTeam& team, Control& control) const {
  const Index lanes = points_->frame().lanes();
  constexpr Index kGroups = 8;
  team.for_each(static_cast<Index>(items.size()), lanes * kGroups, control, [&](int, Index begin, Index end) {
    Workspace workspace(points_->frame(), columns());
    for (Index first = begin; first < end; first += lanes) {
      code_group(items.subspan(at(first), at(std::min(lanes, end - first))), workspace);
    }
  });
  control.throw_if_stopped();
}

void Head::ensure(std::span<const Index> rows, ThreadTeam& team, Control& control) {
  // In parts, so that what is noted of each row takes little room.
  constexpr std::size_t kPart = 16384;
  std::vector<Index> missing;
  missing.reserve(std::min(kPart, rows.size()));
  std::vector<Item> items;
  for (auto next = rows.begin(); next != rows.end();) {
    missing.clear();
    for (; next != rows.end() && missing.size() < kPart; ++next) {
      if (!rows_.has(*next)) {
        missing.push_back(*next);
      }
    }
    const Index first = rows_.size();
    rows_.grow(static_cast<Index>(missing.size()));
    items.clear();
    items.reserve(missing.size());
    for (const Index i : missing) {
      const Index entry = first + static_cast<Index>(items.size());
      items.push_back(
          {points_->row(i), points_->self_dot(i), rows_.entry_codes(entry), &rows_.entry_numbers(), entry});
    }
    code_items(items, team, control);
    for (std::size_t m = 0; m < missing.size(); ++m) {
      rows_.map(missing[m], first + static_cast<Index>(m));
    }
  }
}

void Head::append_picks(const PickList& picks, ThreadTeam& team, Control& control) {
  // In parts, so that what is coded here and not in rows_ takes little room.
  constexpr Index kPart = 4096;
  while (tiles_.size() < picks.size()) {
    const Index begin = tiles_.size();
    const Index end = std::min(begin + kPart, picks.size());
    sources_.grow_to(end);
    std::vector<Index> rows;
    std::vector<Index> anchors;
    for (Index p = begin; p < end; ++p) {
      *sources_.entry(p) = picks.source(p);
      if (picks.source(p) >= 0) {
        rows.push_back(picks.source(p));
      } else {
        anchors.push_back(p);
      }
    }
    ensure(rows, team, control);
    std::vector<std::int8_t> codes(anchors.size() * at(padded()));
    if (!anchors.empty()) {
      anchors_.grow_to(anchors.back() + 1);
    }
    std::vector<Item> items;
    items.reserve(anchors.size());
    for (const Index p : anchors) {
      items.push_back({picks.row(p), picks.self_dot(p),
                       codes.data() + static_cast<Index>(items.size()) * padded(), &anchors_, p});
    }
    code_items(items, team, control);
    std::size_t next = 0;
    for (Index p = begin; p < end; ++p) {
      const Index source = *sources_.entry(p);
      if (source >= 0) {
        tiles_.append(rows_.codes(source), pick_code(rows_.numbers(source), rows_.bound()));
      } else {
        tiles_.append(items[next].codes, pick_code(anchors_.whole(p), rows_.bound()));
        ++next;
      }
    }
  }
}

RowCode Head::pick_numbers(Index p, Index prefix) const {
  const Index source = *sources_.entry(p);
  return source >= 0 ? rows_.numbers(source, (prefix + 1) * kCodeColumns) : anchors_.prefix(p, prefix);
}

const PickCodes& Head::picks(Index prefix) {
  if (prefix == padded()) {
    return tiles_.picks();
  }
  const Index number = prefix / kCodeColumns - 1;
  PickCodes& picks = picks_[at(number)];
  std::vector<std::int8_t> codes(at(padded()));
  while (picks.size() < tiles_.size()) {
    const Index p = picks.size();
    RowCode code = pick_numbers(p, number);
    tiles_.copy_codes(p, codes.data());
    code.offset = code_offset(rows_.kernels(), codes.data(), prefix);
    picks.append(pick_code(code, rows_.bound()));
  }
  return picks;
}

Index Head::best_prefix(std::span<const Index> rows, std::span<const double> values,
                        std::span<const Index> progress) const {
  const Index sampled_picks = std::min(tuning::kPrefixPicks, tiles_.size());
  const Index sampled_rows = std::min(tuning::kPrefixRows, static_cast<Index>(rows.size()));
  if (prefixes() == 1 || sampled_picks == 0 || sampled_rows == 0) {
    return padded();
  }
  // Codes by prefix, then pick, one step of each, so that a row meets all picks in one call a step.
  std::vector<std::int8_t> codes(at(sampled_picks * padded()));
  std::vector<PickCode> numbers(at(sampled_picks * prefixes()));
  std::vector<std::int8_t> pick(at(padded()));
  for (Index k = 0; k < sampled_picks; ++k) {
    const Index p = sampled_row(k, sampled_picks, tiles_.size());
    tiles_.copy_codes(p, pick.data());
    for (Index s = 0; s < prefixes(); ++s) {
      std::copy_n(pick.data() + s * kCodeColumns, kCodeColumns,
                  codes.data() + (s * sampled_picks + k) * kCodeColumns);
      numbers[at(s * sampled_picks + k)] = pick_code(pick_numbers(p, s), rows_.bound());
    }
  }
  std::vector<std::int32_t> dots(at(sampled_picks));
  std::vector<std::int32_t> step(at(sampled_picks));
  std::vector<Index> survivors(at(prefixes()), 0);
  Index pairs = 0;
  for (Index r = 0; r < sampled_rows; ++r) {
    const Index row = rows[at(sampled_row(r, sampled_rows, static_cast<Index>(rows.size())))];
    Index seen = 0;  // of the sampled picks
    while (seen < sampled_picks && sampled_row(seen, sampled_picks, tiles_.size()) < progress[at(row)]) {
      ++seen;
    }
    pairs += sampled_picks - seen;
    const float bias =
        rows_.bound().point_bias(static_cast<double>(rows_.numbers(row).squared_norm), values[at(row)]);
    std::ranges::fill(dots, 0);
    for (Index s = 0; s < prefixes(); ++s) {
      const RowCode point = rows_.numbers(row, (s + 1) * kCodeColumns);
      rows_.kernels().dots(rows_.codes(row) + s * kCodeColumns,
                           codes.data() + s * sampled_picks * kCodeColumns, sampled_picks, kCodeColumns,
                           step.data());
      for (Index k = seen; k < sampled_picks; ++k) {
        dots[at(k)] += step[at(k)];
        survivors[at(s)] +=
            pair_survives(dots[at(k)], point, bias, numbers[at(s * sampled_picks + k)]) ? 1 : 0;
      }
    }
  }
  double best_cost = kInfinity;
  Index best = padded();
  for (Index s = 0; s < prefixes() && pairs > 0; ++s) {
    const double share = static_cast<double>(survivors[at(s)]) / static_cast<double>(pairs);
    const double cost =
        static_cast<double>((s + 1) * kCodeColumns) + share * pair_cost(points_->frame().dimension());
    if (cost < best_cost) {
      best_cost = cost;
      best = (s + 1) * kCodeColumns;
    }
  }
  return best;
}

Index max_head_columns(Index dimension) {
  const Index step = head_step(dimension);
  return step == 0 || dimension > tuning::kMaxHeadDimension
             ? 0
             : std::min(tuning::kMaxHeadColumns, dimension / 2 / step * step);
}

bool basis_pays(const Points& points, double multiply_adds) {
  if (points.size() > std::numeric_limits<std::int32_t>::max()) {
    return false;  // CodedRows numbers its entries in 32 bits
  }
  const auto d = static_cast<double>(points.frame().dimension());
  const auto h = static_cast<double>(max_head_columns(points.frame().dimension()));
  // The covariance, and each round a product with it and Gram-Schmidt, whose multiply-adds are slow ones.
  const double cost = d * d * static_cast<double>(basis_sample(points)) +
                      static_cast<double>(tuning::kBasisRounds) * (h * d * d + 8 * h * h * d);
  return multiply_adds >= tuning::kBasisWorth * cost;
}

Index best_head_columns(const Points& points, const Basis& basis, const PickList& picks,
                        std::span<const Index> listed, std::span<const double> values, double worth,
                        WorkMemory& memory, ThreadTeam& team, Control& control) {
  const Frame& frame = points.frame();
  const Index d = frame.dimension();
  const Index step = head_step(d);
  const Index most = basis.rows;
  if (most == 0 || listed.empty() || picks.size() == 0) {
    return 0;
  }
  FloatMatrix directions(most, d);
  directions.elements = basis.elements;

  const auto sample = [&](Index count, Index of, auto&& pointer, auto&& self_dot,
                          std::vector<double>& norms) {
    FloatMatrix packed(std::min(count, of), d);
    for (Index s = 0; s < packed.rows; ++s) {
      const Index i = sampled_row(s, packed.rows, of);
      norms.push_back(frame.pack_row(pointer(i), self_dot(i), packed.row(s)));
    }
    return products(frame.screen(), packed, directions, memory, team, control);
  };
  std::vector<double> x_norms;
  std::vector<double> y_norms;
  const FloatMatrix x = sample(
      tuning::kHeadSample, static_cast<Index>(listed.size()),
      [&](Index i) { return points.row(listed[at(i)]); },
      [&](Index i) { return points.self_dot(listed[at(i)]); }, x_norms);
  const FloatMatrix y = sample(
      2 * tuning::kHeadSample, picks.size(), [&](Index i) { return picks.row(i); },
      [&](Index i) { return picks.self_dot(i); }, y_norms);

  double best_cost = worth * static_cast<double>(d);
  Index best = 0;
  FloatMatrix inner(x.rows, y.rows);
  std::vector<double> x_heads(at(x.rows), 0.0);
  std::vector<double> y_heads(at(y.rows), 0.0);
  for (Index h = 0; h < most; h += step) {
    for (Index i = 0; i < x.rows; ++i) {
      x_heads[at(i)] += dot(x.row(i) + h, x.row(i) + h, step);
    }
    for (Index j = 0; j < y.rows; ++j) {
      y_heads[at(j)] += dot(y.row(j) + h, y.row(j) + h, step);
    }
    Index survivors = 0;
    for (Index i = 0; i < x.rows; ++i) {
      const Index row = listed[at(sampled_row(i, x.rows, static_cast<Index>(listed.size())))];
      const double packed_value = values[at(row)] / frame.code_bound(0.0).value_of_packed(1.0);
      const double x_tail = std::sqrt(std::max(0.0, x_norms[at(i)] - x_heads[at(i)]));
      for (Index j = 0; j < y.rows; ++j) {
        inner.row(i)[j] += static_cast<float>(dot(x.row(i) + h, y.row(j) + h, step));
        const double y_tail = std::sqrt(std::max(0.0, y_norms[at(j)] - y_heads[at(j)]));
        const double least =
            x_norms[at(i)] + y_norms[at(j)] - 2.0 * (static_cast<double>(inner.row(i)[j]) + x_tail * y_tail);
        // Not a number is no proof.
        survivors += least * (1.0 - tuning::kHeadSlack) >= packed_value ? 0 : 1;
      }
    }
    const double share = static_cast<double>(survivors) / static_cast<double>(x.rows * y.rows);
    const double cost = static_cast<double>(h + step) + share * pair_cost(d);
    if (cost < best_cost) {
      best_cost = cost;
      best = h + step;
    }
  }
  return best;
}

}  // namespace farpoint::cpu
