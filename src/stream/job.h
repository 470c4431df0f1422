// job.h - a running statement: sources -> dataflows -> sinks, step by step, with checkpoints.
//
// Each step reads a stretch of every source up to a consistent cut, pushes it through all pipelines
// and lets the sinks show it; a checkpoint publishes. kill -9 at any point loses and doubles
// nothing (docs/internals/jobs.md).
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "base/error.h"
#include "stream/checkpoint_run.h"
#include "stream/connector.h"
#include "stream/dataflow.h"
#include "table/table.h"

namespace millrace {

/// One query of the job and where its output goes.
struct Pipeline {
  std::shared_ptr<void> keep_alive;  // What the dataflow was compiled with (a connection).
  std::string target;                // For messages: the sink table, or the view.
  std::unique_ptr<Dataflow> flow;
  std::unique_ptr<Sink> sink;  // Null: it feeds the pipelines that have it as an input.
  /// Which columns of the view it gives, and of which.
  ObjectPath view = {};
  std::vector<idx_t> view_columns = {};
};

struct JobOptions {
  std::string id;           // Folder-safe.
  std::string name;         // For users.
  std::string commit_user;  // Of the sinks: stable over restarts, new after a fresh start.
  std::string statement;    // As written.
  std::string run;          // Of the script: kept with the last checkpoint of bounded inputs.
  std::vector<JobTarget> targets;  // One per pipeline; none when nothing is kept.
  bool bounded = false;            // Read what is there now and end.
  int64_t checkpoint_interval_ms = 1000;
  idx_t step_rows = 100'000;            // Aim of a step over all sources.
  bool step_rows_fixed = false;         // Not more either while state is on disk.
  int64_t step_latency_ms = 0;          // For how long a step waits for more rows; 0: not at all.
  int64_t retained_checkpoints = 1;     // How many of the newest can be restored.
  std::optional<int64_t> restore_from;  // A retained checkpoint whose state to begin with.
};

enum class JobState : uint8_t { kCreated, kRunning, kFinished, kFailed, kCancelled };
const char* JobStateName(JobState state);

struct JobStatistics {
  int64_t steps = 0, checkpoints = 0, rows_in = 0, rows_out = 0, state_bytes = 0, skipped = 0;
  int64_t lag_ms = -1;  // Now minus the newest row read; -1 = unknown.
  double seconds = 0;
};

/// What the operators of one pipeline have done.
struct PipelineFigures {
  std::string target;
  std::vector<OperatorLine> operators;
};

/// Threads: Run in one thread; Cancel, State, Statistics, Figures, Wait from any.
/// Throws: the constructor, Error when sinks and queries do not fit; Run never (see Failure).
class Job {
 public:
  /// `pipelines`: those of the targets, then those that feed others, after those that they feed.
  /// `folder`: locked; nullptr when nothing is kept (a SELECT).
  Job(Environment& environment, const ConnectorRegistry& connectors,
      std::vector<Pipeline> pipelines, JobOptions options,
      std::unique_ptr<JobFolder> folder = nullptr);
  ~Job();

  /// Runs to the end of bounded inputs, to Cancel or to a failure.
  void Run();
  void Cancel();
  /// Abandons the job as kill -9 would: nothing more is written. For tests of recovery.
  void Abandon();
  /// Asks for a checkpoint now and waits for it; false when the job has ended first.
  bool CheckpointNow();
  /// Waits until every source has been idle or at its end after this call; false when the job ended
  /// by failure.
  bool WaitUntilIdle();
  void Wait();

  /// Whether all sources come to an end by themselves.
  bool IsBounded() const;
  JobState State() const;
  std::optional<Error> Failure() const;
  JobStatistics Statistics() const;
  /// Of each pipeline; of a job that has ended as it was at its end. Any thread.
  std::vector<PipelineFigures> Figures() const;
  const JobOptions& options() const { return options_; }

 private:
  /// An input of a pipeline that a source's table feeds, by a choice of its columns.
  struct Consumer {
    idx_t pipeline;
    idx_t input;
    std::vector<idx_t> columns;  // Into the source table's columns.
    ChangeChunk view;            // References the source's vectors.
  };

  struct SourceGroup {
    std::vector<SourceTable> tables;
    std::vector<std::vector<std::unique_ptr<Consumer>>> consumers;  // Per table.
    std::unique_ptr<Source> source;
    bool ended = false;
  };

