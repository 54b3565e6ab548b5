// The stages of core/select.h on the CPU.
#pragma once

#include <span>
#include <vector>

#include "core/select.h"
#include "core/tuning.h"
#include "cpu/screen_plan.h"
#include "cpu/select.h"

namespace farpoint::cpu {

class CpuStages final : public Stages {
 public:
  CpuStages(const SelectProblem& problem, const Points& points, ThreadTeam& team, Control& control,
            WorkMemory& memory);
  void accept(std::span<const Index> rows) override;
  void seed() override;
  double value_at_rank(Index rank) override;
  Index gather(const Threshold& threshold) override;
  void certify(const Threshold& threshold) override;
  Index catch_up(Threshold& threshold, Index capacity) override;
  PickEnd pick(const Threshold& threshold, const SelectRequest& request, SelectResult& result) override;
  void order_by_value() override;
  void pick_duplicates(const SelectRequest& request, SelectResult& result) override;
  void assign(SelectResult& result) override;
  Index capacity() const override;
  Index free_rows() const override;
  SelectStatistics& statistics() override;

  SelectState& state() { return state_; }
  // The largest upper bound of a free row's value; 0 where no row is free.
  double largest_value();
  // The upper bounds of about `size` evenly chosen rows, but for those that are taken; with weights or groups
  // their keys, but for those that may not be picked.
  std::vector<double> sample_values(Index size) const;

 private:
  double largest_key();

  SelectState state_;
  std::span<const Index> excluded_;
  ScreenPlan plan_;
  tuning::Schedule schedule_;
};

}  // namespace farpoint::cpu
