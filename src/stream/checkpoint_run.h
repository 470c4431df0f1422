// checkpoint_run.h - a checkpoint that is written beside its job.
//
// The job decides at a step boundary what belongs to it, and saves what has changed into a spool;
// from there on other threads write the state, let the sinks close their files, publish the
// metadata and commit, while the job goes on. Until that has ended the checkpoint is none, for a
// recovery as for everyone else: docs/internals/jobs.md.
#pragma once

#include <atomic>

#include "io/executor.h"
#include "stream/checkpoint.h"
#include "stream/state_spool.h"

namespace millrace {

/// What a checkpoint consists of, as the job knows it at the boundary.
struct CheckpointParts {
  Checkpoint checkpoint;                              // But for `prepared` and `state`.
  std::vector<std::function<std::string()>> prepare;  // One per pipeline: Sink::BeginPrepare.
  std::vector<StatePieces> pieces;                    // One per pipeline: of the checkpoint before.
  /// With all that was prepared and saved: publishes and commits.
  std::function<void(const Checkpoint&)> conclude;
  /// Told when all has ended. The last that is called, in another thread.
  std::function<void()> ended;
};

/// Threads: owned by its job, whose folder, sinks and `parts` it uses in threads of its own.
class CheckpointRun {
 public:
  /// Begins. `folder` outlives it.
  CheckpointRun(JobFolder& folder, CheckpointParts parts);
  /// Gives up, and waits for the end.
  ~CheckpointRun();
  CheckpointRun(const CheckpointRun&) = delete;
  CheckpointRun& operator=(const CheckpointRun&) = delete;

  /// For Dataflow::Save, pipeline by pipeline.
  std::unique_ptr<StateStore> State(idx_t pipeline) { return spool_.Writer(pipeline); }
  /// All state is saved: the checkpoint may come to be.
  void EndState() { spool_.End(); }
  /// Unless all was saved, nothing is published.
  void GiveUp() { spool_.GiveUp(); }
  bool HasEnded() const { return has_ended_; }
  /// Waits for the end. Throws what failed.
  Checkpoint Finish();
  /// The most bytes of state that have waited to be written.
  int64_t PeakBytes() const { return spool_.PeakBytes(); }

 private:
  void Run();
  void WriteParts();
  void WriteState();

  JobFolder& folder_;
  CheckpointParts parts_;
  StateSpool spool_;
  std::exception_ptr failure_;
  std::atomic<bool> has_ended_{false};
  const std::unique_ptr<Executor> executor_;
  std::unique_ptr<Task> task_;
};

}  // namespace millrace
