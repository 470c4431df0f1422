// table_log.h - the log half of the dual write: changes in commit order, visible in milliseconds.
//
// A log is one file of batches per table, `<table>/log/log-0` for now (bucket 0, no retention yet).
// Each batch carries (job, step); a reader drops a step of a job that it has seen. A table's
// snapshots name in `logOffsets` the log position that their files include. Layout:
// docs/format.md#log.
#pragma once

#include "base/change_chunk.h"
#include "io/file_system.h"
#include "meta/data_type.h"

namespace millrace {

/// Where a batch ends and what it is.
struct LogBatch {
  std::string job;
  int64_t step = 0;
  int64_t time_ms = 0;
  int64_t rows = 0;
  int64_t next_offset = 0;  // Byte offset of the next batch.
};

/// Appends batches. One writer per table, by lease (an exclusive lock on the file).
/// Threads: one at a time. Throws: Error(kConflict) when another process holds the lease;
/// Error(kIo).
class LogWriter {
 public:
  /// Cuts a half-written batch at the end of the file.
  LogWriter(FileSystem& files, const std::string& table_folder, std::vector<DataType> types);
  ~LogWriter();
  /// The last step that `job` has in the log.
  std::optional<int64_t> LastStep(const std::string& job) const;
  /// Buffers rows of the current step.
  void Add(ChangeChunk& chunk);
  /// Writes the buffered rows as one batch (none: nothing is written, except `even_empty`). Visible
  /// to readers when it returns. A step not above LastStep(job) is dropped. Returns the end offset.
  int64_t EndStep(const std::string& job, int64_t step, int64_t time_ms, bool even_empty = true);
  int64_t EndOffset() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads batches from an offset on.
/// Threads: one at a time. Throws: Error(kCorrupt) naming file and offset.
class LogReader {
 public:
  LogReader(FileSystem& files, const std::string& table_folder, std::vector<DataType> types,
            int64_t offset);
  ~LogReader();
  /// The header of the next whole batch without moving; nullopt at the end (so far).
  std::optional<LogBatch> Peek();
  /// Reads the next batch's rows, `columns` of them, and moves behind it. REQUIRES: Peek() has one.
  LogBatch Read(const std::vector<idx_t>& columns, const ChangeReceiver& receive);
  int64_t Offset() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
