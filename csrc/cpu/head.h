// Heads: the first coordinates of rotated rows, for a screen that costs a fraction of the whole product.
//
// An orthonormal basis Q of the subspace in which the data spread most takes a row to h numbers; what is
// left of its norm, the tail, bounds what the other coordinates can add to an inner product (core/bounds.h,
// step 7). Far pairs, which are most, are told apart by their heads alone.
//
// The basis is found by subspace iteration on a sample; it need not be good to be right, for its error from
// orthonormality is measured and goes into the bound. h is what minimises the cost of screening, estimated
// on sampled pairs at the present threshold. Rows are rotated when they are first needed: many never are.
#pragma once

#include <memory>
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
Basis find_basis(const Points& points, Index rows, ThreadTeam& team, Control& control);

class Head {
 public:
  // Throws away basis rows beyond `columns`.
  Head(const Points& points, const Basis& basis, Index columns);

  const CodedRows& rows() const { return rows_; }
  const CodeTiles& tiles() const { return tiles_; }
  Index columns() const { return rows_.columns(); }

  // Codes the heads of those rows that have none yet.
  void ensure(std::span<const Index> rows, ThreadTeam& team, Control& control);
  // Brings the tiles up to the pick list.
  void append_picks(const PickList& picks, ThreadTeam& team, Control& control);

 private:
  struct Workspace;
  struct Item {
    const std::byte* row;
    double self_dot;
    std::int8_t* codes;
    RowCode* numbers;
  };
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
};

// The most columns that a head of such rows may have; 0: too few to be of use, or too many to find a basis.
Index max_head_columns(Index dimension);

// Whether finding a basis is little beside that many multiply-adds of screening.
bool basis_pays(const Points& points, double multiply_adds);

// The head in that basis (of max_head_columns rows) for `listed` rows, whose values so far are values[row],
// against the picks, if one brings the cost of screening below `worth` times that of whole rows.
std::unique_ptr<Head> choose_head(const Points& points, const Basis& basis, const PickList& picks,
                                  std::span<const Index> listed, std::span<const double> values, double worth,
                                  ThreadTeam& team, Control& control);

}  // namespace farpoint::cpu