  void BuildSources(const ConnectorRegistry& connectors);
  void Start();
  void StartFlows();
  bool AwaitsFirstData() const;
  /// What the sources promise; a resumed job keeps what its state was built on.
  void DecideInputTypes();
  void Restore();
  void CheckPlan(const Checkpoint& checkpoint) const;
  /// The retained checkpoint whose state to load: the newest, unless another is asked for or it is
  /// damaged.
  Checkpoint ChooseState(const Checkpoint& newest) const;
  /// From the state of an older checkpoint to that of `newest`, without output.
  void CatchUp(const Checkpoint& newest);
  void Loop();
  /// Before a step is read; `wanted_rows`: what the dataflows wish, or wished when it was first
  /// made.
  void BeginStep(idx_t wanted_rows);
  idx_t WantedRows() const;
  /// Reads what comes within the time that a step may take to collect its rows.
  SourceStatus ReadStep();
  /// The step at hand waits for more rows, until `until_us` at most.
  bool AwaitsMore(SourceStatus status, int64_t until_us);
  /// Reads all sources once, `rows` together (to `until` when replaying); what they told.
  SourceStatus ReadSources(const Cut* until, idx_t rows);
  void FinishStep(bool replay);
  void TellMembers() const;
  void RefuseTakenOver();
  bool IsCheckpointDue() const;
  bool IsCheckpointTime() const;
  /// Decides what belongs to it; the rest is done beside the job. `asked`: who waits for it.
  void BeginCheckpoint(bool finished, int64_t asked);
  void PublishCheckpoint(const Checkpoint& checkpoint);
  /// Waits for the checkpoint that is under way, if there is one, and takes note of it. Throws what
  /// failed of it.
  void EndCheckpoint();
  /// From beginning to end.
  void TakeCheckpoint(bool finished);
  void AwaitLastCheckpoint(std::optional<Error>& failure);
  void CommitPrepared(const Checkpoint& checkpoint);
  /// Nobody will ask again for what lies before `cut`.
  void TellSources(const Cut& cut);
  Cut CurrentCut() const;
  void Deliver(SourceGroup& group, idx_t table, ChangeChunk& chunk);
  void Feed(Consumer& consumer, ChangeChunk& chunk);
  void EndFlows();
  std::string IndexFolder();
  idx_t FeederOf(const ObjectPath& view, idx_t fed) const;
  void Emit(idx_t pipeline, ChangeChunk& chunk);

  Environment& environment_;
  const JobOptions options_;
  std::vector<Pipeline> pipelines_;
  std::vector<std::unique_ptr<SourceGroup>> groups_;
  std::vector<std::vector<std::unique_ptr<Consumer>>> fed_;  // By each pipeline.
  std::vector<idx_t> order_;                                 // Who feeds others before them.
  std::vector<std::vector<ChangelogType>> input_types_;      // Per pipeline, per input.
  std::unique_ptr<JobFolder> folder_;                        // Until Run ends.
  bool journaled_ = false;
  bool silent_ = false;     // What flows emit goes nowhere.
  bool postponed_ = false;  // Flows start when the first data tells what changes are like.
  int64_t step_ = 0;
  idx_t wanted_rows_ = 0;   // Of the step at hand.
  std::vector<Cut> reads_;  // Its sources were read up to these before they were to its end.
  int64_t checkpoint_id_ = 0;
  std::vector<StatePieces> state_pieces_;                      // Of that checkpoint, per pipeline.
  std::unique_ptr<CheckpointRun> checkpoint_;                  // Under way.
  int64_t checkpoint_asked_ = 0;                               // Who waits for it: up to this one.
  int64_t checkpoint_began_us_ = 0, checkpoint_ended_us_ = 0;  // The last one that did.
  int64_t saving_us_ = 0;  // For how long the last one held the job up.
  bool dirty_ = false;     // A step has run since the last checkpoint began.

  mutable std::mutex flows_mutex_;       // Held while flows start and go, and by Figures.
  std::vector<PipelineFigures> at_end_;  // Figures of a job that has ended.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  JobState state_ = JobState::kCreated;
  std::optional<Error> failure_;
  int64_t checkpoints_asked_ = 0, checkpoints_done_ = 0, idle_asked_ = 0, idle_done_ = 0;
  std::atomic<bool> cancelled_{false}, abandoned_{false};
  std::atomic<int64_t> rows_in_{0}, rows_out_{0}, steps_{0}, checkpoints_{0}, state_bytes_{0},
      event_time_ms_{0}, skipped_{0}, started_us_{0}, ended_us_{0};
};

}  // namespace millrace
