// The pick loop: the plain loop of the contract over the candidates of a level, without the host. Twin of
// cpu/pick.cpp.
#pragma once

#include "core/select.h"
#include "cuda/device.h"
#include "cuda/operands.h"
#include "cuda/state.h"

namespace farpoint::cuda {

// Why a launch returned: PickEnd's reasons, or because it was asked for no more picks.
enum class LaunchEnd : int { level_exhausted, complete, below_minimum, more };

struct PickReport {
  Index picked = 0;  // in this launch
  double next_value = 0;
  LaunchEnd end = LaunchEnd::more;
};

struct PickTask {
  Contract contract;
  ListedRows candidates;
  RowState state;
  Threshold threshold;
  double minimum_value = 0;
  Index first_entry = 0;  // of the pick list: what the first pick of this launch becomes
  Index left = 0;         // picks until the selection is complete
  Index most = 0;         // picks of this launch
  // Of the picks of this launch, in their order.
  Index* picked = nullptr;
  Index* picked_places = nullptr;
  double* picked_values = nullptr;
  PickReport* report = nullptr;
  unsigned long long* board = nullptr;  // pick_board_words(): where blocks tell each other their best
  ScreenCounts* counts = nullptr;
};

// The most candidates that one launch takes on the device.
Index most_candidates(const DeviceInfo& device);
Index pick_board_words(const DeviceInfo& device);

// One launch: rows that the threshold admits are candidates; those picked are taken, and get their label and
// value (RowState), the others see all picks.
void pick(const PickTask& task, const CodeOperands& operands, const Device& device);
void pick(const PickTask& task, const FloatOperands& operands, const Device& device);

}  // namespace farpoint::cuda
