// The screen of packed bits, beside those of screens.h: exact counts of common bits, compared as
// core/bit_bound.h proves. There is nothing to centre, to scale or to round, so there are no codes, no heads
// and no cells.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/bit_bound.h"
#include "cpu/bit_kernels.h"
#include "cpu/blocks.h"
#include "cpu/select.h"

namespace farpoint::cpu {

// Rows as words, interleaved in groups of lanes, with their numbers of bits.
class BitBlock : public Slots {
 public:
  BitBlock(const Points& points, Index max_groups);

  // Appends rows (at most capacity() in all); no value yet, so none survives a screen.
  void pack(std::span<const Index> rows);
  const std::uint64_t* group(Index g) const { return panel_.data() + g * lanes() * words_; }
  const double* numbers(Index g) const { return numbers_.data() + g * lanes() * kBitNumbers; }
  void set_value(Index slot, double value);
  // The slot's point leaves: it never survives a screen again.
  void remove(Index slot);
  void compact();

 private:
  double& number(Index slot, int which) {
    return numbers_[static_cast<std::size_t>((slot / lanes() * kBitNumbers + which) * lanes() +
                                             slot % lanes())];
  }

  const Points* points_;
  Index words_;
  std::vector<std::uint64_t> panel_;
  std::vector<double> numbers_;
};

// Rows against tiles of rows.
class BitTileScreen {
 public:
  using Block = BitBlock;
  static constexpr bool kTwoSteps = false;

  BitTileScreen(const Frame& frame, const BitTiles& tiles) : frame_(&frame), tiles_(&tiles) {}

  static int tile_picks() { return kBitTilePicks; }
  Index tiles() const { return tiles_->tiles(); }
  Index row_bytes() const { return tiles_->words() * static_cast<Index>(sizeof(std::uint64_t)); }
  int lanes() const { return frame_->bits().lanes; }
  bool screen(const Block& block, Index g, Index tile, std::uint32_t* survivors) const {
    if (!frame_->bits().screen_tile(block.group(g), block.numbers(g), tiles_->tile(tile),
                                    tiles_->counts(tile), tiles_->words(), survivors)) {
      return false;
    }
    // Unused places of the last tile hold no pick.
    for (Index p = std::max<Index>(tiles_->size() - tile * kBitTilePicks, 0); p < kBitTilePicks; ++p) {
      survivors[p] = 0;
    }
    return true;
  }
  static bool confirm(const Block& /*block*/, Index /*slot*/, Index /*pick*/) { return true; }
  static void prefetch(const Block& /*block*/, Index /*slot*/, Index /*pick*/) {}

 private:
  const Frame* frame_;
  const BitTiles* tiles_;
};

// Of a selection: against the pick list.
class BitScreen : public BitTileScreen {
 public:
  // Brings the tiles up to the pick list.
  explicit BitScreen(SelectState& state)
      : BitTileScreen(state.points.frame(), tiles_of(state)), state_(&state) {}

  Block make_block(Index max_groups) const { return {state_->points, max_groups}; }

  // One pick against blocks, for the pick loop.
  class Pick {
   public:
    explicit Pick(const BitScreen& screen)
        : screen_(&screen), words_(static_cast<std::size_t>(screen.state_->points.frame().words())) {}
    void load(Index row) {
      const Points& points = screen_->state_->points;
      points.frame().copy_words(points.row(row), words_.data());
      count_ = points.self_dot(row);
    }
    std::uint32_t screen(const Block& block, Index g) const {
      return screen_->state_->points.frame().bits().screen_row(
          block.group(g), block.numbers(g), words_.data(), count_, static_cast<Index>(words_.size()));
    }
    static bool confirm(const Block& /*block*/, Index /*slot*/) { return true; }

   private:
    const BitScreen* screen_;
    std::vector<std::uint64_t> words_;
    double count_ = 0;
  };

 private:
  static const BitTiles& tiles_of(SelectState& state) {
    if (!state.bit_tiles) {
      state.bit_tiles = std::make_unique<BitTiles>(state.memory, state.points.frame().words());
    }
    for (Index p = state.bit_tiles->size(); p < state.picks.size(); ++p) {
      state.bit_tiles->append(state.points.frame(), state.picks.row(p), state.picks.self_dot(p));
    }
    return *state.bit_tiles;
  }

  SelectState* state_;
};

}  // namespace farpoint::cpu
