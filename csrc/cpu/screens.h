// The screens that catch-up and the pick loop can use, behind one interface (they are templates over it).
//
//   FloatScreen   float32 products or differences of packed rows; survivors go to refinement
//   ByteScreen    differences of rows as bytes, for manhattan and chebyshev (byte_rows.h)
//   CodeScreen    int8 products of coded rows: whole rows, or prefixes of their heads (head.h), whose
//                 survivors are tested once more with the codes of the whole row
// BitScreen of packed bits is in bit_screen.h.
//
// A screen says which pairs can be skipped; it never changes a result.
#pragma once

#include <bit>

#include "cpu/blocks.h"
#include "cpu/select.h"

namespace farpoint::cpu {

class FloatScreen {
 public:
  using Block = FloatBlock;
  static constexpr bool kTwoSteps = false;

  // Brings the tiles up to the pick list.
  explicit FloatScreen(SelectState& state) : state_(&state) {
    if (!state.float_tiles) {
      const Frame& frame = state.points.frame();
      state.float_tiles = std::make_unique<FloatTiles>(state.memory, frame.tile_picks(), frame.dimension());
    }
    std::vector<float> packed;
    for (Index p = state.float_tiles->size(); p < state.picks.size(); ++p) {
      append_packed(*state.float_tiles, state.points.frame(), state.picks.row(p), state.picks.self_dot(p),
                    packed);
    }
  }

  int tile_picks() const { return state_->points.frame().tile_picks(); }
  Index tiles() const { return state_->float_tiles->tiles(); }
  Index row_bytes() const { return state_->points.frame().dimension() * static_cast<Index>(sizeof(float)); }
  int lanes() const { return state_->points.frame().lanes(); }
  Block make_block(Index max_groups) const { return {state_->points, max_groups}; }

  bool screen(const Block& block, Index g, Index tile, std::uint32_t* survivors) const {
    const FloatTiles& tiles = *state_->float_tiles;
    const Frame& frame = state_->points.frame();
    return frame.pair_screen().tile(block.group(g), tiles.tile(tile), frame.dimension(), block.bias(g),
                                    tiles.bias(tile), survivors);
  }
  // Whether a survivor goes on to refinement.
  static bool confirm(const Block& /*block*/, Index /*slot*/, Index /*pick*/) { return true; }
  // Asks for what `confirm` reads.
  static void prefetch(const Block& /*block*/, Index /*slot*/, Index /*pick*/) {}

  // One pick against blocks, for the pick loop.
  class Pick {
   public:
    explicit Pick(const FloatScreen& screen)
        : screen_(&screen), packed_(static_cast<std::size_t>(screen.state_->points.frame().dimension())) {}
    void load(Index row) {
      const SelectState& state = *screen_->state_;
      const double norm =
          state.points.frame().pack_row(state.points.row(row), state.points.self_dot(row), packed_.data());
      bias_ = state.points.frame().pick_bias(norm);
    }
    std::uint32_t screen(const Block& block, Index g) const {
      const Frame& frame = screen_->state_->points.frame();
      return frame.pair_screen().row(block.group(g), packed_.data(), frame.dimension(), block.bias(g), bias_);
    }
    static bool confirm(const Block& /*block*/, Index /*slot*/) { return true; }

   private:
    const FloatScreen* screen_;
    std::vector<float> packed_;
    float bias_ = 0;
  };

 private:
  SelectState* state_;
};

class ByteScreen {
 public:
  using Block = ByteBlock;
  static constexpr bool kTwoSteps = false;

  // Brings the tiles up to the pick list. The state has a coder.
  explicit ByteScreen(SelectState& state) : state_(&state), coder_(state.byte_coder.get()) {
    if (!state.byte_tiles) {
      state.byte_tiles = std::make_unique<ByteTiles>(state.memory, coder_->tile_picks(), coder_->words());
    }
    std::vector<float> packed;
    std::vector<std::uint64_t> words(static_cast<std::size_t>(coder_->words()));
    for (Index p = state.byte_tiles->size(); p < state.picks.size(); ++p) {
      const double error = coder_->code(state.picks.row(p), packed, words.data());
      state.byte_tiles->append(words.data(), coder_->bound().pick_bias(error));
    }
  }

  int tile_picks() const { return coder_->tile_picks(); }
  Index tiles() const { return state_->byte_tiles->tiles(); }
  Index row_bytes() const { return coder_->words() * static_cast<Index>(sizeof(std::uint64_t)); }
  int lanes() const { return coder_->lanes(); }
  Block make_block(Index max_groups) const { return {state_->points, *coder_, max_groups}; }

  bool screen(const Block& block, Index g, Index tile, std::uint32_t* survivors) const {
    const ByteTiles& tiles = *state_->byte_tiles;
    return coder_->screen().tile(block.group(g), tiles.tile(tile), coder_->words(), block.bias(g),
                                 tiles.bias(tile), survivors);
  }
  static bool confirm(const Block& /*block*/, Index /*slot*/, Index /*pick*/) { return true; }
  static void prefetch(const Block& /*block*/, Index /*slot*/, Index /*pick*/) {}

