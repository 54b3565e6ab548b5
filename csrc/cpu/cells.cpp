#include "cpu/cells.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/hash.h"
#include "core/tuning.h"
#include "cpu/blocks.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The nearest few of what was offered, by a squared distance that is as good as the codes are.
template <int kCount>
struct Best {
  std::array<float, kCount> squares;
  std::array<std::uint16_t, kCount> which{};

  Best() { squares.fill(std::numeric_limits<float>::infinity()); }
  float worst() const { return squares[kCount - 1]; }
  bool offer(float square, std::uint16_t candidate) {
    if (square >= worst()) {
      return false;
    }
    int place = kCount - 1;
    for (; place > 0 && squares[at(place - 1)] > square; --place) {
      squares[at(place)] = squares[at(place - 1)];
      which[at(place)] = which[at(place - 1)];
    }
    squares[at(place)] = square;
    which[at(place)] = candidate;
    return true;
  }
};

float approximate_square(std::int32_t dot, const RowCode& x, const RowCode& y) {
  return x.squared_norm + y.squared_norm - 2.0F * static_cast<float>(dot) * (x.scale * y.scale);
}

}  // namespace

Cells::Cells(const CodedRows& codes, Index rows, Index count, ThreadTeam& team, Control& control)
    : codes_(&codes),
      lists_each_(static_cast<int>(std::min<Index>(kNearest, count))),
      lists_(at(count)),
      nearest_(at(rows * kNearest)),
      looked_(at(rows), 0) {
  const Index padded = codes.padded();
  CodeTiles tiles(padded);
  for (Index c = 0; c < count; ++c) {
    // One row out of each of `count` equal stretches.
    const double place = (static_cast<double>(c) + unit_hash(c)) / static_cast<double>(count);
    const Index row = std::min(static_cast<Index>(place * static_cast<double>(rows)), rows - 1);
    centre_codes_.insert(centre_codes_.end(), codes.codes(row), codes.codes(row) + padded);
    centre_numbers_.push_back(codes.numbers(row));
    tiles.append(codes.codes(row), pick_code(codes.numbers(row), codes.bound()));
  }

  const CodeKernels& kernels = codes.kernels();
  const Index groups =
      std::clamp<Index>(tuning::kBlockBytes / (padded * kernels.lanes), 1, tuning::kMaxBlockGroups);
  team.for_each(rows, groups * kernels.lanes, control, [&](int, Index begin, Index end) {
    CodeBlock block(codes, groups);
    std::vector<Index> members(at(end - begin));
    std::iota(members.begin(), members.end(), begin);
    block.pack(members);
    std::vector<Best<kNearest>> best(members.size());
    for (Index slot = 0; slot < end - begin; ++slot) {
      block.set_value(slot, std::numeric_limits<double>::infinity());
    }
    for (Index t = 0; t < tiles.tiles(); ++t) {
      for (Index g = 0; g < block.groups(); ++g) {
        std::uint32_t survivors[kCodeTilePicks];
        if (!kernels.screen_tile(block.group(g), block.numbers(g), tiles.tile(t), tiles.picks(t), padded,
                                 survivors)) {
          continue;
        }
        for (Index p = 0; p < kCodeTilePicks; ++p) {
          const Index centre = t * kCodeTilePicks + p;
          if (centre >= count) {
            break;
          }
          for (std::uint32_t mask = survivors[p]; mask != 0; mask &= mask - 1) {
            const Index slot = g * block.lanes() + std::countr_zero(mask);
            if (block.row(slot) < 0) {
              continue;
            }
            const Index row = begin + slot;
            std::int32_t dot = 0;
            kernels.dots(codes.codes(row), centre_codes_.data() + centre * padded, 1, padded, &dot);
            auto& nearest = best[at(slot)];
            if (nearest.offer(approximate_square(dot, codes.numbers(row), centre_numbers_[at(centre)]),
                              static_cast<std::uint16_t>(centre)) &&
                nearest.worst() < std::numeric_limits<float>::infinity()) {
              block.set_value(
                  slot, codes.bound().value_of_packed(std::max(0.0, static_cast<double>(nearest.worst()))));
            }
          }
        }
      }
    }
    for (Index slot = 0; slot < end - begin; ++slot) {
      std::ranges::copy(best[at(slot)].which, nearest_.begin() + (begin + slot) * kNearest);
    }
  });
}

Cells::Nearest Cells::nearest_of(const std::int8_t* codes, const RowCode& numbers) const {
  const auto count = static_cast<Index>(centre_numbers_.size());
  std::vector<std::int32_t> dots(at(count));
  codes_->kernels().dots(codes, centre_codes_.data(), count, codes_->padded(), dots.data());
  Best<kNearest> best;
  for (Index c = 0; c < count; ++c) {
    best.offer(approximate_square(dots[at(c)], numbers, centre_numbers_[at(c)]),
               static_cast<std::uint16_t>(c));
  }
  return best.which;
}

void Cells::append(Index source, const std::int8_t* codes, const RowCode& numbers) {
  const std::uint16_t cell =
      source >= 0 ? nearest_[at(source * kNearest)] : nearest_of(codes, numbers).front();
  List& list = lists_[cell];
  list.codes.insert(list.codes.end(), codes, codes + codes_->padded());
  list.numbers.push_back(pick_code(numbers, codes_->bound()));
  list.picks.push_back(size_);
  ++size_;
}

}  // namespace farpoint::cpu
