// merge_reader.h - the live rows of overlapping runs, in key order.
//
// Sections (key ranges in which runs overlap) are read one after the other; in a section each run
// has a cursor, the least key goes out first and the rows of one key are merged as the merge engine
// says. A section of one run is not merged: its chunks pass through. Only wanted columns, what
// decides about them, the key, sequence and kind are read.
#pragma once

#include "lsm/levels.h"
#include "lsm/merge_function.h"

namespace millrace {

/// What of a file is to be read.
struct FileRows {
  bool none = false;
  std::shared_ptr<const RowSet> hidden = nullptr;  // Of the others: these are left out.
};

struct MergeReadOptions {
  std::vector<idx_t> fields = {};  // Wanted value columns, in this order; may be empty.
  MergeSpec merge = {};
  bool drop_deletes = true;
  /// Output rows: key columns, _SEQUENCE_NUMBER, _VALUE_KIND, then `fields` (compaction); else
  /// `fields` only.
  bool key_value = false;
  /// Row groups that cannot match are skipped. Key columns only, unless no files overlap.
  /// FilePredicate::column indexes `KeyValueLayout::fields`.
  std::vector<FilePredicate> prune = {};
  /// MergeReader only: keys from the one on and below the other, serialised; "": no bound.
  RowBytes from_key = {};
  RowBytes below_key = {};
  bool HasKeyRange() const { return !from_key.empty() || !below_key.empty(); }
  /// Rows that fail an equality of `prune` may be left out.
  bool choose_rows = false;
  /// Which rows of a file are hidden: deleted, or found by an index not to be wanted. Absent: none.
  std::function<FileRows(const DataFileMeta& file)> rows_of_file = nullptr;
  /// RunReader only: a last column with the row's position in its file.
  bool positions = false;
  /// Fields of an older schema, for files written before a column was renamed; absent: names never
  /// change.
  std::function<std::vector<DataField>(int64_t schema_id)> fields_of_schema = nullptr;
};

/// Reads the merged rows of one bucket's files (any levels).
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file; Error(kNotFound).
class MergeReader {
 public:
  MergeReader(const LsmContext& context, const KeyValueLayout& layout, const std::string& folder,
              std::vector<DataFileMeta> files, MergeReadOptions options);
  ~MergeReader();
  const duckdb::vector<LogicalType>& Types() const;
  /// Fills `chunk` (initialised with Types()); vectors may refer to the reader until the next call.
  /// False at the end; a true chunk has rows.
  bool Next(DataChunk& chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads files one after the other in the order given, without merging: raw splits of primary-key
/// tables, append files (a layout without key) and changelog files (`key_value` gives kinds and
/// sequence numbers). `drop_deletes` filters rows of kind -U and -D. Threads, Throws: as
/// MergeReader.
class RunReader {
 public:
  RunReader(const LsmContext& context, const KeyValueLayout& layout, const std::string& folder,
            std::vector<DataFileMeta> files, MergeReadOptions options);
  ~RunReader();
  const duckdb::vector<LogicalType>& Types() const;
  bool Next(DataChunk& chunk);
  /// The file that the last chunk came from, as an index into the files given.
  size_t CurrentFile() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
