// table_log.h - the log half of the dual write: changes in commit order, visible in milliseconds.
//
// A log is one file of batches per table, `<table>/log/log-0` for now (bucket 0, no retention yet).
// Each batch carries (job, step); a reader drops a step of a job that it has seen. A table's
// snapshots name in `logOffsets` the log position that their files include: up to there the log is
// *committed*. What is torn at the end of the file was never acknowledged and does not count; torn
// is only what no whole batch follows. Layout: docs/format.md#log.
#pragma once

#include "base/change_chunk.h"
#include "io/file_system.h"
#include "meta/data_type.h"

namespace millrace {

/// What a batch says of itself.
struct LogStep {
  std::string job;
  int64_t step = 0;
  int64_t time_ms = 0;
  bool whole_job = false;  // The job is this step alone: nothing of it is to come, anywhere.
  bool full = false;       // Rows that the job itself wrote before leave with their old values.
};

/// The step of a job that will have no others, for readers that wait for them.
inline constexpr int64_t kLastLogStep = INT64_MAX;

/// Where a batch ends and what it is.
struct LogBatch : LogStep {
  int64_t rows = 0;
  int64_t next_offset = 0;  // Byte offset of the next batch.
};

/// Appends batches. One writer per table, by lease (an exclusive lock on the file).
/// Threads: one at a time. Throws: Error(kConflict) when another process holds the lease;
/// Error(kIo); Error(kCorrupt) naming file and offset.
class LogWriter {
 public:
  /// Cuts a half-written batch at the end of the file. `committed`: the log's position by the
  /// newest snapshot; a log that ends before it is damaged.
  LogWriter(FileSystem& files, const std::string& table_folder, std::vector<DataType> types,
            int64_t committed = 0);
  ~LogWriter();
  /// The last step that `job` has in the log.
  std::optional<int64_t> LastStep(const std::string& job) const;
  /// The batches behind `committed`, when this writer was made.
  const std::vector<LogBatch>& Tail() const;
  /// The last step of `job` with rows up to `committed`.
  std::optional<int64_t> CommittedStep(const std::string& job) const;
  /// Buffers rows of the current step.
  void Add(ChangeChunk& chunk);
  /// Writes the buffered rows, perhaps none, as one batch. Visible to readers when it returns. A
  /// step not above LastStep(job) is dropped. Returns the end offset.
  int64_t EndStep(const LogStep& step);
  int64_t EndOffset() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads batches from an offset on. At the end of the file it goes on where it stopped when there
/// is more. Threads: one at a time. Throws: Error(kCorrupt) naming file and offset, also when the
/// file has become shorter than what was read.
class LogReader {
 public:
  LogReader(FileSystem& files, const std::string& table_folder, std::vector<DataType> types,
            int64_t offset);
  ~LogReader();
  /// The header of the next whole batch without moving; nullopt at the end (so far).
  std::optional<LogBatch> Peek();
  /// Reads the next batch's rows, `columns` of them, and moves behind it. REQUIRES: Peek() has one.
  LogBatch Read(const std::vector<idx_t>& columns, const ChangeReceiver& receive);
  /// Moves behind the next batch. REQUIRES: Peek() has one.
  LogBatch Skip();
  int64_t Offset() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
