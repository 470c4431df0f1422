// sink.h - an output of a job: takes the changes of whole steps, publishes by checkpoints.
#pragma once

#include "base/change_chunk.h"
#include "meta/table_definition.h"

namespace millrace {

/// What a sink published, for commit groups.
struct Published {
  std::string table;  // Path of the lake table.
  int64_t snapshot_id = 0;
};

/// Takes changes. Within a job: Write*, EndStep, Write*, EndStep ..., BeginPrepare, Commit, ...
///
/// Threads: owned by its job. But another thread does what BeginPrepare leaves to do, then Commit,
/// while the job goes on with Write and EndStep; both have ended before the next BeginPrepare.
/// Throws: Error naming the target.
class Sink {
 public:
  virtual ~Sink() = default;
  /// What the sink can use: kUpsert sinks need no -U rows, kAppend ones refuse anything but +I.
  virtual ChangelogType Accepts() const = 0;
  /// Told once, before the first Write: what the rows to come may be trusted with.
  virtual void SetInputType(ChangelogType) {}
  /// EndStep makes the step visible outside; then the job keeps a step journal. False for sinks
  /// that show nothing before Commit.
  virtual bool ShowsSteps() const { return true; }
  /// Columns in the order of the table's physical columns.
  virtual void Write(ChangeChunk& chunk) = 0;
  /// All of step `step` has been written; a sink that shows each step (print, log, a database) does
  /// it now. Recovery replays equal steps: with a number seen before, a transactional sink drops
  /// it.
  virtual void EndStep(int64_t step) = 0;
  /// Makes everything written so far durable but invisible; the text goes into the checkpoint. ""
  /// when there is nothing to commit.
  virtual std::string Prepare(int64_t checkpoint) = 0;
  /// The same, but what may be done in another thread is left to the caller, who calls the result
  /// once, or gives it up: then the sink is of no more use.
  virtual std::function<std::string()> BeginPrepare(int64_t checkpoint) {
    return [prepared = Prepare(checkpoint)] { return prepared; };
  }
  /// Publishes what Prepare told. Idempotent: recovery repeats it, also on a new Sink.
  virtual std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) = 0;
  /// The last step whose output is already visible, if the sink can tell (logs, databases).
  virtual std::optional<int64_t> LastStep() { return std::nullopt; }
  /// The last step that the target has for good, when the sink was made; if it can tell (logs).
  virtual std::optional<int64_t> CommittedStep() { return std::nullopt; }
};

}  // namespace millrace
