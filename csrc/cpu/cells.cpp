#include "cpu/cells.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/hash.h"
#include "core/tuning.h"
#include "cpu/blocks.h"

namespace farpoint::cpu {
namespace {

constexpr std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The nearest few of what was offered, by a squared distance that is as good as the codes are.
template <int kCount>
struct Best {
  std::array<float, kCount> squares;
  std::array<std::uint16_t, kCount> which{};

  Best() { squares.fill(std::numeric_limits<float>::infinity()); }
  float worst() const { return squares[kCount - 1]; }
  void offer(float square, std::uint16_t candidate) {
    if (square >= worst()) {
      return;
    }
    std::size_t place = kCount - 1;
    for (; place > 0 && squares[place - 1] > square; --place) {
      squares[place] = squares[place - 1];
      which[place] = which[place - 1];
    }
    squares[place] = square;
    which[place] = candidate;
  }
};

}  // namespace

Cells::Cells(const CodedRows& codes, Index rows, Index count, Room room, WorkMemory& memory, ThreadTeam& team,
             Control& control)
    : room_(std::move(room)),
      codes_(&codes),
      lists_each_(static_cast<int>(std::min<Index>(kNearest, count))),
      lists_(at(count)),
      nearest_(memory, rows * kNearest, "the cells of each row", Counted::in_plan),
      looked_(memory, rows * kRings, "the cells of each row", Counted::in_plan) {
  std::ranges::fill(looked_, Index{0});
  const Index padded = codes.padded();
  CodeTiles tiles(memory, padded);
  for (Index c = 0; c < count; ++c) {
    // One row out of each of `count` equal stretches.
    const double place = (static_cast<double>(c) + unit_hash(c)) / static_cast<double>(count);
    const Index row = std::min(static_cast<Index>(place * static_cast<double>(rows)), rows - 1);
    centre_codes_.insert(centre_codes_.end(), codes.codes(row), codes.codes(row) + padded);
    centre_numbers_.push_back(codes.numbers(row));
    tiles.append(codes.codes(row), pick_code(codes.numbers(row), codes.bound()));
  }

  const CodeKernels& kernels = codes.kernels();
  const auto lanes = Index{kernels.lanes};
  const Index groups = std::clamp<Index>(tuning::kBlockBytes / (padded * lanes), 1, tuning::kMaxBlockGroups);
  team.for_each(rows, groups * lanes, control, [&](int, Index begin, Index end) {
    CodeBlock block(codes, padded, nullptr, groups);
    std::vector<Index> members(at(end - begin));
    std::iota(members.begin(), members.end(), begin);
    block.pack(members);
    std::vector<Best<kNearest>> best(at(block.groups() * lanes));
    std::vector<float> worst(best.size(), std::numeric_limits<float>::infinity());
    std::array<std::int32_t, at(Index{kMaxLanes} * kCodeTilePicks)> dots;
    std::array<float, kMaxLanes> squares;
    for (Index t = 0; t < tiles.tiles(); ++t) {
      for (Index g = 0; g < block.groups(); ++g) {
        kernels.product_tile(block.group(g), tiles.tile(t), tiles.picks(t), padded, dots.data());
        const float* scales = block.numbers(g) + kLaneScale * lanes;
        for (Index p = 0; p < std::min<Index>(kCodeTilePicks, count - t * kCodeTilePicks); ++p) {
          const Index centre = t * kCodeTilePicks + p;
          const RowCode& numbers = centre_numbers_[at(centre)];
          // The row's own norm is the same for all centres.
          for (Index l = 0; l < lanes; ++l) {
            squares[at(l)] = numbers.squared_norm -
                             2.0F * static_cast<float>(dots[at(p * lanes + l)]) * (numbers.scale * scales[l]);
          }
          for (Index l = 0; l < lanes; ++l) {
            const std::size_t slot = at(g * lanes + l);
            if (squares[at(l)] < worst[slot]) {
              best[slot].offer(squares[at(l)], static_cast<std::uint16_t>(centre));
              worst[slot] = best[slot].worst();
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
    const RowCode& centre = centre_numbers_[at(c)];
    best.offer(centre.squared_norm - 2.0F * static_cast<float>(dots[at(c)]) * (numbers.scale * centre.scale),
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
