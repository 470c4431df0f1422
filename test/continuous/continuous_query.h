// continuous_query.h - a query kept up to date over the tables of Twins, and its answer so far.
#pragma once

#include "stream/dataflow.h"
#include "twins.h"

namespace millrace {

/// Runs one Dataflow and folds what it emits. Threads: one at a time.
/// Throws: what compiling and running a Dataflow throws.
class ContinuousQuery {
 public:
  ContinuousQuery(Twins& twins, std::string sql, DataflowOptions options = {});

  /// Feeds the changes of a step in random cuts, tables in turns, and ends the step.
  void Step(int step, std::mt19937& random);
  /// Saves the state and goes on in a dataflow compiled afresh, with so many threads.
  void Restart(idx_t threads = 1);

  const Answer& Shown() const { return shown_; }
  /// The first breach of the discipline of row kinds; empty if there was none.
  const std::string& Fault() const { return fault_; }
  std::string Explain() const { return flow_->Explain(); }
  int64_t StateBytes() const { return flow_->StateBytes(); }
  idx_t Inputs() const { return flow_->Inputs().size(); }

 private:
  std::unique_ptr<Dataflow> Compile();
  void Push(idx_t input, const ChangeChunk& chunk, idx_t start, idx_t count);
  void Receive(ChangeChunk& chunk);

  Twins& twins_;
  std::string sql_;
  DataflowOptions options_;
  std::unique_ptr<Dataflow> flow_;
  Answer shown_;
  std::string fault_;
  bool before_open_ = false;  // The last row was a -U.
};

}  // namespace millrace