  class Pick {
   public:
    explicit Pick(const ByteScreen& screen)
        : screen_(&screen), words_(static_cast<std::size_t>(screen.coder_->words())) {}
    void load(Index row) {
      const ByteCoder& coder = *screen_->coder_;
      bias_ = coder.bound().pick_bias(coder.code(screen_->state_->points.row(row), packed_, words_.data()));
    }
    std::uint32_t screen(const Block& block, Index g) const {
      const ByteCoder& coder = *screen_->coder_;
      return coder.screen().row(block.group(g), words_.data(), coder.words(), block.bias(g), bias_);
    }
    static bool confirm(const Block& /*block*/, Index /*slot*/) { return true; }

   private:
    const ByteScreen* screen_;
    std::vector<float> packed_;
    std::vector<std::uint64_t> words_;
    float bias_ = 0;
  };

 private:
  SelectState* state_;
  const ByteCoder* coder_;
};

class CodeScreen {
 public:
  using Block = CodeBlock;
  static constexpr bool kTwoSteps = true;

  explicit CodeScreen(SelectState& state)
      : state_(&state), rows_(state.codes.get()), heads_(state.head != nullptr) {
    if (heads_) {
      state.head->append_picks(state.picks, state.team, state.control);
      if (!state.whole_picks) {
        state.whole_picks = std::make_unique<PickCodes>(state.memory);
      }
      for (Index p = state.whole_picks->size(); p < state.picks.size(); ++p) {
        state.whole_picks->append(pick_code(state.pick_numbers(p), state.codes->bound()));
      }
      rows_ = &state.head->rows();
      tiles_ = &state.head->tiles();
      picks_ = &state.head->picks(state.prefix);
      columns_ = state.prefix;
      return;
    }
    if (!state.code_tiles) {
      state.code_tiles = std::make_unique<CodeTiles>(state.memory, state.codes->padded());
    }
    for (Index p = state.code_tiles->size(); p < state.picks.size(); ++p) {
      state.code_tiles->append(state.pick_codes(p), pick_code(state.pick_numbers(p), state.codes->bound()));
    }
    tiles_ = state.code_tiles.get();
    picks_ = &tiles_->picks();
    columns_ = rows_->padded();
  }

  static int tile_picks() { return kCodeTilePicks; }
  Index tiles() const { return tiles_->tiles(); }
  Index row_bytes() const { return columns_; }
  int lanes() const { return rows_->kernels().lanes; }
  Block make_block(Index max_groups) const {
    return {*rows_, columns_, heads_ ? state_->codes.get() : nullptr, max_groups};
  }

  bool screen(const Block& block, Index g, Index tile, std::uint32_t* survivors) const {
    return rows_->kernels().screen_tile(block.group(g), block.numbers(g), tiles_->tile(tile),
                                        picks_->tile(tile), columns_, survivors);
  }
  bool confirm(const Block& block, Index slot, Index pick) const {
    return !heads_ || block.survives_again(slot, state_->pick_codes(pick), state_->whole_picks->pick(pick));
  }
  void prefetch(const Block& block, Index slot, Index pick) const {
    if (heads_) {
      block.prefetch_again(slot, state_->pick_codes(pick));
    }
  }

  class Pick {
   public:
    explicit Pick(const CodeScreen& screen) : screen_(&screen) {}
    void load(Index row) {
      const CodeScreen& s = *screen_;
      codes_ = s.rows_->codes(row);
      RowCode numbers = s.rows_->numbers(row, s.columns_);
      numbers.offset = code_offset(s.rows_->kernels(), codes_, s.columns_);
      pick_ = pick_code(numbers, s.rows_->bound());
      if (s.heads_) {
        whole_codes_ = s.state_->codes->codes(row);
        whole_ = pick_code(s.state_->codes->numbers(row), s.state_->codes->bound());
      }
    }
    std::uint32_t screen(const Block& block, Index g) const {
      const CodedRows& rows = *screen_->rows_;
      return rows.kernels().screen_row(block.group(g), block.numbers(g), codes_, pick_, screen_->columns_);
    }
    bool confirm(const Block& block, Index slot) const {
      return !screen_->heads_ || block.survives_again(slot, whole_codes_, whole_);
    }

   private:
    const CodeScreen* screen_;
    const std::int8_t* codes_ = nullptr;
    PickCode pick_;
    const std::int8_t* whole_codes_ = nullptr;
    PickCode whole_;
  };

 private:
  SelectState* state_;
  const CodedRows* rows_;
  const CodeTiles* tiles_ = nullptr;
  const PickCodes* picks_ = nullptr;
  Index columns_ = 0;
  bool heads_;
};

// Calls visit(slot, pick) for every pair of a group and a tile that the screen lets through, by rising
// pick. Slots that lost their point at an earlier pick of the tile are passed over.
template <class Screen, class Visit>
void screen_pairs(const Screen& screen, const typename Screen::Block& block, Index g, Index tile,
                  const Visit& visit) {
  std::uint32_t survivors[kMaxTilePicks];
  const int lanes = screen.lanes();
  const int tile_picks = screen.tile_picks();
  if (screen.screen(block, g, tile, survivors)) {
    for (int p = 0; p < tile_picks; ++p) {
      for (std::uint32_t mask = survivors[p]; mask != 0; mask &= mask - 1) {
        const Index slot = g * lanes + std::countr_zero(mask);
        if (block.row(slot) >= 0) {
          visit(slot, tile * tile_picks + p);
        }
      }
    }
  }
}

}  // namespace farpoint::cpu
