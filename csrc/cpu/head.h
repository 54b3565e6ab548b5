// Heads: the first coordinates of rotated rows, for a screen that costs a fraction of the whole product.
//
// An orthonormal basis Q of the subspace in which the data spread most takes a row to h numbers; what is
// left of its norm, the tail, bounds what the other coordinates can add to an inner product (core/bounds.h,
// step 7). Far pairs, which are most, are told apart by their heads alone.
//
// The basis is found by subspace iteration on a sample; it need not be good to be right, for its error from
// orthonormality is measured and goes into the bound. Rows are rotated when they are first needed: many never
// are.
//
// A head of h columns holds heads of 32, 64, 96, ... columns too, its prefixes (step 9). The smaller the
// values of the rows, the fewer columns tell them from far picks, so the prefix is chosen again for every
// level and for every band of values, as the one that minimises the cost of screening, estimated on sampled
// pairs.
#pragma once

#include <span>
#include <vector>

#include "core/control.h"
#include "cpu/codes.h"
#include "cpu/pick_list.h"
#include "cpu/points.h"
#include "cpu/thread_team.h"

namespace farpoint::cpu {

// h orthonormal rows of d float32 numbers, and how far from it they are.
struct Basis {
  Index rows = 0;
  Index columns = 0;
  std::vector<float> elements;  // row-major

  const float* row(Index i) const { return elements.data() + i * columns; }
};

// `rows` directions in which a sample of the points (packed) spreads most, roughly in falling order.
Basis find_basis(const Points& points, Index rows, WorkMemory& memory, ThreadTeam& team, Control& control);

class Head {
 public:
  // Throws away basis rows beyond `columns`.
  Head(const Points& points, const Basis& basis, Index columns, WorkMemory& memory);

  const CodedRows& rows() const { return rows_; }
  const CodeTiles& tiles() const { return tiles_; }
  Index columns() const { return rows_.columns(); }
  // Of the whole head, as coded; a prefix has a multiple of kCodeColumns and no more.
  Index padded() const { return rows_.padded(); }
  // The picks' numbers of a prefix; good until picks are appended.
  const PickCodes& picks(Index prefix);

  // Codes the heads of those rows that have none yet.
  void ensure(std::span<const Index> rows, ThreadTeam& team, Control& control);
  // Brings the tiles up to the pick list.
  void append_picks(const PickList& picks, ThreadTeam& team, Control& control);
  // The prefix that makes it cheapest to bring these rows (which have codes), whose values so far are
  // values[row], up from pick progress[row] to the last of the tiles.
  Index best_prefix(std::span<const Index> rows, std::span<const double> values,
                    std::span<const Index> progress) const;

 private:
  struct Workspace;
  struct Item {
    const std::byte* row;
    double self_dot;
    std::int8_t* codes;
    RowNumbers* numbers;
    Index entry;
  };
  Index prefixes() const { return padded() / kCodeColumns; }
  // The numbers of pick p of the tiles at prefix number `prefix`, but for its offset.
  RowCode pick_numbers(Index p, Index prefix) const;
  // Up to one group of rows: packed, rotated and coded.
  void code_group(std::span<const Item> items, Workspace& workspace) const;
  // Any number of rows, on all threads.
  void code_items(std::span<const Item> items, ThreadTeam& team, Control& control) const;

  const Points* points_;
  FloatTiles basis_;
  double basis_error_;     // e of core/bounds.h
  double rotation_error_;  // |computed Q x' - Q x'| <= rotation_error_ |x'|
  CodedRows rows_;
  CodeTiles tiles_;
  Slabs<Index> sources_;  // of the picks in the tiles: a row that is coded, or -1: an anchor
  RowNumbers anchors_;    // by pick
  std::vector<PickCodes>
      picks_;  // by number of the prefix, as far as they were asked for; the last is in tiles_
};

// The most columns that a head of such rows may have; 0: too few to be of use, or too many to find a basis.
Index max_head_columns(Index dimension);

// Whether finding a basis is little beside that many multiply-adds of screening.
bool basis_pays(const Points& points, double multiply_adds);

// How many columns in that basis (of max_head_columns rows) make screening `listed` rows, whose values so far
// are values[row], against the picks cheapest; 0: none brings the cost below `worth` times that of whole
// rows.
Index best_head_columns(const Points& points, const Basis& basis, const PickList& picks,
                        std::span<const Index> listed, std::span<const double> values, double worth,
                        WorkMemory& memory, ThreadTeam& team, Control& control);

}  // namespace farpoint::cpu
