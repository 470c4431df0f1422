// run_file_writer.h - sorted rows to data files with complete metadata, rolling at the target size.
//
// A finished file is durable but invisible until a commit names it. Metadata:
// docs/format.md#manifests (KeyValueDataFileWriter.java, RowDataFileWriter.java).
#pragma once

#include <atomic>

#include "format/file_index.h"
#include "io/random.h"
#include "lsm/key_value.h"
#include "meta/stats_collector.h"

namespace millrace {

/// Names data and changelog files of one table writer: <prefix><uuid>-<i>.parquet, one counter for
/// all. Threads: safe.
class DataFileNames {
 public:
  explicit DataFileNames(Random& random) : uuid_(random.Uuid()) {}
  std::string Next(const std::string& prefix);

 private:
  std::string uuid_;
  std::atomic<int64_t> counter_{0};
};

struct RunWriteOptions {
  std::string folder = {};       // Of the bucket.
  std::string prefix = "data-";  // Or "changelog-".
  int level = 0;
  bool thin = false;  // Without _KEY_ columns.
  FileSource source = FileSource::kAppend;
  int64_t target_file_bytes = 128 << 20;
  std::vector<ColumnStatsMode> stats = {};  // Per field; empty: strings cut to 16 characters.
  ParquetWriteOptions parquet = {};
  std::vector<FileIndexSpec> indexes = {};
  int64_t index_in_manifest_bytes = 500;  // Larger ones lie beside the data file.
};

/// Writes one sorted run (key-value layout) or, given a layout without key, append-only files of
/// bare table columns. Threads: one at a time. Throws: Error(kIo); written files stay behind, Abort
/// deletes them.
class RunFileWriter {
 public:
  RunFileWriter(const LsmContext& context, const KeyValueLayout& layout, DataFileNames& names,
                RunWriteOptions options);
  ~RunFileWriter();
  /// Key-value layout: rows ascend over all calls (changelog files: keys may repeat).
  void Write(DataChunk& rows);
  /// Append-only: table columns; rows take sequence numbers from `first_sequence_number` on.
  void WriteAppend(DataChunk& rows, int64_t first_sequence_number);
  /// Closes the last file. Files in key order; empty when there were no rows.
  std::vector<DataFileMeta> Finish();
  /// Deletes what was written so far, also what Finish has told of, as far as that is possible;
  /// for use after a failure, of another writer perhaps.
  void Abort();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Local wall clock now as if it were UTC, in ms: _CREATION_TIME.
int64_t LocalWallClockMs(Clock& clock);

}  // namespace millrace
